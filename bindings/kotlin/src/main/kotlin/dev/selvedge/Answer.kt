package dev.selvedge

import java.nio.ByteBuffer

/** What an answer cost. */
public class Usage internal constructor(json: Map<String, Any?>) {
    public val inputTokens: Long = json.long("input_tokens")
    public val cachedTokens: Long = json.long("cached_tokens")
    public val outputTokens: Long = json.long("output_tokens")
    public val queuedNanos: Long = json.long("queued_ns")
    public val prepareNanos: Long = json.long("prepare_ns")
    public val computeNanos: Long = json.long("compute_ns")
    public val generateNanos: Long = json.long("generate_ns")
    public val peakBytes: Long = json.long("peak_bytes")
}

/** Which model and runtime gave an answer. */
public class Provenance internal constructor(json: Map<String, Any?>) {
    public val model: String = json.text("model")
    public val version: String = json.text("version")

    /** SHA-256 of the file, in hexadecimal digits. */
    public val digest: String = json.text("digest")
    public val backend: String = json.text("backend")
    public val runtime: String = json.text("runtime")
}

/** What came back. Outputs and texts are read where the engine left them, until it is closed. */
public class Answer internal constructor(value: Long) : AutoCloseable {
    private val handle = Handle(Handle.Kind.ANSWER, value)

    /** All of it but the tensors, as a JSON object. */
    public val json: String get() = handle.use(Native::answerJson)

    private val parsed by lazy { Json.parseObject(json) }

    /** The outputs by their names, in the model's order. */
    public val outputs: Map<String, Tensor> by lazy {
        handle.use { answer ->
            (0 until Native.answerOutputCount(answer)).associate { tensor(Native.answerOutput(answer, it)) }
        }
    }

    /** The output of a name. Throws [Code.NOT_FOUND]. */
    public operator fun get(name: String): Tensor = handle.use { outputs[name] } ?: throw SelvedgeException(
        Code.NOT_FOUND,
        "output '$name': expected one of ${outputs.keys.joinToString()}",
    )

    /** Of a request to generate. */
    public val text: String get() = parsed.text("text")

    /** Ids of the generated tokens. */
    public val tokens: List<Int> get() = parsed.list("tokens").map { (it as Number).toInt() }

    /** What the model thought, where [Generate.separateReasoning] asks for it. */
    public val reasoning: String get() = parsed.text("reasoning")

    /** What the model calls, in its order. */
    public val toolCalls: List<ToolCall>
        get() = parsed.objects("tool_calls").map { ToolCall(it.text("id"), it.text("name"), it.text("arguments")) }

    /** What began like a call and is none. */
    public val malformedCalls: List<MalformedCall>
        get() = parsed.objects("malformed_calls")
            .map { MalformedCall(it.long("index").toInt(), it.text("text"), it.text("reason")) }

    /** Log-probabilities, one for each token, at most 0; null unless [Generate.logprobs]. */
    public val logprobs: List<Float>?
        get() = (parsed["logprobs"] as? List<*>)?.map { (it as? Number)?.toFloat() ?: Float.NaN }

    /** For each token those that were likeliest at its place, the likeliest first; empty unless [Generate.topLogprobs]. */
    public val topLogprobs: List<List<Token>>
        get() = parsed.list("top_logprobs").map { place ->
            (place as List<*>).map {
                @Suppress("UNCHECKED_CAST")
                val token = it as Map<String, Any?>
                Token(token.long("id").toInt(), token.float("logprob"))
            }
        }

    /** The adapters that were applied. */
    public val adapters: List<AppliedAdapter> get() = parsed.objects("adapters").map(::AppliedAdapter)

    public val finish: Finish get() = Finish.of(parsed.text("finish"))

    /** The stop text, if one came up. */
    public val stop: String? get() = parsed["stop"] as? String

    /** [Call.id]. */
    public val id: Long get() = parsed.long("id")

    public val usage: Usage get() = Usage(parsed.obj("usage"))

    public val provenance: Provenance get() = Provenance(parsed.obj("provenance"))

    /** Frees the answer, but for the memory of a [Tensor.buffer] that is still reached. */
    override fun close(): Unit = handle.close()

    private fun tensor(output: Array<Any?>): Pair<String, Tensor> {
        val (name, shape, data) = output
        val numbers = shape as LongArray
        val dtype = DType.of(numbers[0].toInt())
        val dims = numbers.copyOfRange(1, numbers.size)
        @Suppress("UNCHECKED_CAST")
        val texts = if (dtype == DType.STRING) data as Array<String?> else null
        return name as String to Tensor(dtype, dims, data as? ByteBuffer, texts, handle)
    }
}
