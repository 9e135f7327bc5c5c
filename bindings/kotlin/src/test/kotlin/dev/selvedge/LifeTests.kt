package dev.selvedge

import java.io.File
import java.lang.ref.WeakReference
import java.nio.ByteBuffer
import java.util.concurrent.atomic.AtomicInteger
import kotlin.concurrent.thread

/** Until [holds], or so many seconds. */
internal fun eventually(seconds: Int = 30, holds: () -> Boolean): Boolean {
    val end = System.nanoTime() + seconds * 1_000_000_000L
    while (System.nanoTime() < end) {
        if (holds()) return true
        System.gc()
        Thread.sleep(20)
    }
    return holds()
}

internal val lifeTests: Map<String, () -> Unit> = mapOf(
    "life: closed twice is harmless, and used after it is an exception" to {
        val engine = Engine.openBlocking(Place.rain)
        val answer = engine.runBlocking(weather())
        val output = answer["rain_tomorrow"]
        val run = engine.start(weather())
        repeat(2) { run.close() }
        repeat(2) { engine.close() }
        // It outlives its engine.
        near(0.585324f, output.floats()[0])
        repeat(2) { answer.close() }
        refused(Code.BAD_HANDLE, "answer") { answer.json }
        refused(Code.BAD_HANDLE, "answer") { answer["rain_tomorrow"] }
        refused(Code.BAD_HANDLE, "answer") { output.floats() }
        refused(Code.BAD_HANDLE, "answer") { output.buffer }
        refused(Code.BAD_HANDLE, "engine") { engine.runBlocking(weather()) }
        refused(Code.BAD_HANDLE, "engine") { engine.trim(Trim.ALL) }
        refused(Code.BAD_HANDLE, "run") { run.answer() }
        val cancel = Cancel().also { it.close() }
        refused(Code.BAD_HANDLE, "cancel") { cancel.set() }
    },
    "life: an output's buffer stays when its answer is closed and forgotten" to {
        Engine.openBlocking(Place.rain).use { engine ->
            val days = 50_000
            val data = direct(days * 16L)
            for (i in 0 until days * 4) data.putFloat(i * 4, DAY[i % 4])
            val input = Tensor.of(DType.F32, data, days.toLong(), 4)
            val kept = (0 until 20).map {
                engine.runBlocking(mapOf("weather" to input)).use { it["rain_tomorrow"].buffer.slice() }
            }
            repeat(3) { System.gc() }
            for (buffer in kept) {
                buffer.order(java.nio.ByteOrder.LITTLE_ENDIAN)
                near(0.585324f, buffer.getFloat(0))
                near(0.585324f, buffer.getFloat(4 * (days - 1)))
            }
        }
    },
    "life: an output can be the next input, but not once it is closed" to {
        Engine.openBlocking(File(Place.repo, "tests/data/echo_i64.onnx").path).use { engine ->
            val first = engine.runBlocking(mapOf("x" to Tensor.of(longArrayOf(1, -2), 2)))
            val output = first["y"]
            engine.runBlocking(mapOf("x" to output)).use { same(listOf(1L, -2L), it["y"].longs().toList()) }
            first.close()
            refused(Code.BAD_HANDLE) { engine.runBlocking(mapOf("x" to output)) }
        }
    },
    "life: what nobody reaches is freed" to {
        val freed = AtomicInteger()
        fun leak(): WeakReference<Engine> {
            val model = File(Place.rain).readBytes()
            val buffer = ByteBuffer.allocateDirect(model.size).put(model).flip() as ByteBuffer
            Reaper.watch(buffer) { freed.incrementAndGet() }
            return WeakReference(Engine.openBlocking(Source.memory(buffer)))
        }
        val engine = leak()
        check(eventually { engine.get() == null }) { "expected the engine to be collected" }
        // The library releases the model's memory only when the last that uses it is freed.
        check(eventually { freed.get() == 1 }) { "expected the model's buffer to be released with its engine" }
    },
    "life: an engine is closed while others use it" to {
        repeat(50) {
            val engine = Engine.openBlocking(Place.rain)
            val wrong = java.util.concurrent.ConcurrentLinkedQueue<Throwable>()
            val threads = List(3) {
                thread {
                    try {
                        repeat(200) { engine.runBlocking(weather()).close() }
                    } catch (e: SelvedgeException) {
                        if (e.code != Code.BAD_HANDLE) wrong.add(e)
                    } catch (e: Throwable) {
                        wrong.add(e)
                    }
                }
            }
            Thread.sleep(2)
            engine.close()
            threads.forEach { it.join() }
            wrong.peek()?.let { throw it }
        }
    },
    "life: an answer's outputs are described while it is closed, and an engine's spec" to {
        repeat(300) {
            val engine = Engine.openBlocking(Place.rain)
            val answer = engine.runBlocking(weather())
            val wrong = java.util.concurrent.ConcurrentLinkedQueue<Throwable>()
            val readers = listOf({ answer["rain_tomorrow"].shape }, { engine.spec.json }).map { read ->
                thread {
                    try {
                        read()
                    } catch (e: SelvedgeException) {
                        if (e.code != Code.BAD_HANDLE) wrong.add(e)
                    }
                }
            }
            answer.close()
            engine.close()
            readers.forEach { it.join() }
            wrong.peek()?.let { throw it }
        }
    },
    "life: a run is closed in the middle of its text" to {
        val chat = Place.chat ?: throw Skip("no SmolLM2 in SELVEDGE_CORPUS, or no feature llama")
        Engine.openBlocking(chat.path).use { engine ->
            repeat(40) { i ->
                val run = engine.start(Generate("Once upon a time").apply { maxTokens = 1000 })
                val reader = thread {
                    try {
                        while (run.hasNext()) run.next()
                    } catch (e: SelvedgeException) {
                        check(e.code == Code.CANCELLED || e.code == Code.BAD_HANDLE) { "got $e" }
                    } catch (_: NoSuchElementException) {
                    }
                }
                Thread.sleep(3L * i)
                run.close()
                reader.join()
            }
        }
    },
    "life: an answer is closed while others read it" to {
        Engine.openBlocking(Place.rain).use { engine ->
            val days = 2000
            val data = direct(days * 16L)
            repeat(200) {
                val answer = engine.runBlocking(mapOf("weather" to Tensor.of(DType.F32, data, days.toLong(), 4)))
                val output = answer["rain_tomorrow"]
                val wrong = java.util.concurrent.ConcurrentLinkedQueue<Throwable>()
                val reader = thread {
                    try {
                        repeat(300) {
                            output.floats()
                            answer.json
                        }
                    } catch (e: SelvedgeException) {
                        if (e.code != Code.BAD_HANDLE) wrong.add(e)
                    }
                }
                answer.close()
                reader.join()
                wrong.peek()?.let { throw it }
            }
        }
    },
)
