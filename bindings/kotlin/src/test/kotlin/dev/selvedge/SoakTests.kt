package dev.selvedge

import java.io.File
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.runBlocking

/** Resident memory of this process, in KiB. */
internal fun resident(): Long? = File("/proc/self/status").takeIf { it.exists() }?.readLines()
    ?.first { it.startsWith("VmRSS:") }?.filter { it.isDigit() }?.toLong()

internal val soakTests: Map<String, () -> Unit> = mapOf(
    "soak: 10,000 answers take no more memory" to {
        val before = resident() ?: throw Skip("no /proc/self/status")
        Engine.openBlocking(Place.rain).use { engine ->
            val days = 1024L
            val input = mapOf("weather" to Tensor.of(DType.F32, direct(days * 16), days, 4))
            fun once() {
                engine.runBlocking(input).use { it["rain_tomorrow"].floats() }
                engine.start(weather()).use { run -> run.next() }
                refused(Code.INVALID_ARGUMENT) { engine.runBlocking(input, listOf("snow")) }
                Cancel().use { it.set() }
            }
            repeat(2000) { once() }
            System.gc()
            val warm = resident()!!
            repeat(10_000) { once() }
            System.gc()
            val grown = resident()!! - warm
            println("         resident: $before KiB at first, $warm warm, $grown more after 10,000")
            // An answer that stays is 4 KiB, which would make 40 MiB.
            check(grown < 20_000) { "expected no growth, got $grown KiB" }
        }
    },
    "soak: 10,000 flows take no more memory" to {
        Engine.openBlocking(Place.rain).use { engine ->
            val inputs = weather()
            suspend fun some(count: Int) = repeat(count) {
                val events = Run.events { engine.start(inputs) }
                if (it % 2 == 0) events.collect() else events.take(1).collect()
            }
            runBlocking {
                some(2000)
                System.gc()
                val warm = resident() ?: throw Skip("no /proc/self/status")
                some(10_000)
                System.gc()
                val grown = resident()!! - warm
                println("         resident: $grown KiB more after 10,000 flows")
                check(grown < 20_000) { "expected no growth, got $grown KiB" }
            }
        }
    },
)
