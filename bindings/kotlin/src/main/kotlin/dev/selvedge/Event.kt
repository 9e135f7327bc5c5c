package dev.selvedge

/** Why an answer ended. */
public enum class Finish(internal val number: Int, internal val label: String) {
    /** All outputs were computed. */
    COMPLETE(1, "complete"),

    /** The model ended its text. */
    END_OF_TEXT(2, "end_of_text"),

    /** A stop text came up. */
    STOP(3, "stop"),

    /** [Generate.maxTokens] was reached. */
    LENGTH(4, "length"),

    /** The context is full. */
    CONTEXT_FULL(5, "context_full"),

    /** A reason younger than this class. */
    OTHER(255, "other");

    internal companion object {
        fun of(number: Int): Finish = entries.find { it.number == number } ?: OTHER

        fun of(label: String): Finish = entries.find { it.label == label } ?: OTHER
    }
}

/** A token: a sampled one, or one that was likely. */
public class Token internal constructor(
    /** In the model's vocabulary. */
    public val id: Int,
    /** At most 0; NaN unless [Generate.logprobs]. */
    public val logprob: Float,
)

/** What a step of a run brought: one of those here, a [ToolCall], or a [MalformedCall]. */
public sealed class Event {
    /** Nothing to be seen yet: [done] of [total] units, prompt tokens for text; [total] is 0 where it is not known. */
    public class Working internal constructor(public val done: Long, public val total: Long) : Event()

    /** A piece of the answer, and the tokens that made it: none, one or several. */
    public class Text internal constructor(public val text: String, public val tokens: List<Token>) : Event() {
        override fun toString(): String = text
    }

    /** A piece of what the model thinks, where [Generate.separateReasoning] asks for it, and the tokens that made it. */
    public class Reasoning internal constructor(public val text: String, public val tokens: List<Token>) : Event() {
        override fun toString(): String = text
    }

    /**
     * A piece of a call that is being written, and may turn out to be none: the arguments of all pieces of an index are
     * those of the [ToolCall] that follows them, and void if a [MalformedCall] of the index does.
     */
    public class CallPiece internal constructor(
        /** The place among the calls of the answer, those included that are none. */
        public val index: Int,
        /** The tool. */
        public val name: String,
        public val arguments: String,
        public val tokens: List<Token>,
    ) : Event()

    /** The answer is complete. */
    public class Done internal constructor(
        public val finish: Finish,
        /** The stop text, if one came up. */
        public val stop: String?,
        /** Prompt tokens. */
        public val inputTokens: Long,
        /** Of those, so many a cache saved. */
        public val cachedTokens: Long,
        /** Generated ones. */
        public val outputTokens: Long,
    ) : Event()
}
