package dev.selvedge

import java.io.ByteArrayInputStream
import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.security.MessageDigest
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.zip.GZIPInputStream
import kotlin.concurrent.thread

/** One case: its things by name, freed at its end. */
internal class Case(private val tables: Map<String, Any?>) : AutoCloseable {
    private val folder = Place.folder()
    private val things = HashMap<String, AutoCloseable>()
    private val rest = ArrayList<AutoCloseable>()
    private val told = HashMap<String, ConcurrentLinkedQueue<Alert>>()
    private var tolerance: Double? = null

    /** Runs a step, and holds what it gives against what is expected. */
    fun step(step: Map<String, Any?>) {
        // Inputs are a map here, which holds a name once.
        if ("a binding whose inputs are a map skips this step" == step["note"]) return
        tolerance = (step["tolerance"] as? Number)?.toDouble()
        val error = step["error"] as String?
        if (error != null) {
            val parts = step.list("message").map { it as String }.toTypedArray()
            refused(Code.valueOf(error), *parts) { (give(step) as? AutoCloseable)?.close() }
            return
        }
        val given = give(step)
        (step["as"] as String?)?.let { name -> if (given is AutoCloseable) keep(name, given) }
        if ("expect" in step) hold(step["expect"], if (given is AutoCloseable) about(given, step) else given)
    }

    private fun keep(name: String, thing: AutoCloseable) {
        things.put(name, thing)?.let { rest += it }
    }

    private fun hold(expected: Any?, got: Any?) {
        mismatch(expected, got, tolerance)?.let { throw Failure(it) }
    }

    /** What the cases say of a thing that a step makes. */
    private fun about(thing: AutoCloseable, step: Map<String, Any?>): Any? = when (thing) {
        is Table -> mapOf("rows" to thing.rows, "width" to thing.width)
        is Batch -> batchOf(thing)
        else -> throw Failure("${step["op"]}: nothing to expect of it")
    }

    private inline fun <reified T> thing(step: Map<String, Any?>, name: String): T = things[step.text(name)] as T

    private fun engine(step: Map<String, Any?>): Engine = thing(step, "engine")

    private fun path(step: Map<String, Any?>, name: String = "path") = expand(step.text(name))

    private fun expand(text: String) = text.replace("\${REPO}", Place.repo.path).replace("\${TMP}", folder.path)
        .replace("\${SELVEDGE_CORPUS}", Place.corpus?.path ?: "")

    private fun give(step: Map<String, Any?>): Any? = when (val op = step.text("op")) {
        "open" -> Engine.openBlocking(path(step), options(step.obj("options")))
        "open_bytes" -> Engine.openBlocking(Source.memory(bytes(path(step))), options(step.obj("options")))
        "open_file" -> openFile(step)
        "inspect" -> Json.parse(Engine.inspect(Source.path(path(step))))
        "validate" -> Engine.validate(Source.path(path(step)))
        "spec" -> Json.parse(engine(step).spec().json)
        "run", "start" -> run(step)
        "generate" -> generate(step)
        "tokenize" -> engine(step).tokenize(step.text("prompt")).map { it.toLong() }
        "detokenize" -> engine(step).detokenize(ids(step, "tokens"))
        "render" -> engine(step).render(messagesOf(step))
        "embed" -> engine(step).embedBlocking(step.list("texts").map { it as String }, step["raw"] == true).use {
            describe("", it["embedding"])
        }
        "trim" -> engine(step).trim(Trim.valueOf(step.text("level").uppercase()))
        "cancel" -> Cancel().also { if (step["set"] == true) it.set() }
        "close" -> things[step.text("what")]!!.let { thing -> repeat(2) { thing.close() } }
        "table" -> Table.open(Source.path(path(step)), step.text("tensor"))
        "gather" -> thing<Table>(step, "table").gather(ids(step, "ids")).map { it.toDouble() }
        "pool" -> thing<Table>(step, "table").pool(
            ids(step, "ids"), Pool.valueOf(step.text("pool").uppercase()), normalize = step["normalize"] == true,
        ).map { it.toDouble() }
        "search" -> thing<Table>(step, "table").search(numbers(step.list("query")), step.long("k").toInt())
            .map { listOf(it.row.toLong(), it.score.toDouble()) }
        "pack" -> Json.parse(
            Pack(Scheme.valueOf(step.text("scheme").uppercase()), minElements = step.long("min_elements"))
                .runBlocking(Source.path(path(step)), path(step, "to")),
        )
        else -> asked(op, step)
    }

