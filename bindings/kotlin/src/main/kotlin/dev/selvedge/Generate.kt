package dev.selvedge

/** A prompt in, text out. The defaults are greedy. */
public class Generate private constructor(
    internal val prompt: String?,
    internal val messages: List<Message>?,
    internal val tokens: IntArray?,
) {
    /** Goes on from a text. */
    public constructor(prompt: String) : this(prompt, null, null)

    /** Texts that end the answer, which does not contain them. */
    public var stop: List<String> = emptyList()

    /** 0: 256; [NO_LIMIT]: as many as the context holds. */
    public var maxTokens: Int = 0

    /** Of what is drawn; null: another one each time. */
    public var seed: Int? = null

    /** 0: greedy. */
    public var temperature: Float = 0f

    /** 0: off. */
    public var topK: Int = 0

    /** (0, 1]; 0: off. */
    public var topP: Float = 0f

    /** [0, 1]; 0: off. */
    public var minP: Float = 0f

    /** Above 0, 1 is off; 0: off. */
    public var repeatPenalty: Float = 0f

    /** 0: off. */
    public var frequencyPenalty: Float = 0f

    /** 0: off. */
    public var presencePenalty: Float = 0f

    /** Tokens that the penalties look back; 0: 64. */
    public var penaltyLastN: Int = 0

    /** Whether each token comes with its log-probability. */
    public var logprobs: Boolean = false

    /** So many of the likeliest tokens at each place come in [Answer.topLogprobs]; at most 64. */
    public var topLogprobs: Int = 0

    /**
     * Added to the logits of tokens, by their ids, before anything else is done with them: finite numbers. Log-probabilities
     * are without it.
     */
    public var bias: Map<Int, Float> = emptyMap()

    /** Ids of tokens that never come; none of them is in [bias], too. */
    public var ban: Set<Int> = emptySet()

    /**
     * Names of [Options.adapters], with what their changes are multiplied with: a finite number that is not 0; 1: as it was
     * trained. A name that the engine has not: [Code.INVALID_ARGUMENT]. [Answer.adapters] says what was applied.
     */
    public var adapters: Map<String, Float> = emptyMap()

    /** The form that the text must have; null: any. */
    public var grammar: Grammar? = null

    // ---- Of a conversation; with another prompt they are refused ----

    /** What the model may call; at most 1,000. A schema that no call can be held to: [Code.INVALID_ARGUMENT]. */
    public var tools: List<Tool> = emptyList()

    /** Whether it does. */
    public var toolChoice: ToolChoice = ToolChoice.AUTO

    /** What it may draw on. [Code.UNSUPPORTED] where the template has no place for documents. */
    public var documents: List<Document> = emptyList()

    /**
     * Whether a model that can do either thinks before it answers; null: as its template has it. [Code.UNSUPPORTED] where
     * that has no such switch.
     */
    public var thinking: Boolean? = null

    /** Of the template, each a JSON value as its text. [Code.UNSUPPORTED]: one that it does not use. */
    public var variables: Map<String, String> = emptyMap()

    /** Whether the answer goes on with the last message, which is the assistant's. */
    public var continueLast: Boolean = false

    /** Whether what the model thinks is parted from its answer: [Event.Reasoning], [Answer.reasoning]. */
    public var separateReasoning: Boolean = false

    internal fun flags(): Int = (if (seed != null) SEEDED else 0) or (if (logprobs) LOGPROBS else 0) or
        (if (continueLast) CONTINUE_LAST else 0) or (if (separateReasoning) SEPARATE_REASONING else 0)

    internal fun conversation(): Array<Any?>? = messages?.conversation()

    /** The number of the C ABI. */
    internal fun thinks(): Int = when (thinking) {
        null -> 0
        true -> 1
        false -> 2
    }

    internal fun toolTexts(): Array<String> =
        tools.flatMap { listOf(it.name, it.description, it.parameters) }.toTypedArray()

    internal fun documentTexts(): Array<String> = documents.flatMap { listOf(it.title, it.text) }.toTypedArray()

    internal fun biasTokens(): IntArray = (bias.keys.toList() + ban).toIntArray()

    internal fun biases(): FloatArray = (bias.values + ban.map { Float.NEGATIVE_INFINITY }).toFloatArray()

    public companion object {
        /** [maxTokens] without a limit but the context. */
        public const val NO_LIMIT: Int = -1
        private const val SEEDED = 1
        private const val LOGPROBS = 2
        private const val CONTINUE_LAST = 4
        private const val SEPARATE_REASONING = 8

        /** Answers a conversation by the model's own chat template. */
        @JvmStatic
        public fun chat(vararg messages: Message): Generate = Generate(null, messages.toList(), null)

        /** As the other of this name. */
        @JvmStatic
        public fun chat(messages: List<Message>): Generate = Generate(null, messages.toList(), null)

        /** Goes on from ids of the model's vocabulary, as they are. */
        @JvmStatic
        public fun tokens(tokens: IntArray): Generate = Generate(null, null, tokens.clone())
    }
}
