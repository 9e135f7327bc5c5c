package dev.selvedge

import java.util.concurrent.ConcurrentLinkedQueue
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

private val NAMES = listOf("precipitation", "temp_max", "temp_min", "wind")

internal const val CONFIG = """{"probe": {"kind": "columns", "input": "weather",
    "names": ["precipitation", "temp_max", "temp_min", "wind"]}, "window": 64, "persistence": [1, 1]}"""

/** So many days; [shift] moves their temperatures. */
internal fun days(count: Int, shift: Float = 0f, seed: Int = 1): Tensor {
    val random = java.util.Random(seed.toLong())
    val data = FloatArray(count * 4)
    for (i in 0 until count) {
        data[4 * i] = random.nextFloat() * 5
        data[4 * i + 1] = 15 + random.nextGaussian().toFloat() * 5 + shift
        data[4 * i + 2] = 8 + random.nextGaussian().toFloat() * 4 + shift
        data[4 * i + 3] = 2 + random.nextFloat() * 4
    }
    return Tensor.of(data, count.toLong(), 4)
}

internal fun profile(): Profile = Profile.fit(Rows(Column.ofRows(NAMES, days(2000))), Fit(block = 1))

/** A monitor over a new folder, with all that it is made of closed: it needs none of it. */
internal fun monitor(listener: AlertListener? = null): Pair<Monitor, Telemetry> {
    val telemetry = Telemetry.open(Place.folder().path)
    val monitor = Engine.openBlocking(Place.rain).use { engine ->
        profile().use { Monitor.of(engine, telemetry, CONFIG, it, listener) }
    }
    return monitor to telemetry
}

internal fun live(monitor: Monitor, days: Tensor, firstId: Long = 1) =
    monitor.engine.runBlocking(mapOf("weather" to days), null, Call(id = firstId)).close()

internal val monitorTests: Map<String, () -> Unit> = mapOf(
    "profile: fitted here, read there, and it tells home from away" to {
        val bytes = profile().use { it.encode() }
        Profile.decode(bytes).use { profile ->
            check(bytes.contentEquals(profile.encode())) { "expected the same bytes" }
            fun drifted(rows: Tensor) =
                Json.parseObject(profile.compareJson(Rows(Column.ofRows(NAMES, rows))))["drifted"]
            same<Any?>(false, drifted(days(500, seed = 2)), "at home")
            same<Any?>(true, drifted(days(500, shift = 12f)), "away")
        }
        refused(Code.CORRUPT) { Profile.decode(ByteArray(100)) }
    },
    "profile: categories, missing ones among them" to {
        val sky = List(400) { listOf("sun", "fog", null, "rain")[it % 4] }
        val columns = listOf(Column.categories("sky", sky), Column.of("wind", DoubleArray(400) { it % 7.0 }))
        Profile.fit(Rows(columns), Fit(block = 1)).use { profile ->
            val features = Json.parseObject(profile.json).list("features").map { (it as Map<*, *>)["kind"] }
            same(listOf<Any?>("category", "number"), features)
        }
        refused(Code.INVALID_ARGUMENT, "wind") {
            Profile.fit(listOf(Column.categories("sky", sky), Column.of("wind", DoubleArray(3))))
        }
    },
    "monitor: drift is told to the listener, the flow and the report" to {
        val told = ConcurrentLinkedQueue<Alert>()
        val (monitor, telemetry) = monitor { told.add(it) }
        runBlocking {
            monitor.use {
                val first = async(Dispatchers.Default) { withTimeout(60_000) { monitor.alerts.first() } }
                repeat(4) { live(monitor, days(64, seed = 10 + it)) }
                monitor.tick()
                same(0, told.size, "alerts at home")
                check(monitor.engine.spec.json.contains("monitor")) { "expected the route to name the monitor" }
                repeat(6) { live(monitor, days(64, shift = 15f, seed = 20 + it)) }
                monitor.closeWindow()
                val alert = first.await()
                same(AlertEvent.RAISED, alert.event)
                check(alert.feature.startsWith("temp_")) { "got $alert" }
                check(alert.evidence.isNotEmpty()) { "expected evidence" }
                same(told.first().toString(), alert.toString())
                val rest = generateSequence { monitor.nextAlert() }.toList()
                same(told.size, 1 + rest.size, "alerts, each once")
                check("temp_max" in monitor.reportJson()) { "expected the feature in the report" }
            }
        }
        check("<html" in Telemetry.reportHtml(telemetry.folder)) { "expected a page" }
        check(telemetry.isDurable) { telemetry.statusJson() }
        telemetry.close()
    },
    "monitor: the flow of alerts ends when the monitor is closed" to {
        val (monitor, telemetry) = monitor()
        runBlocking {
            val alerts = async(Dispatchers.Default) { withTimeout(60_000) { monitor.alerts.toList() } }
            launch { kotlinx.coroutines.delay(50); monitor.close() }
            same(0, alerts.await().size)
        }
        telemetry.close()
        refused(Code.BAD_HANDLE) { monitor.tick() }
        refused(Code.BAD_HANDLE) { monitor.engine.spec }
    },
    "monitor: its engine can outlive it" to {
        val (monitor, telemetry) = monitor()
        val engine = monitor.openEngine()
        monitor.close()
        telemetry.close()
        engine.use { near(0.585324f, it.runBlocking(weather()).use { a -> a["rain_tomorrow"].floats()[0] }) }
    },
    "monitor: feedback names an answer by its id" to {
        val config = """{"probe": [{"kind": "columns", "input": "weather", "names": ["a", "b", "c", "d"]},
            {"kind": "classes", "output": "rain_tomorrow"}], "window": 64, "learn": 0}"""
        val telemetry = Telemetry.open(Place.folder().path)
        Engine.openBlocking(Place.rain).use { engine ->
            Monitor.of(engine, telemetry, config).use { monitor ->
                live(monitor, days(1), firstId = 41)
                same(LabelVerdict.UNKNOWN, monitor.feedback(7, Label.CORRECT, 1))
                same(LabelVerdict.STEADY, monitor.feedback(41, Label.CORRECT, 1))
                refused(Code.NOT_FOUND) { monitor.profile() }
            }
            refused(Code.INVALID_ARGUMENT, "widnow") { Monitor.of(engine, telemetry, """{"probe": [], "widnow": 1}""") }
        }
        telemetry.close()
    },
    "monitor: a listener's exception is the app's, and the call goes on" to {
        val uncaught = ConcurrentLinkedQueue<Throwable>()
        val thread = Thread.currentThread()
        thread.setUncaughtExceptionHandler { _, e -> uncaught.add(e) }
        try {
            val (monitor, telemetry) = monitor { throw IllegalStateException("mine") }
            monitor.use {
                repeat(6) { live(monitor, days(64, shift = 15f, seed = 20 + it)) }
                monitor.closeWindow()
            }
            telemetry.close()
        } finally {
            thread.uncaughtExceptionHandler = null
        }
        check(uncaught.isNotEmpty() && uncaught.all { it.message == "mine" }) { "got $uncaught" }
    },
    "monitor: one that nobody reaches is freed, with its listener" to {
        fun leak() = monitor { }.let { (monitor, telemetry) ->
            telemetry.close()
            java.lang.ref.WeakReference(monitor)
        }
        val leaked = leak()
        check(eventually { leaked.get() == null }) { "expected the monitor to be collected" }
    },
)