    private fun watched(op: String, step: Map<String, Any?>): Any? = when (op) {
        "fit" -> fit(step)
        "encode" -> thing<Profile>(step, "profile").encode().let { bytes ->
            step["path"]?.let { File(path(step)).writeBytes(bytes) }
            mapOf("bytes" to bytes.size.toLong(), "sha256" to hex(MessageDigest.getInstance("SHA-256").digest(bytes)))
        }
        "decode" -> Profile.decode(File(path(step)).readBytes())
        "profile_json" -> Json.parse(thing<Profile>(step, "profile").json)
        "compare" -> Json.parse(thing<Profile>(step, "profile").compareJson(rows(step)))
        "telemetry" -> Telemetry.open(path(step))
        "telemetry_status" -> Json.parse(thing<Telemetry>(step, "telemetry").statusJson())
        "monitor" -> monitor(step)
        "run_rows" -> runRows(step)
        "feedback" -> feedback(step)
        "tick" -> thing<Monitor>(step, "monitor").tick()
        "close_window" -> thing<Monitor>(step, "monitor").closeWindow()
        "alerts" -> alerts(step)
        "report" -> Json.parse(thing<Monitor>(step, "monitor").reportJson())
        "monitor_profile" -> thing<Monitor>(step, "monitor").profile()
        "story" -> Telemetry.reportHtml(path(step))
        else -> posted(op, step)
    }

    private fun posted(op: String, step: Map<String, Any?>): Any? {
        if (op == "outbox") return Outbox.open(thing(step, "telemetry"), outboxOptions(step.obj("options")), path(step))
        val outbox = thing<Outbox>(step, "outbox")
        return when (op) {
            "outbox_status" -> Json.parse(outbox.statusJson())
            "reset_install_id" -> outbox.resetInstallId()
            "begin" -> judged(outbox.begin(network(step), retry(step)))
            "judge" -> judged(
                outbox.judge(
                    thing(step, "batch"), step.long("index").toInt(), step.long("attempt").toInt(),
                    response(step.obj("response")), retry(step),
                ),
            )
            "batch" -> outbox.nextBatch(step.long("max_bytes"))?.also { batch ->
                step["same_as"]?.let { same(batchOf(thing(step, "same_as")), batchOf(batch), "the batch") }
            }
            "ack" -> outbox.ack(thing(step, "batch"))
            "refuse" -> outbox.refuse(thing(step, "batch"), step.long("refused"))
            "split" -> outbox.split(thing(step, "batch"))
            "bisect" -> outbox.bisect(thing(step, "batch"))
            else -> throw Failure("an op that is not known: $op")
        }
    }

    // ---- Engines ----

    private fun options(json: Map<String, Any?>) = Options(
        backend = (json["backend"] as String?)?.let { Backend.valueOf(it.uppercase()) } ?: Backend.AUTO,
        loading = (json["loading"] as String?)?.let { Loading.valueOf(it.uppercase()) } ?: Loading.MAPPED,
        threads = json.long("threads").toInt(),
        contextTokens = json.long("context_tokens").toInt(),
        parallel = json.long("parallel").toInt(),
        memoryLimit = json.long("memory_limit"),
        promptThreads = json.long("prompt_threads").toInt(),
        sha256 = (json["sha256"] as String?)?.chunked(2)?.map { it.toInt(16).toByte() }?.toByteArray(),
        onnxruntime = (json["onnxruntime"] as String?)?.let(::expand),
        symlinks = json["no_symlinks"] != true,
        cancel = (json["cancel"] as String?)?.let { things[it] as Cancel },
    )

