package dev.selvedge

/** What kind of failure it was. */
public enum class Code(
    /** The number of the C ABI, which never changes. */
    @get:JvmName("number") public val number: Int,
) {
    /** An argument, name, dtype, shape or option is not what is taken. */
    INVALID_ARGUMENT(1),

    /** A file, tensor or other named thing does not exist. */
    NOT_FOUND(2),

    /** Well formed, but this engine or build cannot do it. */
    UNSUPPORTED(3),

    /** The memory limit, or the machine's memory, is too small. */
    OUT_OF_MEMORY(4),

    /** A [Cancel] was set. */
    CANCELLED(5),

    /** In use by another thread or process. */
    BUSY(6),

    /** The operating system refused a read or a write. */
    IO(7),

    /** The bytes of a file break its format's rules. */
    CORRUPT(8),

    /** A runtime below failed for a reason of its own. */
    BACKEND(9),

    /** The call's deadline passed. */
    DEADLINE_EXCEEDED(10),

    /** More tokens than the context holds. */
    CONTEXT_FULL(11),

    /** A runtime that is loaded at run time is absent or too old. */
    MISSING_RUNTIME(12),

    /** Closed, or of another type. */
    BAD_HANDLE(13),

    /** Selvedge broke a promise of its own: a defect, worth a report. */
    INTERNAL(14),

    /** The model ended the process before, in every way that its crash record allows. */
    QUARANTINED(15),

    /** Nobody who is trusted vouches for it, or it is older than what was admitted before. */
    UNTRUSTED(16),

    /** A defect below the call; it was contained. */
    PANIC(255),

    /** A code younger than this class: [SelvedgeException.number] says which. */
    UNKNOWN(-1);

    internal companion object {
        fun of(number: Int): Code = entries.find { it.number == number } ?: UNKNOWN
    }
}

/** Why a call failed: its [code], and in the message what failed, what was expected and what was got. */
public class SelvedgeException internal constructor(
    /** To decide by. */
    public val code: Code,
    /** The number of the code in the C ABI. */
    public val number: Int,
    message: String,
) : RuntimeException(message) {
    internal constructor(code: Code, message: String) : this(code, code.number, message)

    override fun toString(): String = "SelvedgeException($code): $message"

    internal companion object {
        fun closed(what: String) = SelvedgeException(Code.BAD_HANDLE, "the $what is closed")

        fun invalid(message: String) = SelvedgeException(Code.INVALID_ARGUMENT, message)
    }
}
