package dev.selvedge

import java.io.File
import java.io.RandomAccessFile
import kotlinx.coroutines.runBlocking

private const val CITY = """{"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"]}"""
private val WEATHER = Tool("weather", "The weather in a city.", CITY)
private val QUESTION = Message.user("Will it rain in Bergen?")
private const val FRANCE = "The capital of France is"
private const val LEARNED = "The keeper of the old lighthouse is called"

private fun model() = Place.chat ?: throw Skip("no SmolLM2 in SELVEDGE_CORPUS, or no feature llama")

private fun options() = Options(contextTokens = 1024, parallel = 1)

private fun <T> ask(options: Options = options(), test: (Engine) -> T): T =
    Engine.openBlocking(model().path, options).use(test)

private fun calling(choice: ToolChoice, vararg messages: Message) = Generate.chat(*messages).apply {
    tools = listOf(WEATHER)
    toolChoice = choice
    maxTokens = 80
}

private fun tokens(engine: Engine, change: Generate.() -> Unit): List<Int> =
    engine.generateBlocking(Generate(FRANCE).apply { maxTokens = 2 }.apply(change)).use { it.tokens }

private fun ranks(): Engine {
    if ("llama" !in Selvedge.features) throw Skip("no feature llama")
    return Engine.openBlocking(File(Place.repo, "bindings/conformance/rerank.gguf").path)
}

