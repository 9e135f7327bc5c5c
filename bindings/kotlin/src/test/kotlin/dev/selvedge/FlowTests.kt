package dev.selvedge

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import java.io.File

private fun chat(): Engine =
    Engine.openBlocking(Place.chat?.path ?: throw Skip("no SmolLM2 in SELVEDGE_CORPUS, or no feature llama"))

private val LONG = Generate("Once upon a time").apply { maxTokens = 1500 }

/** A generous end in the place of a hang. */
private fun <T> flow(test: suspend kotlinx.coroutines.CoroutineScope.() -> T) = runBlocking { withTimeout(120_000) { test() } }

/** A model that takes seconds, for what is cancelled. */
private fun slow() = Engine.openBlocking(File(Place.repo, "tests/data/slow_chain.onnx").path, Options(Backend.TRACT))

private fun heavy() = mapOf("x" to Tensor.of(FloatArray(200_000 * 256) { 1f }, 200_000, 256))

/** Nothing computes any more: the engine gives another answer. */
private suspend fun isFree(engine: Engine) {
    val text = engine.run(Generate("The capital of France is").apply { maxTokens = 2 }).use { it.text }
    check(text.startsWith(" Paris")) { "expected Paris, got '$text'" }
}

internal val flowTests: Map<String, () -> Unit> = mapOf(
    "flow: the pieces are the whole" to {
        chat().use { engine ->
            flow {
                val request = Generate("The capital of France is").apply { maxTokens = 16; logprobs = true }
                val events = engine.generate(request).toList()
                val texts = events.filterIsInstance<Event.Text>()
                val done = events.last() as Event.Done
                same(Finish.LENGTH, done.finish)
                same(16L, done.outputTokens)
                check(texts.flatMap { it.tokens }.all { it.logprob <= 0 }) { "expected log-probabilities" }
                engine.run(request).use { answer ->
                    same(answer.text, texts.joinToString("") { it.text })
                    same(answer.tokens, texts.flatMap { it.tokens }.map { it.id })
                    check(answer.text.startsWith(" Paris")) { "got ${answer.text}" }
                }
            }
        }
    },
    "flow: it is cold, and each collector has a run of its own" to {
        chat().use { engine ->
            flow {
                val texts = engine.generate(Generate("The capital of France is").apply { maxTokens = 4 })
                    .filterIsInstance<Event.Text>()
                val first = texts.toList().joinToString("")
                check(first.startsWith(" Paris")) { "got '$first'" }
                same(first, texts.toList().joinToString(""))
            }
        }
    },
    "flow: three, and no more" to {
        chat().use { engine ->
            flow {
                repeat(5) {
                    val three = engine.generate(LONG).filterIsInstance<Event.Text>().take(3).toList()
                    same(3, three.size)
                }
                isFree(engine)
            }
        }
    },
    "flow: a cancelled collector goes on soon, and the work has ended" to {
        chat().use { engine ->
            flow {
                val begun = CompletableDeferred<Double>()
                var texts = 0
                var after = 0
                var isCancelled = false
                val job = launch(Dispatchers.Default) {
                    var from = 0L
                    engine.generate(LONG).filterIsInstance<Event.Text>().collect {
                        if (isCancelled) after++
                        if (texts++ == 0) from = System.nanoTime()
                        if (texts == 21) begun.complete((System.nanoTime() - from) / 20.0)
                    }
                }
                val token = begun.await()
                isCancelled = true
                val from = System.nanoTime()
                job.cancelAndJoin()
                val took = System.nanoTime() - from
                println("         a token in %.1f ms; cancelled and joined in %.1f ms".format(token / 1e6, took / 1e6))
                same(0, after, "events after the cancel")
                // Hundreds of tokens were left: nobody computed them.
                check(took < token * LONG.maxTokens / 4) { "expected the run to end, joined after $took ns" }
                isFree(engine)
            }
        }
    },
    "flow: a cancelled tensor run ends inside its step" to {
        slow().use { engine ->
            val inputs = heavy()
            flow {
                val job: Job = launch(Dispatchers.Default) { engine.run(inputs).close() }
                delay(100)
                val from = System.nanoTime()
                job.cancelAndJoin()
                println("         cancelled and joined in ${(System.nanoTime() - from) / 1_000_000} ms")
                check(job.isCancelled) { "expected it to be cancelled" }
            }
        }
    },
    "flow: the caller's switch ends a call of a coroutine, too" to {
        slow().use { engine ->
            val inputs = heavy()
            Cancel().use { cancel ->
                flow {
                    val work = launch(Dispatchers.Default) {
                        refusedSoon(Code.CANCELLED) { engine.run(inputs, call = Call(cancel)) }
                    }
                    delay(50)
                    cancel.set()
                    work.join()
                    refusedSoon(Code.CANCELLED) { engine.run(weatherOf(engine), call = Call(cancel)) }
                }
            }
        }
    },
    "flow: an error in its middle is thrown to the collector" to {
        chat().use { engine ->
            flow {
                var texts = 0
                Cancel().use { cancel ->
                    refusedSoon(Code.CANCELLED) {
                        engine.generate(LONG, Call(cancel)).collect { if (it is Event.Text && ++texts == 3) cancel.set() }
                    }
                }
                check(texts >= 3) { "expected some text before the error, got $texts" }
                refusedSoon(Code.DEADLINE_EXCEEDED) { engine.generate(LONG, Call(timeoutMillis = 30)).collect() }
                isFree(engine)
            }
        }
    },
    "flow: what a collector throws ends the run" to {
        chat().use { engine ->
            flow {
                val thrown = try {
                    engine.generate(LONG).collect { if (it is Event.Text) throw IllegalStateException("mine") }
                    null
                } catch (e: IllegalStateException) {
                    e
                }
                same("mine", thrown?.message)
                isFree(engine)
            }
        }
    },
    "flow: an engine closed in its middle ends nothing" to {
        val engine = chat()
        flow {
            var texts = 0
            engine.generate(Generate("Once upon a time").apply { maxTokens = 24 }).collect {
                if (it is Event.Text && texts++ == 2) engine.close()
            }
            check(texts > 3) { "expected more text after the close, got $texts" }
            refusedSoon(Code.BAD_HANDLE) { engine.generate("and").collect() }
        }
    },
    "flow: a run closed by another thread ends with a code" to {
        chat().use { engine ->
            val run = engine.start(LONG)
            val closer = kotlin.concurrent.thread {
                Thread.sleep(150)
                run.close()
            }
            val end = try {
                for (event in run) if (event is Event.Done) break
                null
            } catch (e: SelvedgeException) {
                e.code
            }
            closer.join()
            check(end == Code.CANCELLED || end == Code.BAD_HANDLE || end == null) { "got $end" }
            check(!run.hasNext()) { "expected no more events" }
            flow { isFree(engine) }
        }
    },
    "flow: an open that is cancelled leaves nothing" to {
        val path = Place.chat?.path ?: throw Skip("no SmolLM2 in SELVEDGE_CORPUS")
        flow {
            repeat(5) { i ->
                val job = launch(Dispatchers.Default) { Engine.open(path).close() }
                delay(5L * i)
                job.cancelAndJoin()
            }
            try {
                withTimeout(1) { Engine.open(path).close() }
            } catch (_: CancellationException) {
            }
        }
    },
    "soak: 1,000 tokens in short flows leave no run behind" to {
        chat().use { engine ->
            flow {
                repeat(100) {
                    val request = Generate("The capital of France is").apply { maxTokens = 10 }
                    val flow = engine.generate(request)
                    if (it % 4 == 0) flow.take(1).collect() else flow.collect()
                }
                isFree(engine)
            }
        }
    },
)

private fun weatherOf(engine: Engine): Map<String, Tensor> {
    val port = engine.spec.inputs.single()
    return mapOf(port.name to Tensor.of(FloatArray(256), 1, 256))
}

private suspend fun refusedSoon(code: Code, call: suspend () -> Any?) {
    val e = try {
        call()
        null
    } catch (e: SelvedgeException) {
        e
    }
    check(e?.code == code) { "expected $code, got ${e ?: "success"}" }
}
