package dev.selvedge

/**
 * A function of the app's that the model may call. The app runs what is called, and gives the result back with
 * [Message.resultOf].
 */
public class Tool @JvmOverloads constructor(
    /** 1 to 128 ASCII letters, digits, '_', '-' and '.'; each name once. */
    public val name: String,
    /** What it does and when to call it; the model reads this. */
    public val description: String = "",
    /** A JSON Schema of the arguments, an object, given as its text. */
    public val parameters: String = "{}",
)

/** Whether the model calls tools, and which. */
public class ToolChoice private constructor(internal val number: Int, internal val name: String?) {
    public companion object {
        /** As the model decides; nothing holds its calls to the schemas. */
        @JvmField
        public val AUTO: ToolChoice = ToolChoice(0, null)

        /** No calls: the model is not told of the tools. */
        @JvmField
        public val NONE: ToolChoice = ToolChoice(1, null)

        /** At least one call, of the form that its tool's schema allows. */
        @JvmField
        public val REQUIRED: ToolChoice = ToolChoice(2, null)

        /** The same of the one tool of this name. */
        @JvmStatic
        public fun named(name: String): ToolChoice = ToolChoice(3, name)
    }
}

/** A call of a tool that is whole: in an answer, as an event, and in the message of the assistant that made it. */
public class ToolCall(
    /** What the result refers to; the same answer has the same ids. */
    public val id: String,
    /** The tool. */
    public val name: String,
    /** A JSON object, as its text. Only where the choice was forced is it held to the tool's schema. */
    public val arguments: String,
) : Event() {
    override fun equals(other: Any?): Boolean =
        other is ToolCall && id == other.id && name == other.name && arguments == other.arguments

    override fun hashCode(): Int = listOf(id, name, arguments).hashCode()

    override fun toString(): String = "$name($arguments)"
}

/** What began like a call and is none: of no tool of the request, not closed, or no JSON. In an answer, and as an event. */
public class MalformedCall internal constructor(
    /** The place among the calls of the answer, those included that are none. Pieces of a call of this index are void. */
    public val index: Int,
    /** As the model wrote it. */
    public val text: String,
    /** What is wrong with it. */
    public val reason: String,
) : Event() {
    override fun toString(): String = "no call, for $reason: $text"
}
