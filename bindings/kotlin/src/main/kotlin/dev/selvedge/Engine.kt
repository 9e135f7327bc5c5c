package dev.selvedge

import java.nio.ByteBuffer
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.withContext

/** How much memory to give back. */
public enum class Trim(internal val number: Int) {
    /** What was kept to be faster: prefixes, plans. */
    CACHES(1),

    /** Also what the next call makes anew. */
    ALL(2),
}

/** A direct buffer for the output of a name. */
public class Output @JvmOverloads constructor(
    public val name: String,
    /** Written from its position. */
    public val data: ByteBuffer,
    /** What the output must be; null: whatever it is. */
    public val dtype: DType? = null,
)

/** Is told the events of a run, on the calling thread. */
public fun interface EventListener {
    public fun event(event: Event)
}

/**
 * A loaded model, or a layer around one: shared, used from any thread. What suspends computes on a thread that may block,
 * and to cancel the coroutine ends the work; what ends in `Blocking` blocks the calling thread, and is for Java, too.
 */
public class Engine internal constructor(value: Long) : AutoCloseable {
    private val handle = Handle(Handle.Kind.ENGINE, value)

    private val lazySpec = lazy { Spec(handle.use(Native::engineSpec)) }

    /** What the engine takes, gives, can do and costs. */
    public val spec: Spec
        get() = handle.use { lazySpec.value }

    /** Runs tensors through the engine. */
    public suspend fun run(vararg inputs: Pair<String, Tensor>, call: Call = Call()): Answer =
        run(mapOf(*inputs), null, call)

    /** Runs tensors through the engine; [outputs] are the names wanted, in this order, or null for all. */
    public suspend fun run(inputs: Map<String, Tensor>, outputs: List<String>? = null, call: Call = Call()): Answer =
        interruptible(call.cancel) { runBlocking(inputs, outputs, call.with(it)) }

    /** As [run], on the calling thread. */
    @JvmOverloads
    public fun runBlocking(inputs: Map<String, Tensor>, outputs: List<String>? = null, call: Call = Call()): Answer =
        Answer(
            Inputs(inputs).use { i ->
                call.use { cancel, timeout, id, priority ->
                    handle.use {
                        val wanted = outputs?.toTypedArray()
                        Native.engineRun(
                            it, i.names, i.dtypes, i.ranks, i.dims, i.data, wanted, cancel, timeout, id, priority,
                        )
                    }
                }
            },
        )

    /**
     * Runs tensors through the engine, and puts outputs into the caller's memory, which is not copied. Gives the shape of
     * each, by its name.
     */
    @JvmOverloads
    public fun runIntoBlocking(
        inputs: Map<String, Tensor>, outputs: List<Output>, call: Call = Call(),
    ): Map<String, LongArray> {
        val names = Array(outputs.size) { outputs[it].name }
        val buffers = Array<Any?>(outputs.size) { writable(outputs[it]) }
        val wanted = IntArray(outputs.size) { outputs[it].dtype?.number ?: 0 }
        val shapes = Inputs(inputs).use { i ->
            call.use { cancel, timeout, id, priority ->
                handle.use {
                    Native.engineRunInto(
                        it, i.names, i.dtypes, i.ranks, i.dims, i.data, names, buffers, wanted, cancel, timeout, id,
                        priority,
                    )
                }
            }
        }
        return shapesOf(names, shapes)
    }

    /** As [runIntoBlocking], of a coroutine. */
    public suspend fun runInto(
        inputs: Map<String, Tensor>, outputs: List<Output>, call: Call = Call(),
    ): Map<String, LongArray> = interruptible(call.cancel) { runIntoBlocking(inputs, outputs, call.with(it)) }

    /** Starts to run tensors, to be pulled step by step. */
    @JvmOverloads
    public fun start(inputs: Map<String, Tensor>, outputs: List<String>? = null, call: Call = Call()): Run =
        Run.of(call) { c ->
            Inputs(inputs).use { i ->
                c.use { cancel, timeout, id, priority ->
                    handle.use {
                        val wanted = outputs?.toTypedArray()
                        Native.engineStart(
                            it, i.names, i.dtypes, i.ranks, i.dims, i.data, wanted, cancel, timeout, id, priority,
                        )
                    }
                }
            }
        }