    private fun openFile(step: Map<String, Any?>): Engine {
        val model = File(path(step)).readBytes()
        val prefix = step.long("prefix").toInt()
        val file = if (prefix == 0) File(path(step)) else folder.resolve("prefixed").also {
            it.writeBytes(ByteArray(prefix) + model + ByteArray(100))
        }
        // The library has its own descriptor: this one is closed once the model is open.
        return RandomAccessFile(file, "r").use { open ->
            val length = if (prefix == 0) 0L else model.size.toLong()
            val source = Source.file(descriptor(open), prefix.toLong(), length)
            Engine.openBlocking(source, options(step.obj("options")))
        }
    }

    private fun call(step: Map<String, Any?>) = Call(
        cancel = (step["cancel"] as String?)?.let { things[it] as Cancel },
        timeoutMillis = step.long("timeout_ms"),
        id = step.long("id"),
    )

    private fun run(step: Map<String, Any?>): Any? {
        val inputs = step.list("inputs").map(::members).associate { it.text("name") to tensorOf(it) }
        val outputs = (step["outputs"] as List<*>?)?.map { it as String }
        val call = call(step)
        step["cancel_after_ms"]?.let { millis ->
            val cancel = Cancel().also { rest += it }
            call.cancel = cancel
            thread { Thread.sleep((millis as Number).toLong()); cancel.set() }
        }
        if (step["into"] == true) return into(engine(step), inputs, step)
        val answer = if (step["op"] == "start") engine(step).start(inputs, outputs, call).use { run ->
            for (event in run) check(event !is Event.Text) { "expected no text of tensors" }
            run.answer()
        } else {
            engine(step).runBlocking(inputs, outputs, call)
        }
        return answer.use {
            if ("answer" in step) hold(step["answer"], Json.parse(it.json))
            val wanted = (step["expect"] as List<*>?)?.map(::members) ?: emptyList()
            it.outputs.entries.mapIndexed { i, (name, tensor) ->
                // Where data is free, it may be long.
                if (wanted.getOrNull(i)?.containsKey("data") == false) describe(name, tensor) - "data" else describe(name, tensor)
            }
        }
    }

    private fun into(engine: Engine, inputs: Map<String, Tensor>, step: Map<String, Any?>): Any {
        val wanted = step.list("expect").map(::members)
        fun outputs(less: Int) = wanted.map {
            val dtype = DType.valueOf(it.text("dtype").uppercase())
            Output(it.text("name"), direct(it.list("data").size.toLong() * dtype.size - less), dtype)
        }
        refused(Code.INVALID_ARGUMENT) { engine.runIntoBlocking(inputs, outputs(1), call(step)) }
        val outputs = outputs(0)
        val shapes = engine.runIntoBlocking(inputs, outputs, call(step))
        return outputs.map { describe(it.name, Tensor.of(it.dtype!!, it.data, *shapes.getValue(it.name))) }
    }

    private fun generate(step: Map<String, Any?>): Any? {
        val request = requestOf(step)
        val (call, cancelAfter) = call(step) to (step["cancel_after_texts"] as Number?)?.toInt()
        if (cancelAfter != null) call.cancel = Cancel().also { rest += it }
        val told = Told()
        engine(step).start(request, call).use { run ->
            for (event in run) {
                told.add(event)
                if (event is Event.Text) {
                    if (told.texts.size == cancelAfter) call.cancel!!.set()
                    if (told.texts.size == (step["take"] as Number?)?.toInt()) return null
                }
                if (event is Event.Done) {
                    val given = mapOf(
                        "text" to told.text, "tool_calls" to told.calls.map(::describe),
                        "finish" to event.finish.name.lowercase(), "stop" to event.stop, "output_tokens" to event.outputTokens,
                    )
                    return given.also { run.answer().use { whole(it, step, request, told) } }
                }
            }
        }
        throw Failure("the run ended without an end")
    }

    private fun whole(answer: Answer, step: Map<String, Any?>, request: Generate, told: Told) {
        same(told.text, answer.text, "the answer's text")
        same(told.tokens, answer.tokens, "the answer's tokens")
        same(told.calls, answer.toolCalls, "the answer's calls")
        if ("answer" in step) hold(step["answer"], Json.parse(answer.json))
        if (request.temperature != 0f) return
        engine(step).generateBlocking(request).use {
            same(told.text, it.text, "asked whole")
            same(told.calls, it.toolCalls, "asked whole")
        }
    }

