package dev.selvedge.android

import android.content.ComponentCallbacks
import android.content.ComponentCallbacks2
import android.content.Context
import android.content.ContextWrapper
import android.content.res.AssetFileDescriptor
import android.os.ParcelFileDescriptor
import dev.selvedge.Call
import dev.selvedge.Engine
import dev.selvedge.Tensor
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
