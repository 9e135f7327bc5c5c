package dev.selvedge

/** How a batch is encoded. */
public enum class Encoding { DEFAULT, IDENTITY, GZIP, ZSTD }

/** How telemetry is posted; 0 is the library's default. */
public class OutboxOptions @JvmOverloads constructor(
    /** service.name. */
    public var app: String,
    /** service.version. */
    public var appVersion: String? = null,
    /** Further attributes of the resource. */
    public var attributes: Map<String, String> = emptyMap(),
    /** The least time that a point of a metric spans. */
    public var intervalMillis: Long = 0,
    /** Rows below which a count does not leave the device. */
    public var minCount: Long = 0,
    /** Of the noise of differential privacy on counts. */
    public var epsilon: Double = 0.0,
    public var encoding: Encoding = Encoding.DEFAULT,
    /** No noise; [epsilon] is not looked at. */
    public var exactCounts: Boolean = false,
    /** Also what few rows decide leaves. */
    public var anyCount: Boolean = false,
) {
    internal fun flags(): Int = (if (exactCounts) 1 else 0) or (if (anyCount) 2 else 0)
}

/** How often a request is tried again; 0 is the library's default. */
public class Retry @JvmOverloads constructor(
    /** Of a request. */
    public var attempts: Int = 0,
    /** About the first wait. */
    public var baseMillis: Long = 0,
    /** The longest wait. */
    public var capMillis: Long = 0,
    /** Post over networks that cost, too. */
    public var onMetered: Boolean = false,
) {
    internal fun flags(): Int = if (onMetered) 1 else 0
}

/** What the app knows of its network. */
public class Network @JvmOverloads constructor(
    public val isOffline: Boolean = false,
    /** Whether it costs. */
    public val isMetered: Boolean = false,
) {
    internal fun flags(): Int = (if (isOffline) 1 else 0) or (if (isMetered) 2 else 0)
}

/** A request to post: the headers are to be sent as they stand here. */
public class HttpRequest internal constructor(
    /** "/v1/metrics" or "/v1/logs", after the app's endpoint. */
    public val path: String,
    public val contentType: String,
    /** Null: no such header. */
    public val contentEncoding: String?,
    public val body: ByteArray,
)

/** What came back for a request. */
public class HttpResponse @JvmOverloads constructor(
    /** 0: nothing came, the network failed. */
    public val status: Int,
    /** Header; null: none. */
    public val contentType: String? = null,
    /** Header as it came: seconds or a date; null: none. */
    public val retryAfter: String? = null,
    /** All of it, decompressed. */
    public val body: ByteArray = ByteArray(0),
)

/** What to do after an answer. */
public enum class Decision {
    NONE,

    /**
     * Post the next request; after the last of the batch: [Outbox.ack], or [Outbox.refuse] with the sum of
     * [Judgement.refused] if that is not 0.
     */
    ACCEPTED,

    /** Post the same request again after [Judgement.waitMillis]. */
    WAIT,

    /** Keep the batch and stop; another time. */
    LATER,

    /** Too large: [Outbox.split], and take the next batch. */
    SPLIT,

    /** Refused for what it holds: [Outbox.bisect], and take the next batch. */
    DROP,
}

/** A decision, and why. */
public class Judgement internal constructor(raw: Array<Any?>) {
    private val numbers = raw[0] as LongArray

    public val decision: Decision = Decision.entries.getOrElse(numbers[0].toInt()) { Decision.LATER }
    public val waitMillis: Long = numbers[1]

    /** Records or points that the receiver did not take. */
    public val refused: Long = numbers[2]

    /** For people. */
    public val reason: String = raw[1] as String
}

/** What is posted at once. It comes again, with the same bytes, until it is acknowledged. */
public class Batch internal constructor(value: Long) : AutoCloseable {
    private val handle = Handle(Handle.Kind.BATCH, value)

    /** One or two, to be posted in this order. */
    public val requests: List<HttpRequest> by lazy {
        handle.use { batch ->
            List(Native.batchRequestCount(batch)) {
                val (path, contentType, encoding, body) = Native.batchRequest(batch, it)
                HttpRequest(
                    path as String, contentType as String, (encoding as String).ifEmpty { null }, body as ByteArray,
                )
            }
        }
    }