    private fun asked(op: String, step: Map<String, Any?>): Any? = when (op) {
        "score" -> describe(engine(step).scoreBlocking(promptOf(step), step.list("continuations").map { it as String }))
        "rerank" -> describe(engine(step).rerankBlocking(step.text("query"), step.list("documents").map { it as String }))
        "save_prefixes" -> describe(engine(step).savePrefixesBlocking(path(step)))
        "restore_prefixes" -> describe(engine(step).restorePrefixesBlocking(path(step)))
        else -> watched(op, step)
    }

    // ---- Monitors ----

    private fun table(step: Map<String, Any?>): List<List<Float>> {
        val all = tables.list(step.text("rows"))
        val (from, to) = step.long("from").toInt() to ((step["to"] as Number?)?.toInt() ?: all.size)
        return all.subList(from, to).map { row -> (row as List<*>).map { (it as Number?)?.toFloat() ?: Float.NaN } }
    }

    private fun rows(step: Map<String, Any?>): Rows {
        val names = tables.list("columns").map { it as String }
        val table = table(step)
        val data = Tensor.of(table.flatten().toFloatArray(), table.size.toLong(), names.size.toLong())
        return Rows(Column.ofRows(names, data))
    }

    private fun fit(step: Map<String, Any?>) = Profile.fit(
        rows(step),
        Fit(
            bins = step.long("bins").toInt(), block = step.long("block").toInt(), seed = step.long("seed").toInt(),
            sha256 = (step["sha256"] as String?)?.chunked(2)?.map { it.toInt(16).toByte() }?.toByteArray(),
        ),
    )

    private fun monitor(step: Map<String, Any?>): Monitor {
        val alerts = ConcurrentLinkedQueue<Alert>()
        val profile = (step["profile"] as String?)?.let { things[it] as Profile }
        val monitor = Monitor.of(engine(step), thing(step, "telemetry"), write(step["config"]), profile) { alerts.add(it) }
        told[step.text("as")] = alerts
        (step["engine_as"] as String?)?.let { keep(it, monitor.openEngine()) }
        return monitor
    }

    private fun runRows(step: Map<String, Any?>) {
        var id = step.long("first_id")
        for (row in table(step)) {
            val tensor = Tensor.of(row.toFloatArray(), 1, row.size.toLong())
            engine(step).runBlocking(mapOf(step.text("input") to tensor), null, Call(id = id++)).close()
        }
    }

    private fun feedback(step: Map<String, Any?>): List<List<Any?>> {
        var id = step.long("first_id")
        val label = Label.valueOf(step.text("label").uppercase())
        val verdicts = ArrayList<Pair<String, Long>>()
        for (value in step.list("values").map { (it as List<*>).map { n -> (n as Number).toLong() } }) {
            repeat(value[1].toInt()) {
                val verdict = thing<Monitor>(step, "monitor").feedback(id++, label, value[0].toInt()).name.lowercase()
                val last = verdicts.lastOrNull()
                if (last?.first == verdict) verdicts[verdicts.size - 1] = verdict to last.second + 1 else verdicts += verdict to 1
            }
        }
        return verdicts.map { listOf(it.first, it.second) }
    }

    private fun alerts(step: Map<String, Any?>): List<Map<String, Any?>> {
        val waiting = generateSequence { thing<Monitor>(step, "monitor").nextAlert() }.toList()
        val queue = told.getValue(step.text("monitor"))
        same(generateSequence { queue.poll() }.map { it.toString() }.toList(), waiting.map { it.toString() }, "those told")
        return waiting.filter { it.feature != "latency" }.map {
            mapOf(
                "event" to it.event.name.lowercase(), "kind" to it.kind, "feature" to it.feature,
                "severity" to it.severity.name.lowercase(), "action" to it.action.name.lowercase(),
                "since" to it.since, "at" to it.at,
            )
        }
    }

