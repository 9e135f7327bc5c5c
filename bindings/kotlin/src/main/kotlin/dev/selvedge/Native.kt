package dev.selvedge

import java.nio.ByteBuffer

/**
 * The natives of libselvedge_jni, and the only class that has any. Handles are numbers: one that was freed, or never was
 * one, is refused by the library. Each type here is checked against the library's when it is loaded.
 */
internal object Native {
    init {
        Library.load()
    }

    /** Throws what a native refuses. Called by the library. */
    @JvmStatic
    fun raise(code: Int, message: String): Unit = throw SelvedgeException(Code.of(code), code, message)

    @JvmStatic external fun abiVersion(): Int
    @JvmStatic external fun version(): String
    @JvmStatic external fun features(): String
    @JvmStatic external fun kernelName(): String
    @JvmStatic external fun cancelNew(): Long
    @JvmStatic external fun cancelSet(cancel: Long)
    @JvmStatic external fun free(kind: Int, handle: Long)
    @JvmStatic external fun bufferText(buffer: Long): String
    @JvmStatic external fun logSet(listener: Callback?, level: Int)

    @JvmStatic external fun open(
        what: Int, path: String?, file: Long, offset: Long, length: Long, memory: ByteBuffer?, backend: Int,
        loading: Int, threads: Int, promptThreads: Int, contextTokens: Int, parallel: Int, acceleratorLayers: Int,
        flags: Int, memoryLimit: Long, sha256: ByteArray?, onnxruntime: String?, entries: Array<String>?,
        adapters: Array<String>?, measurements: String?, acceleratorDevice: String?, cancel: Long, listener: Callback?,
    ): Long

    @JvmStatic external fun engineSpec(engine: Long): String

    @JvmStatic external fun engineRun(
        engine: Long, names: Array<String>, dtypes: IntArray, ranks: IntArray, dims: LongArray, data: Array<Any?>,
        outputs: Array<String>?, cancel: Long, timeoutMillis: Long, id: Long, priority: Int,
    ): Long

    @JvmStatic external fun engineStart(
        engine: Long, names: Array<String>, dtypes: IntArray, ranks: IntArray, dims: LongArray, data: Array<Any?>,
        outputs: Array<String>?, cancel: Long, timeoutMillis: Long, id: Long, priority: Int,
    ): Long

    @JvmStatic external fun engineRunInto(
        engine: Long, names: Array<String>, dtypes: IntArray, ranks: IntArray, dims: LongArray, data: Array<Any?>,
        outputs: Array<String>, buffers: Array<Any?>, wanted: IntArray, cancel: Long, timeoutMillis: Long, id: Long,
        priority: Int,
    ): LongArray

    @JvmStatic external fun engineGenerate(
        engine: Long, prompt: String?, conversation: Array<Any?>?, tokens: IntArray?, stop: Array<String>?,
        flags: Int, maxTokens: Int, seed: Int, temperature: Float, topK: Int, topP: Float, minP: Float,
        repeatPenalty: Float, frequencyPenalty: Float, presencePenalty: Float, penaltyLastN: Int, grammar: String?,
        grammarKind: Int, tools: Array<String>?, toolChoice: Int, toolName: String?, documents: Array<String>?,
        thinking: Int, variables: Array<String>?, adapters: Array<String>?, scales: FloatArray?, biasTokens: IntArray?,
        biases: FloatArray?, topLogprobs: Int, cancel: Long, timeoutMillis: Long, id: Long, priority: Int,
    ): Long

    @JvmStatic external fun engineScore(
        engine: Long, prompt: String?, conversation: Array<Any?>?, tokens: IntArray?, continuations: Array<String>,
        adapters: Array<String>?, scales: FloatArray?, cancel: Long, timeoutMillis: Long, id: Long, priority: Int,
    ): Long

    @JvmStatic external fun engineRerank(
        engine: Long, query: String, documents: Array<String>, cancel: Long, timeoutMillis: Long, id: Long,
        priority: Int,
    ): Long

    @JvmStatic external fun engineSavePrefixes(engine: Long, path: String): LongArray
    @JvmStatic external fun engineRestorePrefixes(engine: Long, path: String): LongArray

    @JvmStatic external fun engineEmbed(
        engine: Long, texts: Array<String>, flags: Int, cancel: Long, timeoutMillis: Long, id: Long, priority: Int,
    ): Long

    @JvmStatic external fun engineTrim(engine: Long, level: Int): Long
    @JvmStatic external fun engineTokenize(engine: Long, prompt: String?, conversation: Array<Any?>?): IntArray
    @JvmStatic external fun engineDetokenize(engine: Long, tokens: IntArray): String
    @JvmStatic external fun engineRender(engine: Long, conversation: Array<Any?>): String

    @JvmStatic external fun runNext(run: Long, numbers: LongArray, more: Array<Any?>): String?
    @JvmStatic external fun runAnswer(run: Long): Long
    @JvmStatic external fun answerJson(answer: Long): String
    @JvmStatic external fun answerOutputCount(answer: Long): Int
    @JvmStatic external fun answerOutput(answer: Long, index: Int): Array<Any?>

