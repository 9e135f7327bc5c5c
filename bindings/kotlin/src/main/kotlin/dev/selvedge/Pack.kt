package dev.selvedge

/** What packing makes of weights. */
public enum class Scheme { F16, INT8, INT4 }

/** How a model is packed; a pattern is a tensor's name in which * stands for any letters. */
public class Pack @JvmOverloads constructor(
    public var scheme: Scheme,
    /** Replace a model that is there. */
    public var overwrite: Boolean = false,
    /** Smaller tensors are kept as they are; 0: the library's default. */
    public var minElements: Long = 0,
    /** Bits of a weight on average, with INT4; 0: default. */
    public var meanBits: Double = 0.0,
    /** Only these are packed. */
    public var only: List<String> = emptyList(),
    /** These are kept as they are. */
    public var keep: List<String> = emptyList(),
    /** These get more bits. */
    public var finer: List<String> = emptyList(),
    /** Ends the packing; nothing is left behind. */
    public var cancel: Cancel? = null,
    /** Is told how many bytes of weights are packed. */
    public var progress: ProgressListener? = null,
) {
    /** Packs an ONNX model into a smaller one at [to], whole or not at all; what became of it, as a JSON object. */
    public suspend fun run(source: Source, to: String): String = interruptible(cancel) { pack(source, to, it) }

    /** As [run], on the calling thread. */
    public fun runBlocking(source: Source, to: String): String = pack(source, to, cancel)

    private fun pack(source: Source, to: String, cancel: Cancel?): String {
        val listener = progress?.let(::Progress)
        val switch = cancel?.enter() ?: 0
        val report = try {
            Native.pack(
                source.path, source.file, source.offset, source.length, source.memory, to, scheme.ordinal + 1,
                if (overwrite) 1 else 0, minElements, meanBits, only.toTypedArray(), keep.toTypedArray(),
                finer.toTypedArray(), switch, listener,
            )
        } catch (e: SelvedgeException) {
            throw listener?.thrown ?: e
        } finally {
            cancel?.exit()
        }
        throw listener?.thrown ?: return report
    }
}
