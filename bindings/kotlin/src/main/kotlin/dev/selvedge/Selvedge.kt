package dev.selvedge

/** How much the log tells. */
public enum class LogLevel { OFF, ERROR, WARN, INFO, DEBUG, TRACE }

/** A line of the log. */
public class LogLine internal constructor(
    /** How much it matters. */
    public val level: LogLevel,
    /** The part it comes from, such as "selvedge::backend::llama". */
    public val target: String,
    /** With its fields: "model opened backend=tract". */
    public val message: String,
)

/** Is told the lines of the log, on any thread. */
public fun interface LogListener {
    public fun log(line: LogLine)
}

/** The library itself: version, features, log. */
public object Selvedge {
    /** The library's version, such as "0.1.0". */
    @JvmStatic
    public val version: String get() = Native.version()

    /** The C ABI's version, major shl 16 or minor. */
    @JvmStatic
    public val abiVersion: Int get() = Native.abiVersion()

    /** The features of this build, sorted. */
    @JvmStatic
    public val features: List<String> get() = Native.features().split(',').filter { it.isNotEmpty() }

    /** The instruction set that the kernels use on this machine. */
    @JvmStatic
    public val kernelName: String get() = Native.kernelName()

    /** Tells the lines of the log up to [level] to [listener], in the place of an earlier one; null for none. */
    @JvmStatic
    public fun setLog(level: LogLevel, listener: LogListener?) {
        val callback = listener?.let {
            object : Callback() {
                override fun log(level: Int, target: String, message: String) = guarded {
                    it.log(LogLine(LogLevel.entries.getOrElse(level) { LogLevel.TRACE }, target, message))
                }
            }
        }
        Native.logSet(callback, if (listener == null) 0 else level.ordinal)
    }
}

/** Runs a listener that has nobody to throw to: what it throws goes where an uncaught exception goes. */
internal inline fun guarded(listener: () -> Unit) {
    try {
        listener()
    } catch (e: Throwable) {
        val thread = Thread.currentThread()
        thread.uncaughtExceptionHandler.uncaughtException(thread, e)
    }
}
