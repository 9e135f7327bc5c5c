package dev.selvedge

import java.io.File
import java.nio.file.Files
import kotlin.concurrent.thread
import kotlin.system.exitProcess

/** Where the tests find things. */
internal object Place {
    val repo: File = File(System.getProperty("selvedge.repo"))
    val corpus: File? = System.getenv("SELVEDGE_CORPUS")?.let(::File)?.takeIf { it.isDirectory }
    val rain: String = File(repo, "examples/quickstart/rain.onnx").path
    val chat: File? = corpus?.resolve("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
        ?.takeIf { it.exists() && "llama" in Selvedge.features }

    fun folder(): File = Files.createTempDirectory("selvedge-test").toFile().also { it.deleteOnExit() }
}

/** A test that cannot run here, and why. */
internal class Skip(why: String) : Exception(why)

internal class Failure(message: String) : Exception(message)

internal fun check(holds: Boolean, message: () -> String) {
    if (!holds) throw Failure(message())
}

internal fun <T> same(expected: T, got: T, what: String = "value") =
    check(expected == got) { "$what: expected $expected, got $got" }

internal fun refused(code: Code, vararg parts: String, call: () -> Any?): SelvedgeException {
    val e = try {
        call()
        null
    } catch (e: SelvedgeException) {
        e
    }
    if (e?.code != code) throw Failure("expected $code, got ${e ?: "success"}")
    parts.forEach { part -> check(part in e.message!!) { "expected '$part' in: ${e.message}" } }
    return e
}

/** What looks at the memory of the process comes before those that load large models. */
private val tests: Map<String, () -> Unit> = soakTests + engineTests + lifeTests + monitorTests + syncTests + flowTests +
    toolsTests + javaTests + mapOf("conformance" to ::conformance) + measuredTests

/** Runs all tests, or those whose name contains one of [args]. */
internal fun main(args: Array<String>) {
    watchdog()
    var failed = 0
    var skipped = 0
    val chosen = tests.filterKeys { name -> args.isEmpty() || args.any { it in name } }
    for ((name, test) in chosen) {
        try {
            test()
            println("ok       $name")
        } catch (e: Skip) {
            skipped++
            println("skipped  $name: ${e.message}")
        } catch (e: Throwable) {
            failed++
            println("FAILED   $name: $e")
            if (e !is Failure) e.printStackTrace(System.out)
        }
    }
    println("${chosen.size - failed - skipped} passed, $skipped skipped, $failed failed")
    exitProcess(if (failed > 0 || chosen.isEmpty()) 1 else 0)
}

/** In the place of a test that hangs: what every thread is at. */
private fun watchdog() = thread(isDaemon = true) {
    Thread.sleep(15 * 60_000)
    Thread.getAllStackTraces().forEach { (thread, stack) -> println("$thread\n  ${stack.joinToString("\n  ")}") }
    Runtime.getRuntime().halt(3)
}
