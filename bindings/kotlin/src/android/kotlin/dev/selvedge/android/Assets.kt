package dev.selvedge.android

import android.content.Context
import android.content.res.AssetFileDescriptor
import dev.selvedge.Engine
import dev.selvedge.Options
import dev.selvedge.Source

/** Models within an app's package, where they lie: nothing is unpacked. */
public object Assets {
    /** The part of the package that the descriptor names; it must stay open until the model is. */
    @JvmStatic
    public fun source(asset: AssetFileDescriptor): Source {
        // A length that is not known is to the end of the file, which the library writes as 0.
        val length = asset.length.coerceAtLeast(0)
        return Source.file(asset.parcelFileDescriptor.fd, asset.startOffset, length)
    }

    /**
     * Opens the asset of a name, and suspends until it is loaded. It must be stored as it is: `androidResources {
     * noCompress += listOf("onnx", "gguf") }`.
     */
    public suspend fun open(context: Context, name: String, options: Options = Options()): Engine =
        context.assets.openFd(name).use { Engine.open(source(it), options) }

    /** As [open], on the calling thread. */
    @JvmStatic
    @JvmOverloads
    public fun openBlocking(context: Context, name: String, options: Options = Options()): Engine =
        context.assets.openFd(name).use { Engine.openBlocking(source(it), options) }
}
