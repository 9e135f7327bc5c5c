package dev.selvedge

/** An input or output of an engine. */
public class Port internal constructor(json: Map<String, Any?>) {
    public val name: String = json.text("name")

    /** Null where it is no tensor. */
    public val dtype: DType? = DType.entries.find { it.name.equals(json["dtype"] as? String, ignoreCase = true) }

    /** A dimension is a number (Long), a symbol's name, or null; null where the rank is not known. */
    public val shape: List<Any?>? = json["shape"] as? List<*>

    /** Whether it may be left out. */
    public val isOptional: Boolean = json["optional"] == true
}

/** What an engine takes, gives, can do and costs. */
public class Spec internal constructor(
    /** All of it as a JSON object. */
    public val json: String,
) {
    private val parsed = Json.parseObject(json)

    public val provenance: Provenance = Provenance(parsed.obj("provenance"))
    public val inputs: List<Port> = ports("inputs")
    public val outputs: List<Port> = ports("outputs")

    /** Of "tensors", "generate", "chat", "embed", "score", "rerank", "interrupt". */
    public val abilities: Set<String> = parsed.obj("abilities").filterValues { it == true }.keys

    /** For text; 0 where there is none. */
    public val contextTokens: Long = parsed.long("context_tokens")
    public val embeddingSize: Long = parsed.long("embedding_size")

    /** By estimate, in bytes. */
    public val memoryTotal: Long = parsed.obj("memory").long("total")

    /** Those of [Options.adapters]. */
    public val adapters: List<Adapter> = parsed.objects("adapters").map(::Adapter)

    private fun ports(name: String) = parsed.objects(name).map(::Port)
}
