package dev.selvedge

/** One message of a conversation. */
public class Message(
    /** "system", "user", "assistant", or what else the model's template knows. */
    public val role: String,
    public val content: String,
) {
    public companion object {
        @JvmStatic
        public fun system(content: String): Message = Message("system", content)

        @JvmStatic
        public fun user(content: String): Message = Message("user", content)

        @JvmStatic
        public fun assistant(content: String): Message = Message("assistant", content)
    }
}

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

    /** The form that the text must have; null: any. */
    public var grammar: Grammar? = null

    internal fun flags(): Int = (if (seed != null) SEEDED else 0) or (if (logprobs) LOGPROBS else 0)

    internal fun conversation(): Array<String>? = messages?.conversation()

    public companion object {
        /** [maxTokens] without a limit but the context. */
        public const val NO_LIMIT: Int = -1
        private const val SEEDED = 1
        private const val LOGPROBS = 2

        /** Answers a conversation by the model's own chat template. */
        @JvmStatic
        public fun chat(vararg messages: Message): Generate = Generate(null, messages.toList(), null)

        /** Goes on from ids of the model's vocabulary, as they are. */
        @JvmStatic
        public fun tokens(tokens: IntArray): Generate = Generate(null, null, tokens.clone())
    }
}

internal fun List<Message>.conversation(): Array<String> = flatMap { listOf(it.role, it.content) }.toTypedArray()