    @JvmStatic external fun telemetryOpen(
        folder: String, bytes: Long, historyBytes: Long, segmentBytes: Long, lanes: Int, slots: Int, durability: Int,
    ): Long

    @JvmStatic external fun telemetryStatus(telemetry: Long): String
    @JvmStatic external fun reportHtml(folder: String): String

    @JvmStatic external fun profileFit(
        names: Array<String>, dtypes: IntArray, sources: IntArray, flags: IntArray, strides: LongArray,
        data: Array<Any?>, rowCount: Long, embeddings: ByteBuffer?, embeddingWidth: Long, right: ByteBuffer?,
        bins: Int, categories: Int, seed: Int, block: Int, sha256: ByteArray?,
    ): Long

    @JvmStatic external fun profileDecode(bytes: ByteArray): Long
    @JvmStatic external fun profileEncode(profile: Long): ByteArray
    @JvmStatic external fun profileJson(profile: Long): String

    @JvmStatic external fun profileCompare(
        profile: Long, names: Array<String>, dtypes: IntArray, sources: IntArray, flags: IntArray, strides: LongArray,
        data: Array<Any?>, rowCount: Long, embeddings: ByteBuffer?, embeddingWidth: Long, right: ByteBuffer?,
    ): String

    @JvmStatic external fun monitorNew(
        engine: Long, telemetry: Long, config: String, profile: Long, listener: Callback?,
    ): Long

    @JvmStatic external fun monitorEngine(monitor: Long): Long
    @JvmStatic external fun monitorNextAlert(monitor: Long, listener: Callback): Int
    @JvmStatic external fun monitorFeedback(monitor: Long, id: Long, label: Int, value: Int): Int
    @JvmStatic external fun monitorTick(monitor: Long)
    @JvmStatic external fun monitorCloseWindow(monitor: Long)
    @JvmStatic external fun monitorReport(monitor: Long): String
    @JvmStatic external fun monitorProfile(monitor: Long): Long

    @JvmStatic external fun outboxOpen(
        telemetry: Long, folder: String, app: String, appVersion: String?, attributes: Array<String>?,
        intervalMillis: Long, minCount: Long, epsilon: Double, encoding: Int, flags: Int,
    ): Long

    @JvmStatic external fun outboxNextBatch(outbox: Long, maxBytes: Long): Long

    @JvmStatic external fun outboxBegin(
        outbox: Long, attempts: Int, retryFlags: Int, baseMillis: Long, capMillis: Long, network: Int,
    ): Array<Any?>

    @JvmStatic external fun outboxJudge(
        outbox: Long, batch: Long, index: Int, attempt: Int, attempts: Int, retryFlags: Int, baseMillis: Long,
        capMillis: Long, status: Int, contentType: String?, retryAfter: String?, body: ByteArray?,
    ): Array<Any?>

    @JvmStatic external fun outboxAck(outbox: Long, batch: Long)
    @JvmStatic external fun outboxRefuse(outbox: Long, batch: Long, refused: Long)
    @JvmStatic external fun outboxSplit(outbox: Long, batch: Long): Int
    @JvmStatic external fun outboxBisect(outbox: Long, batch: Long): Int
    @JvmStatic external fun outboxStatus(outbox: Long): String
    @JvmStatic external fun outboxResetInstallId(outbox: Long): String
    @JvmStatic external fun batchRequestCount(batch: Long): Int
    @JvmStatic external fun batchRequest(batch: Long, index: Int): Array<Any?>
    @JvmStatic external fun batchJson(batch: Long): String

    @JvmStatic external fun tableOpen(
        path: String?, file: Long, offset: Long, length: Long, memory: ByteBuffer?, tensor: String, loading: Int,
    ): Long

    @JvmStatic external fun tableShape(table: Long): LongArray
    @JvmStatic external fun tableGather(table: Long, ids: IntArray): FloatArray
    @JvmStatic external fun tablePool(table: Long, ids: IntArray, pool: Int, weights: FloatArray?, flags: Int): FloatArray
    @JvmStatic external fun tableSearch(table: Long, query: FloatArray, k: Int): Array<Any?>

    @JvmStatic external fun pack(
        path: String?, file: Long, offset: Long, length: Long, memory: ByteBuffer?, to: String, scheme: Int,
        flags: Int, minElements: Long, meanBits: Double, only: Array<String>?, keep: Array<String>?,
        finer: Array<String>?, cancel: Long, listener: Callback?,
    ): String
}

/** What the library tells: each kind of listener takes one of these. Called by the library, on any thread. */
internal abstract class Callback {
    open fun progress(done: Long, total: Long) {}

    open fun alert(
        event: Int, severity: Int, action: Int, since: Long, at: Long, kind: String, feature: String, evidence: String,
    ) {
    }

    open fun log(level: Int, target: String, message: String) {}
}
