package dev.selvedge

/** How likely continuations of a prompt are, by the model: an element for each, in their order. */
public class Scores internal constructor(answer: Answer) {
    /** The natural logarithm of its probability, the sum over its tokens: at most 0. */
    public val logprobs: FloatArray = answer["logprob"].floats()

    /** How many tokens it has. */
    public val tokens: LongArray = answer["tokens"].longs()

    /** Whether each of its tokens is the likeliest at its place. */
    public val greedy: BooleanArray = answer["greedy"].bytes().map { it != 0.toByte() }.toBooleanArray()

    public val usage: Usage = answer.usage

    public val provenance: Provenance = answer.provenance
}

/** How well documents answer a query, by a model that reads both together. */
public class Ranking internal constructor(answer: Answer) {
    /** In the order of the documents: a number of any size, the larger the more relevant. */
    public val scores: FloatArray = answer["score"].floats()

    /** The places of the documents, from 0, the most relevant first. */
    public val order: IntArray = answer["order"].longs().map { it.toInt() }.toIntArray()

    public val usage: Usage = answer.usage

    public val provenance: Provenance = answer.provenance
}

/** What was saved of a prefix cache, or restored. */
public class Prefixes internal constructor(numbers: LongArray) {
    /** Beginnings of prompts. */
    public val prefixes: Long = numbers[0]

    /** Their tokens, all together. */
    public val tokens: Long = numbers[1]

    /** Bytes of the file. */
    public val bytes: Long = numbers[2]
}