    /** The batch as a JSON object: id, records, points, log_records, through. */
    public val json: String get() = handle.use(Native::batchJson)

    override fun close(): Unit = handle.close()

    internal fun <R> withHandle(block: (Long) -> R): R = handle.use(block)
}

/**
 * What is to be posted of a telemetry folder. The library opens no socket: the app posts each request of a batch, asks
 * [judge] about the answer, and does as it says. [Post] does so over `HttpURLConnection`.
 */
public class Outbox private constructor(value: Long) : AutoCloseable {
    private val handle = Handle(Handle.Kind.OUTBOX, value)

    /** The next batch, of at most about [maxBytes] before it is encoded; null when all was posted. */
    @JvmOverloads
    public fun nextBatch(maxBytes: Long = 1 shl 20): Batch? {
        val batch = handle.use { Native.outboxNextBatch(it, maxBytes) }
        return if (batch == 0L) null else Batch(batch)
    }

    /** Whether to begin to post now: [Decision.ACCEPTED] or [Decision.LATER]. */
    @JvmOverloads
    public fun begin(network: Network = Network(), retry: Retry = Retry()): Judgement = judged {
        Native.outboxBegin(it, retry.attempts, retry.flags(), retry.baseMillis, retry.capMillis, network.flags())
    }

    /** What to do after the answer to request [index] of a batch, tried for the [attempt]th time, from 1. */
    @JvmOverloads
    public fun judge(
        batch: Batch, index: Int, attempt: Int, response: HttpResponse, retry: Retry = Retry(),
    ): Judgement = judged { outbox ->
        batch.withHandle {
            Native.outboxJudge(
                outbox, it, index, attempt, retry.attempts, retry.flags(), retry.baseMillis, retry.capMillis,
                response.status, response.contentType, response.retryAfter, response.body,
            )
        }
    }

    /** One at a time, for the reason lives until the next. */
    @Synchronized
    private fun judged(judge: (Long) -> Array<Any?>) = Judgement(handle.use(judge))

    /** Notes that a batch has arrived, durably: it does not come again. */
    public fun ack(batch: Batch): Unit = handle.use { outbox -> batch.withHandle { Native.outboxAck(outbox, it) } }

    /** As [ack], but [refused] points or log records were not taken, for good: they are counted, which is posted. */
    public fun refuse(batch: Batch, refused: Long): Unit =
        handle.use { outbox -> batch.withHandle { Native.outboxRefuse(outbox, it, refused) } }

    /**
     * Puts two smaller batches in the place of this one, which was too large. False if it is one record, and stays: give it
     * up by [refuse] with [ALL].
     */
    public fun split(batch: Batch): Boolean =
        handle.use { outbox -> batch.withHandle { Native.outboxSplit(outbox, it) } } != 0

    /**
     * As [split], of a batch that was refused for what it holds, so that only what is at fault is lost. False also when 20
     * in a row were refused, for then the receiver takes nothing.
     */
    public fun bisect(batch: Batch): Boolean =
        handle.use { outbox -> batch.withHandle { Native.outboxBisect(outbox, it) } } != 0

    /** The outbox as a JSON object: install_id, refused, through, damage. */
    public fun statusJson(): String = handle.use(Native::outboxStatus)

    /** Draws another random install id, as a person may ask for, and gives it. */
    public fun resetInstallId(): String = handle.use(Native::outboxResetInstallId)

    override fun close(): Unit = handle.close()

    public companion object {
        /** For [refuse]: all that the batch holds. */
        public const val ALL: Long = -1

        /** Opens the outbox of a telemetry; its state lies in [folder], for the most part the telemetry's own. */
        @JvmStatic
        @JvmOverloads
        public fun open(
            telemetry: Telemetry, options: OutboxOptions, folder: String = telemetry.folder,
        ): Outbox = Outbox(
            telemetry.withHandle {
                Native.outboxOpen(
                    it, folder, options.app, options.appVersion, options.attributes.flat(), options.intervalMillis,
                    options.minCount, options.epsilon, options.encoding.ordinal, options.flags(),
                )
            },
        )
    }
}