    // ---- Sync ----

    private fun outboxOptions(json: Map<String, Any?>) = OutboxOptions(
        app = json.text("app"),
        appVersion = json["app_version"] as String?,
        attributes = json.obj("attributes").mapValues { it.value as String },
        intervalMillis = json.long("interval_ms"),
        minCount = json.long("min_count"),
        epsilon = (json["epsilon"] as Number?)?.toDouble() ?: 0.0,
        encoding = (json["encoding"] as String?)?.let { Encoding.valueOf(it.uppercase()) } ?: Encoding.DEFAULT,
        exactCounts = json["exact_counts"] == true,
        anyCount = json["any_count"] == true,
    )

    private fun network(step: Map<String, Any?>) =
        Network("offline" in step.list("network"), "metered" in step.list("network"))

    private fun retry(step: Map<String, Any?>) = step.obj("retry").let {
        Retry(it.long("attempts").toInt(), it.long("base_ms"), it.long("cap_ms"), it["on_metered"] == true)
    }

    private fun response(json: Map<String, Any?>) = HttpResponse(
        json.long("status").toInt(), json["content_type"] as String?, json["retry_after"] as String?,
        json.text("body").toByteArray(),
    )

    private fun judged(judgement: Judgement) = mapOf(
        "decision" to judgement.decision.name.lowercase(), "wait_ms" to judgement.waitMillis,
        "refused" to judgement.refused, "reason" to judgement.reason,
    )

    private fun batchOf(batch: Batch): Map<String, Any?> = mapOf(
        "requests" to batch.requests.map {
            val plain = if (it.contentEncoding != "gzip") it.body else {
                GZIPInputStream(ByteArrayInputStream(it.body)).readBytes()
            }
            mapOf(
                "path" to it.path, "content_type" to it.contentType, "content_encoding" to (it.contentEncoding ?: ""),
                "body" to String(plain, Charsets.ISO_8859_1),
            )
        },
        "json" to Json.parse(batch.json),
    )

    override fun close() {
        things.values.reversed().forEach { it.close() }
        rest.forEach { it.close() }
        folder.deleteRecursively()
    }
}

/** What the events of a run have told. */
private class Told {
    val texts = ArrayList<String>()
    val tokens = ArrayList<Int>()
    val calls = ArrayList<ToolCall>()
    val text: String get() = texts.joinToString("")

    fun add(event: Event) {
        when (event) {
            is Event.Text -> texts += event.text
            is ToolCall -> calls += event
            else -> {}
        }
        tokens += tokensOf(event).map { it.id }
    }

    private fun tokensOf(event: Event) = when (event) {
        is Event.Text -> event.tokens
        is Event.Reasoning -> event.tokens
        is Event.CallPiece -> event.tokens
        is Event.Working, is Event.Done, is ToolCall, is MalformedCall -> emptyList()
    }
}

private fun Engine.spec() = spec

private fun ids(step: Map<String, Any?>, name: String) = step.list(name).map { (it as Number).toInt() }.toIntArray()

private fun numbers(list: List<Any?>) = list.map { (it as Number).toFloat() }.toFloatArray()

private fun hex(bytes: ByteArray) = bytes.joinToString("") { "%02x".format(it) }

internal fun bytes(path: String): ByteBuffer {
    val bytes = File(path).readBytes()
    return ByteBuffer.allocateDirect(bytes.size).put(bytes).flip() as ByteBuffer
}

/** The number of an open file's descriptor, which Java keeps to itself. */
internal fun descriptor(file: RandomAccessFile): Int {
    val field = java.io.FileDescriptor::class.java.getDeclaredField("fd")
    field.isAccessible = true
    return field.getInt(file.fd)
}

/** JSON of what [Json] reads. */
internal fun write(value: Any?): String = when (value) {
    is Map<*, *> -> value.entries.joinToString(", ", "{", "}") { "${write(it.key)}: ${write(it.value)}" }
    is List<*> -> value.joinToString(", ", "[", "]") { write(it) }
    is String -> "\"" + value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + "\""
    else -> value.toString()
}