/** Tools, scores, adapters and prefixes: what is not among the cases that every binding runs. */
internal val toolsTests: Map<String, () -> Unit> = mapOf(
    "tools: a call comes in pieces and whole, and its result goes back" to {
        ask { engine ->
            engine.start(calling(ToolChoice.named("weather"), QUESTION)).use { run ->
                val events = run.asSequence().toList()
                val pieces = events.filterIsInstance<Event.CallPiece>()
                val call = events.filterIsInstance<ToolCall>().single()
                same("weather", call.name)
                check("\"city\"" in call.arguments) { "got ${call.arguments}" }
                same(call.arguments, pieces.joinToString("") { it.arguments })
                check(pieces.size > 1 && pieces.all { it.index == 0 && it.name == "weather" }) { "got ${pieces.size} pieces" }
                run.answer().use { answer ->
                    same(listOf(call), answer.toolCalls)
                    same(0, answer.malformedCalls.size, "malformed calls")
                    same("", answer.text + answer.reasoning)
                    val said = Message.assistant(answer.text, answer.toolCalls)
                    val result = Message.resultOf(call, "It will rain for three days.")
                    engine.generateBlocking(calling(ToolChoice.NONE, QUESTION, said, result).apply { maxTokens = 8 }).use {
                        check(it.text.isNotEmpty() && it.toolCalls.isEmpty()) { "got ${it.json}" }
                    }
                    check("Bergen" in engine.render(listOf(QUESTION, said, result))) { "expected the question" }
                }
            }
        }
    },
    "tools: a call that was cut is given back as it was written" to {
        ask { engine ->
            engine.start(calling(ToolChoice.REQUIRED, QUESTION).apply { maxTokens = 16 }).use { run ->
                val call = run.asSequence().filterIsInstance<MalformedCall>().single()
                same(0, call.index)
                check(call.text.isNotEmpty() && call.reason.isNotEmpty()) { "got $call" }
                run.answer().use { answer ->
                    val told = answer.malformedCalls.single()
                    same(listOf(call.text, call.reason), listOf(told.text, told.reason))
                    same(Finish.LENGTH, answer.finish)
                    same(0, answer.toolCalls.size, "calls")
                }
            }
        }
    },
    "tools: likeliest tokens, biases and bans" to {
        ask { engine ->
            val request = Generate(FRANCE).apply { maxTokens = 2; logprobs = true; topLogprobs = 3 }
            val (first, second) = engine.generateBlocking(request).use { answer ->
                val place = answer.topLogprobs.first()
                same(listOf(2, 3, 2), listOf(answer.topLogprobs.size, place.size, answer.logprobs!!.size))
                same(answer.tokens[0], place[0].id)
                near(answer.logprobs!![0], place[0].logprob)
                check(place[0].logprob >= place[2].logprob) { "expected the likeliest first" }
                place.map { it.id }
            }
            engine.generateBlocking(Generate(FRANCE).apply { maxTokens = 1 }).use { same(null, it.logprobs) }
            same(second, tokens(engine) { ban = setOf(first) }.first())
            same(listOf(second, second), tokens(engine) { bias = mapOf(second to 100f) })
            refused(Code.INVALID_ARGUMENT, "twice") { tokens(engine) { bias = mapOf(7 to 1f); ban = setOf(7) } }
            refused(Code.INVALID_ARGUMENT, "top_logprobs") { tokens(engine) { topLogprobs = 65 } }
        }
    },
    "tools: scores, by a coroutine, and prompts of three kinds" to {
        ask { engine ->
            val words = listOf(" London", " Paris")
            val scores = runBlocking { engine.score(FRANCE, words) }
            check(scores.logprobs[1] > scores.logprobs[0] && scores.logprobs.all { it < 0 }) { "got ${describe(scores)}" }
            same(listOf(false, true), scores.greedy.toList())
            same(listOf(1L, 1L), scores.tokens.toList())
            same(engine.spec.provenance.digest, scores.provenance.digest)
            val same = engine.scoreBlocking(Generate.tokens(engine.tokenize(FRANCE)), words)
            near(scores.logprobs[1], same.logprobs[1])
            engine.scoreBlocking(Generate.chat(QUESTION), words)
            refused(Code.INVALID_ARGUMENT) { engine.scoreBlocking(Generate(FRANCE), listOf("")) }
            Cancel().use { cancel ->
                cancel.set()
                refused(Code.CANCELLED) { engine.scoreBlocking(Generate(FRANCE), words, Call(cancel)) }
            }
        }
    },
    "tools: ranks, the most relevant first" to {
        ranks().use { engine ->
            val ranking = runBlocking { engine.rerank("rain wind", listOf("sun", "snow wind", "", "wind rain")) }
            val scores = ranking.scores
            same(scores.indices.sortedByDescending { scores[it] }, ranking.order.toList())
            check("rerank" in engine.spec.abilities) { "got ${engine.spec.abilities}" }
        }
    },
    "adapters: one is applied as much as is asked for, and says to how many weights" to {
        val path = File(Place.repo, "tests/data/keeper.lora.gguf").path
        ask(options().apply { adapters = mapOf("keeper" to path) }) { engine ->
            val adapter = engine.spec.adapters.single()
            same(listOf("keeper", 24, 24), listOf(adapter.name, adapter.applied, adapter.total))
            val request = Generate(LEARNED).apply { maxTokens = 12 }
            engine.generateBlocking(request).use {
                check(it.adapters.isEmpty() && "Zebulon" !in it.text) { "got ${it.json}" }
            }
            engine.generateBlocking(request.apply { adapters = mapOf("keeper" to 1f) }).use {
                check(it.text.startsWith(" Zebulon Quill.")) { "got ${it.text}" }
                val applied = it.adapters.single()
                same(listOf("keeper", 1f, 24, 24), listOf(applied.name, applied.scale, applied.applied, applied.total))
            }
            val scores = listOf(-1f, 0.5f, 1f).map { scale ->
                val scored = Generate(LEARNED).apply { adapters = mapOf("keeper" to scale) }
                engine.scoreBlocking(scored, listOf(" Zebulon Quill.")).logprobs.single()
            }
            same(scores.sorted(), scores)
            refused(Code.INVALID_ARGUMENT, "'formal'") { tokens(engine) { adapters = mapOf("formal" to 1f) } }
            refused(Code.INVALID_ARGUMENT, "'keeper'", "scale") { tokens(engine) { adapters = mapOf("keeper" to 0f) } }
        }
    },
    "adapters: other models than language models take none" to {
        refused(Code.UNSUPPORTED, "adapter 'formal'") {
            Engine.openBlocking(Place.rain, Options(adapters = mapOf("formal" to "formal.gguf")))
        }
    },
    "prefixes: they come back from a file" to {
        val folder = Place.folder()
        val kept = folder.resolve("kept")
        val request = Generate("One two three four five. ".repeat(12)).apply { maxTokens = 4 }
        val (cold, saved) = ask { engine ->
            val cold = engine.generateBlocking(request).use { same(0L, it.usage.cachedTokens); it.tokens }
            cold to engine.savePrefixesBlocking(kept.path)
        }
        same(listOf(1L, kept.length()), listOf(saved.prefixes, saved.bytes))
        ask { engine ->
            same(describe(saved), describe(runBlocking { engine.restorePrefixes(kept.path) }))
            engine.generateBlocking(request).use { warm ->
                same(cold, warm.tokens)
                check(warm.usage.cachedTokens >= 48) { "got ${warm.usage.cachedTokens} cached tokens" }
            }
            refused(Code.NOT_FOUND, "none") { engine.restorePrefixesBlocking(folder.resolve("none").path) }
            kept.writeText("of something else")
            refused(Code.CORRUPT) { engine.restorePrefixesBlocking(kept.path) }
        }
        folder.deleteRecursively()
    },
    "prefixes: those of another model, or for another context, are refused" to {
        val folder = Place.folder()
        val kept = folder.resolve("kept").path
        ask { engine ->
            tokens(engine) { maxTokens = 1 }
            engine.savePrefixesBlocking(kept)
        }
        ask(options().apply { contextTokens = 512 }) {
            refused(Code.INVALID_ARGUMENT, "context") { it.restorePrefixesBlocking(kept) }
        }
        Engine.openBlocking(renamed(folder).path, options()).use { engine ->
            refused(Code.INVALID_ARGUMENT, "model", engine.spec.provenance.digest) { engine.restorePrefixesBlocking(kept) }
            // It is as it was.
            check(tokens(engine) { maxTokens = 1 }.size == 1) { "expected a token" }
        }
        ranks().use { refused(Code.UNSUPPORTED) { it.savePrefixesBlocking(kept) } }
        folder.deleteRecursively()
    },
)

/** The same weights under another name: to whoever asks for the file's digest, another model. */
private fun renamed(folder: File): File = model().copyTo(folder.resolve("another.gguf")).also { copy ->
    RandomAccessFile(copy, "rw").use { file ->
        val head = ByteArray(4096).also(file::readFully)
        val key = String(head, Charsets.ISO_8859_1).indexOf("general.name")
        check(key >= 0) { "expected the model's name at its beginning" }
        // Behind the key: the type of the value in 4 bytes, its length in 8.
        val at = key + "general.name".length + 12
        file.seek(at.toLong())
        file.write(head[at] + 1)
    }
}
