package dev.selvedge

import java.nio.ByteBuffer

/** How a profile is fitted; 0 is the library's default. */
public class Fit @JvmOverloads constructor(
    /** Of a number. */
    public var bins: Int = 0,
    /** Most that are kept of a column. */
    public var categories: Int = 0,
    /** Of what is drawn for embeddings. */
    public var seed: Int = 0,
    /** Rows that depend on one another; 1: none do; 0: estimated. */
    public var block: Int = 0,
    /** 32 bytes: the digest of the model it is for; null: of any. */
    public var sha256: ByteArray? = null,
)

/** Where a column comes from. */
public enum class FeatureSource {
    /** A number or a category that goes into the model. */
    INPUT,

    /** The class that the model gave. */
    CLASS,

    /** How sure it was, in [0, 1]. */
    CONFIDENCE,

    /** Of its probabilities, in nats. */
    ENTROPY,

    /** Of its answer, in milliseconds. */
    LATENCY,

    /** Of a text, in any unit. */
    LENGTH,
}

/** A column of rows: numbers, where NaN is missing, or categories. */
public class Column private constructor(
    public val name: String,
    internal val dtype: DType,
    internal val rows: Long,
    internal val stride: Long,
    internal val data: Any,
) {
    /** Where it comes from. */
    public var source: FeatureSource = FeatureSource.INPUT

    /** Whether its numbers are names of categories, not amounts. */
    public var isCategory: Boolean = false

    public companion object {
        /** Numbers or categories in a tensor of one dimension. */
        @JvmStatic
        public fun of(name: String, data: Tensor): Column =
            if (data.dtype == DType.STRING) categories(name, data.strings()) else at(name, data, 0, 1)

        @JvmStatic
        public fun of(name: String, data: FloatArray): Column = of(name, Tensor.of(data, data.size.toLong()))

        @JvmStatic
        public fun of(name: String, data: DoubleArray): Column = of(name, Tensor.of(data, data.size.toLong()))

        @JvmStatic
        public fun of(name: String, data: LongArray): Column = of(name, Tensor.of(data, data.size.toLong()))

        /** Categories; null is missing. */
        @JvmStatic
        public fun categories(name: String, data: List<String?>): Column =
            Column(name, DType.STRING, data.size.toLong(), 0, data.toTypedArray())

        /** The columns of a tensor [rows, names], where they are. */
        @JvmStatic
        public fun ofRows(names: List<String>, data: Tensor): List<Column> {
            val shape = data.dims()
            if (shape.size != 2 || shape[1] != names.size.toLong()) {
                val got = shape.joinToString(", ", "[", "]")
                throw SelvedgeException.invalid("rows: expected a tensor [rows, ${names.size}], got $got")
            }
            return names.mapIndexed { i, name -> at(name, data, i, names.size) }
        }

        private fun at(name: String, data: Tensor, index: Int, width: Int): Column {
            val (dtype, rows) = data.dtype to if (width == 0) 0 else data.count / width
            val bytes = data.buffer
            if (rows > 0) (bytes as java.nio.Buffer).position(index * dtype.size)
            return Column(name, dtype, rows, width.toLong() * dtype.size, bytes.slice())
        }
    }
}

/** Rows of the data that a model was made for, or of what it sees now. */
public class Rows @JvmOverloads constructor(
    public val columns: List<Column>,
    /** F32 [rows, width]; null: none. */
    public val embeddings: Tensor? = null,
    /** Of each row whether the model was right; null: not known. */
    public val right: BooleanArray? = null,
) {
    internal class Raw(rows: Rows) {
        private val columns = rows.columns
        private val vectors = rows.embeddings?.also {
            if (it.dtype != DType.F32 || it.dims().size != 2) {
                throw SelvedgeException.invalid("embeddings: expected F32 [rows, width], got ${it.dtype}")
            }
        }
        val names = Array(columns.size) { columns[it].name }
        val dtypes = IntArray(columns.size) { columns[it].dtype.number }
        val sources = IntArray(columns.size) { columns[it].source.ordinal }
        val flags = IntArray(columns.size) { if (columns[it].isCategory) 1 else 0 }
        val strides = LongArray(columns.size) { columns[it].stride }
        val data = Array<Any?>(columns.size) { columns[it].data }
        val count = columns.firstOrNull()?.rows ?: vectors?.dims()?.get(0) ?: 0
        val embeddings: ByteBuffer? = vectors?.buffer
        val width = vectors?.dims()?.get(1) ?: 0
        val right: ByteBuffer? = rows.right?.let { Tensor.of(it, it.size.toLong()).buffer }

        init {
            columns.find { it.rows != count }?.let {
                throw SelvedgeException.invalid("column '${it.name}': expected $count rows, got ${it.rows}")
            }
        }
    }
}

/** The distributions that a model was made for: a few kilobytes that travel beside it. */
public class Profile internal constructor(value: Long) : AutoCloseable {
    private val handle = Handle(Handle.Kind.PROFILE, value)

    /** The profile as bytes, for a file beside the model. */
    public fun encode(): ByteArray = handle.use(Native::profileEncode)

    /** What the profile holds, as a JSON object. */
    public val json: String get() = handle.use(Native::profileJson)

    /** Whether these rows come from the world of the profile, as a JSON object. Columns are found by their names. */
    public fun compareJson(rows: Rows): String {
        val r = Rows.Raw(rows)
        return handle.use {
            Native.profileCompare(
                it, r.names, r.dtypes, r.sources, r.flags, r.strides, r.data, r.count, r.embeddings, r.width, r.right,
            )
        }
    }

    override fun close(): Unit = handle.close()

    internal fun <R> withHandle(block: (Long) -> R): R = handle.use(block)

    public companion object {
        /** Fits a profile to the rows that a model was made for, in their order. */
        @JvmStatic
        @JvmOverloads
        public fun fit(rows: Rows, fit: Fit = Fit()): Profile {
            val r = Rows.Raw(rows)
            return Profile(
                Native.profileFit(
                    r.names, r.dtypes, r.sources, r.flags, r.strides, r.data, r.count, r.embeddings, r.width, r.right,
                    fit.bins, fit.categories, fit.seed, fit.block, fit.sha256,
                ),
            )
        }

        /** Fits a profile to columns. */
        @JvmStatic
        public fun fit(columns: List<Column>): Profile = fit(Rows(columns))

        /** Reads a profile from the bytes that [encode] gave, on any machine. */
        @JvmStatic
        public fun decode(bytes: ByteArray): Profile = Profile(Native.profileDecode(bytes))
    }
}
