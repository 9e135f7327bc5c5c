package dev.selvedge

/** One message of a conversation. */
public class Message @JvmOverloads constructor(
    /** "system", "user", "assistant", "tool", or what else the model's template knows. */
    public val role: String,
    public val content: String,
    /** What the model thought before it, for templates that show it; null: nothing. */
    public val reasoning: String? = null,
    /** Of "assistant": the calls that it made. */
    public val toolCalls: List<ToolCall> = emptyList(),
    /** Of "tool": the [ToolCall.id] of the call whose result it is. Without one, the role is but a name. */
    public val toolCallId: String? = null,
) {
    internal fun texts(): Array<String?> =
        (listOf(role, content, reasoning, toolCallId) + toolCalls.flatMap { listOf(it.id, it.name, it.arguments) })
            .toTypedArray()

    public companion object {
        @JvmStatic
        public fun system(content: String): Message = Message("system", content)

        @JvmStatic
        public fun user(content: String): Message = Message("user", content)

        /** What the model said, and the calls that it made, as an earlier answer has them. */
        @JvmStatic
        @JvmOverloads
        public fun assistant(content: String, toolCalls: List<ToolCall> = emptyList()): Message =
            Message("assistant", content, toolCalls = toolCalls)

        /** What came of a call that the message before it made. */
        @JvmStatic
        public fun resultOf(call: ToolCall, content: String): Message = Message("tool", content, toolCallId = call.id)
    }
}

/** A document that the model may draw on, where its template has a place for it. */
public class Document(public val title: String, public val text: String)

/** As natives take them: of each a `String[]`. */
internal fun List<Message>.conversation(): Array<Any?> = Array(size) { this[it].texts() }
