package dev.selvedge.android

import android.content.ComponentCallbacks2
import android.content.Context
import android.content.res.Configuration
import dev.selvedge.Code
import dev.selvedge.Engine
import dev.selvedge.SelvedgeException
import dev.selvedge.Trim

/** Gives an engine's memory back when the system asks for it, until it is closed. */
public class TrimOnPressure(context: Context, private val engine: Engine) : ComponentCallbacks2, AutoCloseable {
    private val app = context.applicationContext ?: context

    init {
        app.registerComponentCallbacks(this)
    }

    override fun onTrimMemory(level: Int) {
        trim(if (isUrgent(level)) Trim.ALL else Trim.CACHES)
    }

    @Deprecated("Called by the system")
    override fun onLowMemory() {
        trim(Trim.ALL)
    }

    override fun onConfigurationChanged(configuration: Configuration) {
    }

    override fun close() {
        app.unregisterComponentCallbacks(this)
    }

    /** From here on the process is among the next to be killed. */
    @Suppress("DEPRECATION")
    private fun isUrgent(level: Int) = level == ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL ||
        level >= ComponentCallbacks2.TRIM_MEMORY_MODERATE

    private fun trim(level: Trim) {
        try {
            engine.trim(level)
        } catch (e: SelvedgeException) {
            // It was closed, and has given all of its memory back.
            if (e.code != Code.BAD_HANDLE) throw e
        }
    }
}