    /** Starts to generate text, to be pulled step by step. */
    @JvmOverloads
    public fun start(request: Generate, call: Call = Call()): Run = Run.of(call) { c ->
        c.use { cancel, timeout, id, priority ->
            handle.use {
                val r = request
                Native.engineGenerate(
                    it, r.prompt, r.conversation(), r.tokens, r.stop.toTypedArray(), r.flags(), r.maxTokens,
                    r.seed ?: 0, r.temperature, r.topK, r.topP, r.minP, r.repeatPenalty, r.frequencyPenalty,
                    r.presencePenalty, r.penaltyLastN, r.grammar?.text, r.grammar?.kind ?: 0, r.toolTexts(),
                    r.toolChoice.number, r.toolChoice.name, r.documentTexts(), r.thinks(), r.variables.flat(),
                    r.adapters.keys.toTypedArray(), r.adapters.values.toFloatArray(), r.biasTokens(), r.biases(),
                    r.topLogprobs, cancel, timeout, id, priority,
                )
            }
        }
    }

    /**
     * Generates text: a cold flow of its events, the last of which is [Event.Done]. Each collector starts a run of its own,
     * and to cancel it ends the run.
     */
    public fun generate(request: Generate, call: Call = Call()): Flow<Event> = Run.events { start(request, call) }

    /** Goes on from a text, greedily. */
    public fun generate(prompt: String): Flow<Event> = generate(Generate(prompt))

    /** Generates text on the calling thread, and tells each event to [listener]. */
    @JvmOverloads
    public fun generateBlocking(request: Generate, call: Call = Call(), listener: EventListener? = null): Answer =
        start(request, call).use { run ->
            for (event in run) listener?.event(event)
            run.answer()
        }

    /** Generates text, to its end. */
    public suspend fun run(request: Generate, call: Call = Call()): Answer =
        interruptible(call.cancel) { generateBlocking(request, call.with(it)) }

    /** One vector for each text: the output "embedding", F32 [texts, dimensions], of length 1 unless [raw]. */
    public suspend fun embed(texts: List<String>, raw: Boolean = false, call: Call = Call()): Answer =
        interruptible(call.cancel) { embedBlocking(texts, raw, call.with(it)) }

    /** As [embed], on the calling thread. */
    @JvmOverloads
    public fun embedBlocking(texts: List<String>, raw: Boolean = false, call: Call = Call()): Answer = Answer(
        call.use { cancel, timeout, id, priority ->
            handle.use {
                Native.engineEmbed(it, texts.toTypedArray(), if (raw) 1 else 0, cancel, timeout, id, priority)
            }
        },
    )

    /** How likely each continuation of a text is, by the model. */
    public suspend fun score(prompt: String, continuations: List<String>): Scores = score(Generate(prompt), continuations)

    /**
     * How likely each continuation of the prompt is, by the model. At least one, and none of them empty. Of [request], the
     * prompt and [Generate.adapters] count. [Code.UNSUPPORTED]: an engine that cannot.
     */
    public suspend fun score(request: Generate, continuations: List<String>, call: Call = Call()): Scores =
        interruptible(call.cancel) { scoreBlocking(request, continuations, call.with(it)) }

    /** As [score], on the calling thread. */
    @JvmOverloads
    public fun scoreBlocking(request: Generate, continuations: List<String>, call: Call = Call()): Scores = Answer(
        call.use { cancel, timeout, id, priority ->
            handle.use {
                val r = request
                Native.engineScore(
                    it, r.prompt, r.conversation(), r.tokens, continuations.toTypedArray(),
                    r.adapters.keys.toTypedArray(), r.adapters.values.toFloatArray(), cancel, timeout, id, priority,
                )
            }
        },
    ).use(::Scores)

    /**
     * How well each document answers the query, by a model that reads both together. At least one document; the query is not
     * empty. [Code.UNSUPPORTED]: an engine that cannot.
     */
    public suspend fun rerank(query: String, documents: List<String>, call: Call = Call()): Ranking =
        interruptible(call.cancel) { rerankBlocking(query, documents, call.with(it)) }

    /** As [rerank], on the calling thread. */
    @JvmOverloads
    public fun rerankBlocking(query: String, documents: List<String>, call: Call = Call()): Ranking = Answer(
        call.use { cancel, timeout, id, priority ->
            handle.use { Native.engineRerank(it, query, documents.toTypedArray(), cancel, timeout, id, priority) }
        },
    ).use(::Ranking)

    /**
     * Writes what finished runs have left in the engine's prefix cache to a file, in the place of an earlier one, durably:
     * what it has computed of prompts, which prompts that begin alike reuse. Whoever has the model can read it back as text;
     * it is readable for its owner alone. [Code.UNSUPPORTED]: an engine without such a cache. [Code.IO]: the file is as it
     * was.
     */
    public suspend fun savePrefixes(path: String): Prefixes = withContext(Dispatchers.IO) { savePrefixesBlocking(path) }

    /** As [savePrefixes], on the calling thread. */
    public fun savePrefixesBlocking(path: String): Prefixes =
        Prefixes(handle.use { Native.engineSavePrefixes(it, path) })

