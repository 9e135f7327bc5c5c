package dev.selvedge

/** How rows become one. */
public enum class Pool { MEAN, SUM }

/** A row that was found. */
public class Hit internal constructor(
    public val row: Int,
    /** The inner product with the query. */
    public val score: Float,
)

/** Rows of numbers in a safetensors or GGUF file, read as they are asked for. */
public class Table private constructor(value: Long) : AutoCloseable {
    private val handle = Handle(Handle.Kind.TABLE, value)
    private val shape = handle.use(Native::tableShape)

    /** The number of rows. */
    public val rows: Long get() = shape[0]

    /** Numbers of a row. */
    public val width: Long get() = shape[1]

    /** The rows of [ids], one after the other. */
    public fun gather(ids: IntArray): FloatArray = handle.use { Native.tableGather(it, ids) }

    /** The mean or sum of the rows of [ids]; [weights] are for a sum. [normalize] scales it to length 1. */
    @JvmOverloads
    public fun pool(
        ids: IntArray, pool: Pool = Pool.MEAN, weights: FloatArray? = null, normalize: Boolean = false,
    ): FloatArray = handle.use { Native.tablePool(it, ids, pool.ordinal, weights, if (normalize) 1 else 0) }

    /** The [k] rows whose inner product with the query is greatest, best first. */
    public fun search(query: FloatArray, k: Int): List<Hit> {
        val found = handle.use { Native.tableSearch(it, query, k) }
        val (rows, scores) = found[0] as IntArray to found[1] as FloatArray
        return rows.mapIndexed { i, row -> Hit(row, scores[i]) }
    }

    override fun close(): Unit = handle.close()

    public companion object {
        /** Opens the tensor of a name as a table. */
        @JvmStatic
        @JvmOverloads
        public fun open(source: Source, tensor: String, loading: Loading = Loading.MAPPED): Table = Table(
            Native.tableOpen(
                source.path, source.file, source.offset, source.length, source.memory, tensor, loading.ordinal,
            ),
        )
    }
}
