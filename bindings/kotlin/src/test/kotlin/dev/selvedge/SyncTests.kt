package dev.selvedge

import com.sun.net.httpserver.HttpExchange
import com.sun.net.httpserver.HttpServer
import java.io.ByteArrayInputStream
import java.net.InetAddress
import java.net.InetSocketAddress
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.zip.GZIPInputStream

/** A receiver on this machine: answers with the next of [statuses], then with 200. */
private class Receiver(vararg statuses: Int) : AutoCloseable {
    class Request(val path: String, val encoding: String?, val body: ByteArray)

    val requests = ConcurrentLinkedQueue<Request>()
    private val left = ConcurrentLinkedQueue(statuses.toList())
    private val server = HttpServer.create(InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0)
    val url get() = "http://127.0.0.1:${server.address.port}"

    init {
        server.createContext("/", ::answer)
        server.start()
    }

    private fun answer(exchange: HttpExchange) {
        val body = exchange.requestBody.readBytes()
        requests += Request(exchange.requestURI.path, exchange.requestHeaders.getFirst("Content-Encoding"), body)
        exchange.responseHeaders.add("Content-Type", exchange.requestHeaders.getFirst("Content-Type"))
        exchange.sendResponseHeaders(left.poll() ?: 200, -1)
        exchange.close()
    }

    override fun close() = server.stop(0)
}

private fun filled(): Pair<Monitor, Telemetry> {
    val (monitor, telemetry) = monitor()
    repeat(3) { live(monitor, days(64, seed = 30 + it)) }
    monitor.closeWindow()
    return monitor to telemetry
}

private val OPTIONS = OutboxOptions("tests", "1.0", mapOf("channel" to "beta"), exactCounts = true, anyCount = true)
private val QUICK = Retry(attempts = 3, baseMillis = 1, capMillis = 2)

internal val syncTests: Map<String, () -> Unit> = mapOf(
    "sync: what was recorded arrives, once" to {
        val (monitor, telemetry) = filled()
        Receiver().use { receiver ->
            Outbox.open(telemetry, OPTIONS).use { outbox ->
                val result = Post(outbox, UrlTransport(receiver.url)).run()
                check(result.isComplete && result.batches > 0) { "got ${result.batches}, ${result.reason}" }
                val metrics = receiver.requests.first { it.path == "/v1/metrics" }
                same("gzip", metrics.encoding)
                val text = String(GZIPInputStream(ByteArrayInputStream(metrics.body)).readBytes(), Charsets.ISO_8859_1)
                listOf("tests", "beta", "temp_min").forEach { check(it in text) { "expected $it in the metrics" } }
                val count = receiver.requests.size
                same(0, Post(outbox, UrlTransport(receiver.url)).run().batches)
                same(count, receiver.requests.size, "requests")
            }
        }
        monitor.close()
        telemetry.close()
    },
    "sync: a receiver that fails gets the same bytes again" to {
        val (monitor, telemetry) = filled()
        Receiver(503, 503).use { receiver ->
            Outbox.open(telemetry, OPTIONS).use { outbox ->
                check(Post(outbox, UrlTransport(receiver.url), retry = QUICK).run().isComplete) { "expected success" }
                val (first, second, third) = receiver.requests.take(3).map { it.body }
                check(first.contentEquals(second) && second.contentEquals(third)) { "expected the same bytes" }
            }
        }
        monitor.close()
        telemetry.close()
    },
    "sync: without a network, or one that costs, it is left for later" to {
        val (monitor, telemetry) = filled()
        Outbox.open(telemetry, OPTIONS).use { outbox ->
            val nowhere = UrlTransport("http://127.0.0.1:1")
            check(!Post(outbox, nowhere, Network(isMetered = true)).run().isComplete) { "expected later" }
            val result = Post(outbox, nowhere, retry = QUICK).run()
            check(!result.isComplete && result.reason.isNotEmpty()) { "expected a reason" }
            outbox.nextBatch()!!.use { batch ->
                same(1, Json.parseObject(batch.json)["id"].toString().length / 64)
                outbox.ack(batch)
            }
            same(null, outbox.nextBatch(), "what is left")
            val id = outbox.resetInstallId()
            same<Any?>(id, Json.parseObject(outbox.statusJson())["install_id"])
        }
        monitor.close()
        telemetry.close()
    },
    "sync: a receiver that takes nothing loses nothing but that" to {
        val (monitor, telemetry) = filled()
        Outbox.open(telemetry, OPTIONS).use { outbox ->
            val result = Post(outbox, { HttpResponse(400) }, retry = QUICK).run()
            check(result.isComplete) { "expected an end, got ${result.reason}" }
            check(Json.parseObject(outbox.statusJson()).long("refused") > 0) { "expected it to be counted" }
        }
        monitor.close()
        telemetry.close()
    },
)
