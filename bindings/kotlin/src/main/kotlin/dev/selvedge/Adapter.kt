package dev.selvedge

/** A LoRA adapter that an engine was opened with. */
public class Adapter internal constructor(json: Map<String, Any?>) {
    /** The name that requests use. */
    public val name: String = json.text("name")

    /** SHA-256 of its file, in hexadecimal digits. */
    public val digest: String = json.text("digest")

    /** Weights of the model that it changes. */
    public val applied: Int = json.long("applied").toInt()

    /** Weights that it has changes for. What is left of them is of a kind that the runtime does not change. */
    public val total: Int = json.long("total").toInt()
}

/** An adapter, as it was applied to an answer. */
public class AppliedAdapter internal constructor(json: Map<String, Any?>) {
    public val name: String = json.text("name")

    /** What its changes were multiplied with. */
    public val scale: Float = json.float("scale")

    /** Weights of the model that were changed; at least 1. */
    public val applied: Int = json.long("applied").toInt()

    /** Weights that it has changes for. */
    public val total: Int = json.long("total").toInt()
}