    /**
     * Takes the prefixes of a file into the engine's prefix cache, and says how many found a place. Answers are the same, to
     * the last bit, as without. [Code.NOT_FOUND]; [Code.CORRUPT]: a damaged file, or none of these; [Code.INVALID_ARGUMENT]:
     * of another model, build, kind of processor, or [Options.contextTokens]. The engine is then as it was.
     */
    public suspend fun restorePrefixes(path: String): Prefixes =
        withContext(Dispatchers.IO) { restorePrefixesBlocking(path) }

    /** As [restorePrefixes], on the calling thread. */
    public fun restorePrefixesBlocking(path: String): Prefixes =
        Prefixes(handle.use { Native.engineRestorePrefixes(it, path) })

    /** Gives memory back, and says how many bytes; the next call is slower. */
    public fun trim(level: Trim): Long = handle.use { Native.engineTrim(it, level.number) }

    /** The tokens of a text. */
    public fun tokenize(text: String): IntArray = handle.use { Native.engineTokenize(it, text, null) }

    /** The tokens of a conversation, by the model's own chat template. */
    public fun tokenize(messages: List<Message>): IntArray =
        handle.use { Native.engineTokenize(it, null, messages.conversation()) }

    /** The text of tokens. */
    public fun detokenize(tokens: IntArray): String = handle.use { Native.engineDetokenize(it, tokens) }

    /** A conversation as the model sees it, by its chat template. */
    public fun render(messages: List<Message>): String =
        handle.use { Native.engineRender(it, messages.conversation()) }

    /** Closes the handle. Calls and runs under way go on to their end, and answers stay valid. */
    override fun close(): Unit = handle.close()

    internal fun <R> withHandle(block: (Long) -> R): R = handle.use(block)

    private fun writable(output: Output): ByteBuffer {
        val data = output.data
        if (!data.isDirect || data.isReadOnly) {
            throw SelvedgeException.invalid("output '${output.name}': expected a direct buffer that can be written")
        }
        return data.whole()
    }

    private fun shapesOf(names: Array<String>, numbers: LongArray): Map<String, LongArray> {
        var at = 0
        return names.associateWith {
            val rank = numbers[at + 2].toInt()
            at += 3 + rank
            numbers.copyOfRange(at - rank, at)
        }
    }

    public companion object {
        /** Opens the model file at [path], and suspends until it is loaded. */
        public suspend fun open(path: String, options: Options = Options()): Engine = open(Source.path(path), options)

        /** Opens a model from a path, an open file or memory. */
        public suspend fun open(source: Source, options: Options = Options()): Engine =
            interruptible(options.cancel) { Engine(options.open(source, Options.OPEN, it)) }

        /** As [open], on the calling thread. */
        @JvmStatic
        @JvmOverloads
        public fun openBlocking(path: String, options: Options = Options()): Engine =
            openBlocking(Source.path(path), options)

        /** As [open], on the calling thread. */
        @JvmStatic
        @JvmOverloads
        public fun openBlocking(source: Source, options: Options = Options()): Engine =
            Engine(options.open(source, Options.OPEN))

        /** What a model file holds, without opening it, as a JSON object. */
        @JvmStatic
        @JvmOverloads
        public fun inspect(source: Source, options: Options = Options()): String =
            Native.bufferText(options.open(source, Options.INSPECT))

        /** Returns if all of the file is well formed and a backend of this build takes it, without loading it. */
        @JvmStatic
        @JvmOverloads
        public fun validate(source: Source, options: Options = Options()) {
            options.open(source, Options.VALIDATE)
        }
    }
}

/** Named tensors as natives take them, lent until they are closed. */
internal class Inputs(inputs: Map<String, Tensor>) : AutoCloseable {
    private val tensors = inputs.values.toTypedArray()
    val names: Array<String> = inputs.keys.toTypedArray()
    val dtypes = IntArray(tensors.size) { tensors[it].dtype.number }
    val ranks = IntArray(tensors.size) { tensors[it].dims().size }
    val dims: LongArray = LongArray(ranks.sum()).also { all ->
        var at = 0
        for (tensor in tensors) {
            tensor.dims().copyInto(all, at)
            at += tensor.dims().size
        }
    }
    val data = arrayOfNulls<Any?>(tensors.size)

    init {
        var lent = 0
        try {
            while (lent < tensors.size) data[lent] = tensors[lent].lend().also { lent++ }
        } catch (e: SelvedgeException) {
            // The one that was refused was not lent.
            for (i in 0 until lent) tensors[i].giveBack()
            throw e
        }
    }

    override fun close() = tensors.forEach { it.giveBack() }
}
