package dev.selvedge

import java.io.ByteArrayOutputStream
import java.io.IOException
import java.io.InputStream
import java.net.HttpURLConnection
import java.net.URL

/** Posts a request of a batch, and gives what came back; status 0 where nothing came. */
public fun interface Transport {
    public fun post(request: HttpRequest): HttpResponse
}

/** `HttpURLConnection`, which is on every JVM and every Android. */
public class UrlTransport @JvmOverloads constructor(
    /** Of the receiver, without "/v1/metrics". */
    private val endpoint: String,
    /** Further headers, such as a token of the app's. */
    private val headers: Map<String, String> = emptyMap(),
    private val timeoutMillis: Int = 30_000,
) : Transport {
    override fun post(request: HttpRequest): HttpResponse {
        val connection = try {
            URL(endpoint.trimEnd('/') + request.path).openConnection() as HttpURLConnection
        } catch (_: IOException) {
            return HttpResponse(0)
        }
        return try {
            send(connection, request)
            val status = connection.responseCode
            val body = (if (status < 400) connection.inputStream else connection.errorStream)?.use(::whole)
            val (type, after) = connection.contentType to connection.getHeaderField("Retry-After")
            HttpResponse(status, type, after, body ?: ByteArray(0))
        } catch (_: IOException) {
            HttpResponse(0)
        } finally {
            connection.disconnect()
        }
    }

    private fun send(connection: HttpURLConnection, request: HttpRequest) {
        connection.requestMethod = "POST"
        connection.doOutput = true
        connection.instanceFollowRedirects = false
        connection.connectTimeout = timeoutMillis
        connection.readTimeout = timeoutMillis
        headers.forEach { (name, value) -> connection.setRequestProperty(name, value) }
        connection.setRequestProperty("Content-Type", request.contentType)
        request.contentEncoding?.let { connection.setRequestProperty("Content-Encoding", it) }
        connection.setFixedLengthStreamingMode(request.body.size)
        connection.outputStream.use { it.write(request.body) }
    }

    /** All of the answer, for a part of one is none of a receiver; one without an end is a failure of the network. */
    private fun whole(stream: InputStream): ByteArray {
        val all = ByteArrayOutputStream()
        val piece = ByteArray(16 shl 10)
        while (true) {
            val read = stream.read(piece)
            if (read < 0) return all.toByteArray()
            all.write(piece, 0, read)
            if (all.size() > MAX_ANSWER) throw IOException("an answer of more than $MAX_ANSWER bytes")
        }
    }

    private companion object {
        const val MAX_ANSWER = 4 shl 20
    }
}

/** Posts all that an outbox holds, and does with each answer as the outbox judges. */
public class Post @JvmOverloads constructor(
    private val outbox: Outbox,
    private val transport: Transport,
    private val network: Network = Network(),
    private val retry: Retry = Retry(),
) {
    /** What became of it. */
    public class Result internal constructor(
        /** Batches that arrived. */
        public val batches: Int,
        /** Whether all was posted; else it is to be tried another time. */
        public val isComplete: Boolean,
        /** Why not, for people. */
        public val reason: String,
    )

    private enum class Fate { ACKED, CHANGED, KEPT }

    private var reason = ""

    /** Posts until nothing is left, or the outbox says to stop; on the calling thread. */
    public fun run(): Result {
        val begin = outbox.begin(network, retry)
        if (begin.decision != Decision.ACCEPTED) return Result(0, false, begin.reason)
        var batches = 0
        while (true) {
            val fate = outbox.nextBatch()?.use(::post) ?: return Result(batches, true, "")
            if (fate == Fate.KEPT) return Result(batches, false, reason)
            if (fate == Fate.ACKED) batches++
        }
    }

    private fun post(batch: Batch): Fate {
        var refused = 0L
        batch.requests.forEachIndexed { index, request ->
            val judgement = answered(batch, index, request)
            reason = judgement.reason
            when (judgement.decision) {
                Decision.ACCEPTED -> refused += judgement.refused
                Decision.SPLIT -> return changed(batch, outbox.split(batch))
                Decision.DROP -> return changed(batch, outbox.bisect(batch))
                else -> return Fate.KEPT
            }
        }
        if (refused > 0) outbox.refuse(batch, refused) else outbox.ack(batch)
        return Fate.ACKED
    }

    /** What can be made no smaller is given up. */
    private fun changed(batch: Batch, isSmaller: Boolean): Fate {
        if (!isSmaller) outbox.refuse(batch, Outbox.ALL)
        return Fate.CHANGED
    }

    /** The judgement of the last attempt. */
    private fun answered(batch: Batch, index: Int, request: HttpRequest): Judgement {
        var attempt = 1
        while (true) {
            val judgement = outbox.judge(batch, index, attempt++, transport.post(request), retry)
            if (judgement.decision != Decision.WAIT) return judgement
            Thread.sleep(judgement.waitMillis)
        }
    }
}
