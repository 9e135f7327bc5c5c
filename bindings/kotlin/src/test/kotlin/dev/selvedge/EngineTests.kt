package dev.selvedge

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.runBlocking

internal val DAY = floatArrayOf(2.5f, 4.4f, 2.2f, 2.2f)

internal fun near(expected: Float, got: Float, what: String = "number") =
    check(kotlin.math.abs(expected - got) < 1e-5f) { "$what: expected $expected, got $got" }

internal fun weather() = mapOf("weather" to Tensor.of(DAY, 1, 4))

internal val engineTests: Map<String, () -> Unit> = mapOf(
    "engine: a coroutine opens, asks and closes" to {
        runBlocking {
            Engine.open(Place.rain).use { engine ->
                val answer = engine.run("weather" to Tensor.of(DAY, 1, 4), call = Call(id = 7))
                answer.use {
                    near(0.585324f, it["rain_tomorrow"].floats().single())
                    same(7L, it.id)
                    same(Finish.COMPLETE, it.finish)
                    same(engine.spec.provenance.digest, it.provenance.digest)
                }
            }
        }
    },
    "engine: the spec says what goes in and comes out" to {
        Engine.openBlocking(Place.rain).use {
            val port = it.spec.inputs.single()
            same("weather", port.name)
            same(DType.F32, port.dtype)
            same(listOf<Any?>("days", 4L), port.shape)
            same(setOf("tensors"), it.spec.abilities - "interrupt")
        }
    },
    "engine: a direct buffer goes in where it is, and an output is read where it is" to {
        Engine.openBlocking(Place.rain).use { engine ->
            // Beyond 4 KiB, up to which the library copies.
            val days = 4096
            val data = ByteBuffer.allocateDirect(16 + days * 16).order(ByteOrder.LITTLE_ENDIAN)
            for (i in 0 until days * 4) data.putFloat(16 + i * 4, DAY[i % 4])
            val input = Tensor.of(DType.F32, (data.duplicate().position(16) as ByteBuffer), days.toLong(), 4)
            engine.runBlocking(mapOf("weather" to input)).use { answer ->
                val output = answer["rain_tomorrow"].buffer
                check(output.isDirect && output.isReadOnly) { "expected a direct buffer that is only read" }
                same(days * 4, output.capacity())
                near(0.585324f, output.getFloat(4 * (days - 1)))
                same(address(answer["rain_tomorrow"].buffer), address(output), "address")
            }
        }
    },
    "engine: outputs go into the caller's buffer" to {
        Engine.openBlocking(Place.rain).use { engine ->
            val into = ByteBuffer.allocateDirect(12).order(ByteOrder.LITTLE_ENDIAN)
            into.position(4)
            val shapes = engine.runIntoBlocking(weather(), listOf(Output("rain_tomorrow", into, DType.F32)))
            same(listOf(1L, 1L), shapes.getValue("rain_tomorrow").toList())
            near(0.585324f, into.getFloat(4))
            same(0f, into.getFloat(0), "what lies before")
            val small = ByteBuffer.allocateDirect(3)
            refused(Code.INVALID_ARGUMENT) { engine.runIntoBlocking(weather(), listOf(Output("rain_tomorrow", small))) }
            refused(Code.INVALID_ARGUMENT, "direct") {
                engine.runIntoBlocking(weather(), listOf(Output("rain_tomorrow", ByteBuffer.allocate(4))))
            }
        }
    },
    "engine: what is none is refused, and says so" to {
        refused(Code.NOT_FOUND, "none.onnx") { Engine.openBlocking("/none.onnx") }
        refused(Code.INVALID_ARGUMENT, "direct") { Source.memory(ByteBuffer.allocate(8)) }
        refused(Code.INVALID_ARGUMENT, "32") { Engine.openBlocking(Place.rain, Options(sha256 = ByteArray(31))) }
        refused(Code.INVALID_ARGUMENT) { Engine.openBlocking("a\uD800b") }
        Engine.openBlocking(Place.rain).use { engine ->
            refused(Code.INVALID_ARGUMENT, "snow") { engine.runBlocking(weather(), listOf("snow")) }
            refused(Code.INVALID_ARGUMENT) { engine.runBlocking(mapOf("weather" to Tensor.of(DAY, 2, 4))) }
            refused(Code.INVALID_ARGUMENT) { engine.runBlocking(mapOf("weather" to Tensor.of(DAY, -1, -4))) }
            refused(Code.UNSUPPORTED) { engine.start(Generate("it")) }
            engine.runBlocking(weather()).use { refused(Code.NOT_FOUND, "rain_tomorrow") { it["snow"] } }
            engine.runBlocking(weather()).use { refused(Code.INVALID_ARGUMENT, "F32") { it["rain_tomorrow"].longs() } }
        }
    },
    "engine: a model from a buffer is kept as long as it is used" to {
        val bytes = File(Place.rain).readBytes()
        val engine = run {
            val model = ByteBuffer.allocateDirect(bytes.size).put(bytes).flip() as ByteBuffer
            Engine.openBlocking(Source.memory(model))
        }
        repeat(5) {
            System.gc()
            ByteBuffer.allocateDirect(bytes.size)
        }
        engine.use { near(0.585324f, it.runBlocking(weather()).use { a -> a["rain_tomorrow"].floats()[0] }) }
    },
    "engine: progress is told, and what its listener throws is thrown" to {
        val told = AtomicInteger()
        Engine.openBlocking(Place.rain, Options(progress = { _, _ -> told.incrementAndGet() })).close()
        check(told.get() > 0) { "expected progress" }
        val thrown = try {
            Engine.openBlocking(Place.rain, Options(progress = { _, _ -> throw IllegalStateException("mine") }))
            null
        } catch (e: IllegalStateException) {
            e
        }
        same("mine", thrown?.message)
    },
    "engine: a model is pulled step by step" to {
        Engine.openBlocking(Place.rain).use { engine ->
            engine.start(weather()).use { run ->
                val last = run.asSequence().last()
                check(last is Event.Done && last.finish == Finish.COMPLETE) { "expected the end, got $last" }
                run.answer().use { near(0.585324f, it["rain_tomorrow"].floats()[0]) }
            }
        }
    },
    "engine: lines of the log come with level and target, until they are not wanted" to {
        val lines = java.util.concurrent.ConcurrentLinkedQueue<LogLine>()
        val nowhere = java.io.File(Place.rain, "telemetry").path
        Selvedge.setLog(LogLevel.WARN) { lines.add(it) }
        Telemetry.open(nowhere).use { check(!it.isDurable) { "expected no folder within a file" } }
        val line = lines.peek() ?: throw Failure("expected a line")
        same(LogLevel.WARN, line.level)
        check(line.target.startsWith("selvedge::telemetry")) { "got the target ${line.target}" }
        check("telemetry is not kept" in line.message) { "got ${line.message}" }
        Selvedge.setLog(LogLevel.OFF, null)
        lines.clear()
        Telemetry.open(nowhere).close()
        same(0, lines.size, "lines")
    },
    "tables: gather and search agree" to {
        val model = File(Place.repo, "tests/data/static/model.safetensors").path
        Table.open(Source.path(model), "embeddings").use { table ->
            val row = table.gather(intArrayOf(5))
            same(table.width.toInt(), row.size)
            val hit = table.search(row, 1).single()
            val best = table.gather(intArrayOf(hit.row))
            near(row.indices.sumOf { (row[it] * best[it]).toDouble() }.toFloat(), hit.score, "score")
        }
    },
)

/** Comes after the cases, the first of which says what a runtime is that is not there: this loads one, if it finds it. */
internal val measuredTests: Map<String, () -> Unit> = mapOf(
    "engine: what was measured is kept" to {
        if (!Selvedge.features.containsAll(listOf("tract", "rten"))) throw Skip("no two runtimes to choose from")
        val folder = Place.folder()
        repeat(2) {
            Engine.openBlocking(Place.rain, Options(measurements = folder.path, ownProducts = true)).use { engine ->
                check("ms a call was measured" in engine.spec.json) { "got ${engine.spec.json}" }
            }
            same(1, folder.listFiles { file -> file.extension == "json" }!!.size, "files")
        }
        folder.deleteRecursively()
    },
    "engine: an accelerator is for language models" to {
        val asked = Options(acceleratorLayers = -1, acceleratorDevice = "Vulkan0")
        refused(Code.UNSUPPORTED) { Engine.openBlocking(Place.rain, asked).close() }
    },
)

/** Of a direct buffer. */
internal fun address(buffer: ByteBuffer): Long {
    val field = java.nio.Buffer::class.java.getDeclaredField("address")
    field.isAccessible = true
    return field.getLong(buffer)
}
