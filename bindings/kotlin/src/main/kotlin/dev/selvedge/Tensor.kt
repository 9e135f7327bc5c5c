package dev.selvedge

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** The type of a tensor's elements. */
public enum class DType(
    internal val number: Int,
    /** Bytes of an element; 0 for texts. */
    public val size: Int,
) {
    F32(1, 4), F16(2, 2), BF16(3, 2), I8(4, 1), U8(5, 1), I32(6, 4), I64(7, 8),

    /** One byte, 0 or 1. */
    BOOL(8, 1),
    F64(9, 8), I16(10, 2), U16(11, 2), U32(12, 4), U64(13, 8),
    STRING(14, 0);

    internal companion object {
        fun of(number: Int): DType = entries.find { it.number == number }
            ?: throw SelvedgeException(Code.UNSUPPORTED, "dtype $number is younger than this class")
    }
}

/**
 * Numbers or texts in rows, outermost dimension first. Made of a direct buffer it is lent to the engine as it is, and an
 * output is read where the engine left it; what comes from an array is copied once.
 */
public class Tensor internal constructor(
    public val dtype: DType,
    private val dims: LongArray,
    private val data: ByteBuffer?,
    private val texts: Array<String?>?,
    /** Of an output: the answer whose memory it is. */
    private val memory: Handle?,
) {
    private var isKept = false

    /** The dimensions; none is a scalar. */
    public val shape: LongArray get() = dims.clone()

    /** The number of elements. */
    public val count: Long get() = elements(dims)

    /**
     * The bytes where they are, little-endian, without a copy; of an output only to be read. They stay as long as this
     * buffer, or a part of it, is reached, also after the answer is closed.
     */
    public val buffer: ByteBuffer
        get() {
            val data = data ?: throw SelvedgeException.invalid("buffer: expected numbers, got texts")
            if (memory == null) return data.duplicate().order(ByteOrder.LITTLE_ENDIAN)
            synchronized(memory) {
                if (!isKept) keep(memory, data)
                isKept = true
            }
            return data.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN)
        }

    /** For as long as [root] or a buffer made of it is reached. */
    private fun keep(memory: Handle, root: ByteBuffer) {
        memory.enter()
        Reaper.watch(root) { memory.exit() }
    }

    public fun floats(): FloatArray = copy(DType.F32) { n, from -> FloatArray(n).also { from.asFloatBuffer().get(it) } }

    public fun doubles(): DoubleArray =
        copy(DType.F64) { n, from -> DoubleArray(n).also { from.asDoubleBuffer().get(it) } }

    /** Of I32 and U32. */
    public fun ints(): IntArray =
        copy(DType.I32, DType.U32) { n, from -> IntArray(n).also { from.asIntBuffer().get(it) } }

    /** Of I64 and U64. */
    public fun longs(): LongArray =
        copy(DType.I64, DType.U64) { n, from -> LongArray(n).also { from.asLongBuffer().get(it) } }

    /** Of I16, U16, F16 and BF16: the bits. */
    public fun shorts(): ShortArray = copy(DType.I16, DType.U16, DType.F16, DType.BF16) { n, from ->
        ShortArray(n).also { from.asShortBuffer().get(it) }
    }

    /** Of I8, U8 and BOOL. */
    public fun bytes(): ByteArray =
        copy(DType.I8, DType.U8, DType.BOOL) { n, from -> ByteArray(n).also { from.get(it) } }

    /** Of STRING. */
    public fun strings(): List<String> {
        val texts = texts ?: throw SelvedgeException.invalid("strings: expected a tensor of STRING, got $dtype")
        return texts.map { it ?: "" }
    }

    private inline fun <R> copy(vararg dtypes: DType, read: (Int, ByteBuffer) -> R): R {
        if (dtype !in dtypes || data == null) {
            throw SelvedgeException.invalid("expected a tensor of ${dtypes.joinToString(" or ")}, got $dtype")
        }
        memory?.enter()
        try {
            return read(data.capacity() / dtype.size, data.duplicate().order(ByteOrder.LITTLE_ENDIAN))
        } finally {
            memory?.exit()
        }
    }

    internal fun dims(): LongArray = dims

    /** What a native takes: a buffer or texts. To be given back by [giveBack]. */
    internal fun lend(): Any? {
        memory?.enter()
        return data ?: texts
    }

    internal fun giveBack() {
        memory?.exit()
    }

    public companion object {
        /** Lends a direct buffer from its position to its limit; little-endian. It must not change during a call. */
        @JvmStatic
        public fun of(dtype: DType, data: ByteBuffer, vararg shape: Long): Tensor {
            if (dtype == DType.STRING) throw SelvedgeException.invalid("data: expected numbers, got STRING")
            if (!data.isDirect) throw SelvedgeException.invalid("data: expected a direct buffer (allocateDirect)")
            return Tensor(dtype, shape.clone(), data.whole(), null, null)
        }

        @JvmStatic
        public fun of(data: FloatArray, vararg shape: Long): Tensor =
            copied(DType.F32, data.size, shape) { it.asFloatBuffer().put(data) }

        @JvmStatic
        public fun of(data: DoubleArray, vararg shape: Long): Tensor =
            copied(DType.F64, data.size, shape) { it.asDoubleBuffer().put(data) }

        @JvmStatic
        public fun of(data: IntArray, vararg shape: Long): Tensor =
            copied(DType.I32, data.size, shape) { it.asIntBuffer().put(data) }

        @JvmStatic
        public fun of(data: LongArray, vararg shape: Long): Tensor =
            copied(DType.I64, data.size, shape) { it.asLongBuffer().put(data) }

        /** Bytes as U8. */
        @JvmStatic
        public fun of(data: ByteArray, vararg shape: Long): Tensor =
            copied(DType.U8, data.size, shape) { it.duplicate().put(data) }

        @JvmStatic
        public fun of(data: BooleanArray, vararg shape: Long): Tensor =
            copied(DType.BOOL, data.size, shape) { to -> data.forEachIndexed { i, b -> to.put(i, if (b) 1 else 0) } }

        @JvmStatic
        public fun of(data: Array<String>, vararg shape: Long): Tensor =
            Tensor(DType.STRING, shape.clone(), null, Array(data.size) { data[it] }, null)

        private inline fun copied(dtype: DType, count: Int, shape: LongArray, write: (ByteBuffer) -> Unit): Tensor {
            val data = direct(count.toLong() * dtype.size)
            write(data)
            return Tensor(dtype, shape.clone(), data, null, null)
        }
    }
}

internal fun elements(dims: LongArray): Long = dims.fold(1L) { all, dim -> all * dim }

internal fun direct(bytes: Long): ByteBuffer {
    if (bytes > Int.MAX_VALUE) throw SelvedgeException.invalid("expected at most ${Int.MAX_VALUE} bytes, got $bytes")
    return ByteBuffer.allocateDirect(bytes.toInt()).order(ByteOrder.nativeOrder())
}

/** A buffer that begins at its position and ends at its limit, as natives take it, and that nobody else moves. */
internal fun ByteBuffer.whole(): ByteBuffer = slice()
