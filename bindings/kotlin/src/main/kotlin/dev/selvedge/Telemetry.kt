package dev.selvedge

/** What recorded telemetry outlives. */
public enum class Durability {
    /** The process, killed at any moment. */
    PROCESS,

    /** And, once it is a segment, a loss of power. */
    POWER,
}

/** How much telemetry may take; 0 is the library's default. */
public class Limits @JvmOverloads constructor(
    /** Of segments in the folder; the oldest go first. */
    public var bytes: Long = 0,
    /** Of those kept after they were sent. */
    public var historyBytes: Long = 0,
    /** Of one segment. */
    public var segmentBytes: Long = 0,
    /** Threads that record at once. */
    public var lanes: Int = 0,
    /** Records of a lane until the next tick. */
    public var slots: Int = 0,
    public var durability: Durability = Durability.PROCESS,
)

/** The telemetry of a folder. Monitors and outboxes made with it go on after it is closed. */
public class Telemetry private constructor(value: Long, internal val folder: String) : AutoCloseable {
    private val handle = Handle(Handle.Kind.TELEMETRY, value)

    /** The state of the folder as a JSON object: mode, why, bytes, segments, dropped and more. */
    public fun statusJson(): String = handle.use(Native::telemetryStatus)

    /** Whether records are kept; else they are only counted, and [statusJson] says why. */
    public val isDurable: Boolean get() = Json.parseObject(statusJson())["mode"] == "durable"

    override fun close(): Unit = handle.close()

    internal fun <R> withHandle(block: (Long) -> R): R = handle.use(block)

    public companion object {
        /**
         * Opens the telemetry of a folder, which is made if it is not there. A folder that cannot be used is no failure:
         * telemetry then only counts, so that an app answers in any case.
         */
        @JvmStatic
        @JvmOverloads
        public fun open(folder: String, limits: Limits = Limits()): Telemetry = Telemetry(
            Native.telemetryOpen(
                folder, limits.bytes, limits.historyBytes, limits.segmentBytes, limits.lanes, limits.slots,
                limits.durability.ordinal,
            ),
            folder,
        )

        /** What happened on this device, of a folder that may be in use: a page of HTML that needs nothing else. */
        @JvmStatic
        public fun reportHtml(folder: String): String = Native.reportHtml(folder)
    }
}
