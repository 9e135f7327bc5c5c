package dev.selvedge.android

import android.content.ComponentCallbacks
import android.content.ComponentCallbacks2
import android.content.Context
import android.content.ContextWrapper
import android.content.res.AssetFileDescriptor
import android.os.ParcelFileDescriptor
import androidx.work.ListenableWorker
import androidx.work.WorkerParameters
import dev.selvedge.Call
import dev.selvedge.Engine
import dev.selvedge.HttpRequest
import dev.selvedge.HttpResponse
import dev.selvedge.Monitor
import dev.selvedge.OutboxOptions
import dev.selvedge.Telemetry
import dev.selvedge.Tensor
import dev.selvedge.Transport
import java.io.File
import java.io.FileDescriptor
import java.io.RandomAccessFile
import java.nio.file.Files
import kotlin.math.abs
import kotlin.system.exitProcess

/**
 * Android's own classes, of android-all, over the real library. What the system does below them (a descriptor's number, the
 * list of callbacks) is this file's, for it is native code of a device.
 */
internal fun main(args: Array<String>) {
    val model = File(args[0])
    val tests = mapOf(
        "android: an asset within a package is opened where it lies" to { asset(model) },
        "android: an asset whose length is not known is read to its end" to { unknownLength(model) },
        "android: the system's warnings reach the engine, until they are not wanted" to { pressure(model) },
        "android: the system's worker posts what was recorded, once" to { worker(model) },
    )
    var failed = 0
    for ((name, test) in tests) {
        try {
            test()
            println("ok       $name")
        } catch (e: Throwable) {
            failed++
            println("FAILED   $name: $e")
            e.printStackTrace(System.out)
        }
    }
    exitProcess(if (failed > 0) 1 else 0)
}

private class Descriptor(private val file: RandomAccessFile) : ParcelFileDescriptor(null as ParcelFileDescriptor?) {
    override fun getFd(): Int = FileDescriptor::class.java.getDeclaredField("fd").let {
        it.isAccessible = true
        it.getInt(file.fd)
    }

    override fun close() = file.close()
}

private fun ask(engine: Engine) {
    val weather = Tensor.of(floatArrayOf(2.5f, 4.4f, 2.2f, 2.2f), 1, 4)
    engine.runBlocking(mapOf("weather" to weather), null, Call()).use {
        val rain = it["rain_tomorrow"].floats()[0]
        check(abs(rain - 0.585324f) < 1e-5f) { "expected 0.585324, got $rain" }
    }
}

private fun asset(model: File) {
    val bytes = model.readBytes()
    val file = Files.createTempFile("package", ".apk").toFile()
    file.writeBytes(ByteArray(4097) { 'P'.code.toByte() } + bytes + ByteArray(999))
    val asset = AssetFileDescriptor(Descriptor(RandomAccessFile(file, "r")), 4097, bytes.size.toLong())
    val engine = asset.use { Engine.openBlocking(Assets.source(it)) }
    file.delete()
    engine.use(::ask)
}

private fun unknownLength(model: File) {
    val asset = AssetFileDescriptor(
        object : ParcelFileDescriptor(Descriptor(RandomAccessFile(model, "r"))) {
            override fun getStatSize(): Long = AssetFileDescriptor.UNKNOWN_LENGTH
        },
        0, AssetFileDescriptor.UNKNOWN_LENGTH,
    )
    asset.use { Engine.openBlocking(Assets.source(it)) }.use(::ask)
}

private class App : ContextWrapper(null) {
    val callbacks = ArrayList<ComponentCallbacks>()

    override fun getApplicationContext(): Context = this

    override fun registerComponentCallbacks(callback: ComponentCallbacks) {
        callbacks += callback
    }

    override fun unregisterComponentCallbacks(callback: ComponentCallbacks) {
        callbacks -= callback
    }
}

@Suppress("DEPRECATION")
private fun pressure(model: File) {
    val app = App()
    val engine = Engine.openBlocking(model.path)
    val trim = TrimOnPressure(app, engine)
    check(app.callbacks == listOf<ComponentCallbacks>(trim)) { "expected it to be registered" }
    for (level in listOf(ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN, ComponentCallbacks2.TRIM_MEMORY_COMPLETE)) {
        (app.callbacks.single() as ComponentCallbacks2).onTrimMemory(level)
        ask(engine)
    }
    app.callbacks.single().onLowMemory()
    engine.close()
    // What comes after the engine was closed is no fault of the system's.
    (app.callbacks.single() as ComponentCallbacks2).onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_COMPLETE)
    trim.close()
    check(app.callbacks.isEmpty()) { "expected it to be gone" }
}

private class Worker(
    context: Context,
    parameters: WorkerParameters,
    private val telemetry: Telemetry,
    private val transport: Transport,
) : SyncWorker(context, parameters) {
    override fun telemetry(): Telemetry = telemetry

    override fun options(): OutboxOptions = OutboxOptions("tests", exactCounts = true, anyCount = true)

    override fun transport(): Transport = transport
}

/** Only the system makes a worker's parameters, and a worker that is run by hand looks at none of them. */
private fun parameters(): WorkerParameters {
    val unsafe = Class.forName("sun.misc.Unsafe")
    val own = unsafe.getDeclaredField("theUnsafe").apply { isAccessible = true }.get(null)
    return unsafe.getMethod("allocateInstance", Class::class.java).invoke(own, WorkerParameters::class.java) as WorkerParameters
}

private fun worker(model: File) {
    val telemetry = Telemetry.open(Files.createTempDirectory("telemetry").toString())
    val config = """{"probe": {"kind": "columns", "input": "weather", "names": ["a", "b", "c", "d"]}, "window": 8}"""
    Engine.openBlocking(model.path).use { engine ->
        Monitor.of(engine, telemetry, config, null).use { monitor ->
            repeat(20) { ask(monitor.engine) }
            monitor.closeWindow()
        }
    }
    val posted = ArrayList<HttpRequest>()
    val transport = Transport { request ->
        posted += request
        HttpResponse(200, request.contentType)
    }
    fun run() = Worker(App(), parameters(), telemetry, transport).doWork()
    check(run() == ListenableWorker.Result.success()) { "expected success" }
    check(posted.any { it.path == "/v1/metrics" }) { "expected metrics, got ${posted.map { it.path }}" }
    val count = posted.size
    check(run() == ListenableWorker.Result.success() && posted.size == count) { "expected nothing more, got ${posted.size - count}" }
    telemetry.close()
}
