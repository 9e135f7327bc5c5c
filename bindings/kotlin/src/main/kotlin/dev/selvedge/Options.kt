package dev.selvedge

/** The runtime that computes. */
public enum class Backend {
    /** By the file's content. */
    AUTO,

    /** GGUF through llama.cpp. */
    LLAMA,

    /** ONNX through ONNX Runtime. */
    ORT,

    /** ONNX through tract. */
    TRACT,

    /** Static embeddings in safetensors or GGUF. */
    TABLE,

    /** ONNX through rten. */
    RTEN,
}

/** How a file comes into memory. */
public enum class Loading {
    /** Pages come as they are touched; the file must not be truncated meanwhile. */
    MAPPED,

    /** Read whole. */
    READ,
}

/** Is told how far a call is: [done] of [total] units, bytes for the most part; [total] is 0 while it is not known. */
public fun interface ProgressListener {
    public fun progress(done: Long, total: Long)
}

/** How to open a model. */
public class Options @JvmOverloads constructor(
    public var backend: Backend = Backend.AUTO,
    public var loading: Loading = Loading.MAPPED,
    /** Of one computation; 0: the backend's choice. */
    public var threads: Int = 0,
    /** For text; 0: the model's own, at most 4096. */
    public var contextTokens: Int = 0,
    /** Runs side by side, for text; 0: 4. */
    public var parallel: Int = 0,
    /** Bytes; a model that takes more, by estimate, is [Code.OUT_OF_MEMORY] before it is loaded; 0: none. */
    public var memoryLimit: Long = 0,
    /** 32 bytes: a model with another digest is [Code.CORRUPT]. */
    public var sha256: ByteArray? = null,
    /** Path of the ONNX Runtime library; null: it is searched for. */
    public var onnxruntime: String? = null,
    /** Also in Python packages. */
    public var searchPython: Boolean = false,
    /** Whether a path may be a symbolic link. */
    public var symlinks: Boolean = true,
    /** Configuration of an ONNX Runtime session. */
    public var sessionEntries: Map<String, String> = emptyMap(),
    /** Ends the open. */
    public var cancel: Cancel? = null,
    /** Is told how much is hashed and loaded. */
    public var progress: ProgressListener? = null,
    /** LoRA adapters: paths of GGUF files, by the names that requests use. */
    public var adapters: Map<String, String> = emptyMap(),
    /** Of one computation of a prompt, with llama.cpp; 0: as [threads]. */
    public var promptThreads: Int = 0,
    /**
     * The folder of what was measured: an ONNX model goes to the runtime that is fastest at it here, which its first open
     * finds out; null: nothing is measured.
     */
    public var measurements: String? = null,
    /**
     * Whether llama.cpp computes prompts and texts to embed with this library's products of matrices, for about the memory of
     * its weights again.
     */
    public var ownProducts: Boolean = false,
    /** So many of the last layers of a GGUF model are computed on a GPU; -1: all; 0: none. */
    public var acceleratorLayers: Int = 0,
    /** The GPU's name, as llama.cpp has it, such as "Vulkan0"; null: the first. */
    public var acceleratorDevice: String? = null,
) {
    internal fun flags(): Int = (if (symlinks) 0 else NO_SYMLINKS) or (if (searchPython) SEARCH_PYTHON else 0) or
        (if (ownProducts) OWN_PRODUCTS else 0)

    /** [what] is of [Native.open]. */
    internal fun open(source: Source, what: Int, cancel: Cancel? = this.cancel): Long {
        val listener = progress?.let(::Progress)
        val switch = cancel?.enter() ?: 0
        val result = try {
            Native.open(
                what, source.path, source.file, source.offset, source.length, source.memory, backend.ordinal,
                loading.ordinal, threads, promptThreads, contextTokens, parallel, acceleratorLayers, flags(),
                memoryLimit, sha256, onnxruntime, sessionEntries.flat(), adapters.flat(), measurements,
                acceleratorDevice, switch, listener,
            )
        } catch (e: SelvedgeException) {
            throw listener?.thrown ?: e
        } finally {
            cancel?.exit()
        }
        val thrown = listener?.thrown ?: return result
        if (what == OPEN) Native.free(Handle.Kind.ENGINE.ordinal, result)
        if (what == INSPECT) Native.free(Handle.Kind.BUFFER.ordinal, result)
        throw thrown
    }

    internal companion object {
        const val OPEN = 0
        const val INSPECT = 1
        const val VALIDATE = 2
        private const val NO_SYMLINKS = 1
        private const val SEARCH_PYTHON = 2
        private const val OWN_PRODUCTS = 4
    }
}

/** What a listener throws is thrown by the call that it is told of. */
internal class Progress(private val listener: ProgressListener) : Callback() {
    @Volatile
    var thrown: Throwable? = null

    override fun progress(done: Long, total: Long) {
        if (thrown != null) return
        try {
            listener.progress(done, total)
        } catch (e: Throwable) {
            thrown = e
        }
    }
}

/** Names and values, one after the other, as natives take them. */
internal fun Map<String, String>.flat(): Array<String>? =
    if (isEmpty()) null else flatMap { listOf(it.key, it.value) }.toTypedArray()
