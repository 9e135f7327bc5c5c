package dev.selvedge

/** Requests for text, as the steps of the cases write them. */
internal fun requestOf(step: Map<String, Any?>): Generate = promptOf(step).apply {
    maxTokens = step.long("max_tokens").toInt()
    stop = step.list("stop").map { it as String }
    temperature = (step["temperature"] as Number?)?.toFloat() ?: 0f
    seed = (step["seed"] as Number?)?.toInt()
    grammar = step["grammar"]?.let(::members)?.let(::grammarOf)
    logprobs = step["logprobs"] == true
    topLogprobs = step.long("top_logprobs").toInt()
    bias = step.list("bias").associate { pair ->
        val (token, number) = (pair as List<*>).map { it as Number }
        token.toInt() to number.toFloat()
    }
    ban = step.list("ban").map { (it as Number).toInt() }.toSet()
    tools = step.objects("tools").map { Tool(it.text("name"), it.text("description"), it.text("parameters")) }
    toolChoice = choiceOf(step)
    documents = step.objects("documents").map { Document(it.text("title"), it.text("text")) }
    thinking = step["thinking"] as Boolean?
    variables = step.obj("variables").mapValues { write(it.value) }
    continueLast = step["continue_last"] == true
    separateReasoning = step["separate_reasoning"] == true
}

/** A prompt of a step, and the adapters that go with it. */
internal fun promptOf(step: Map<String, Any?>): Generate = when {
    "messages" in step -> Generate.chat(messagesOf(step))
    "tokens" in step -> Generate.tokens(step.list("tokens").map { (it as Number).toInt() }.toIntArray())
    else -> Generate(step.text("prompt"))
}.apply { adapters = step.list("adapters").associate { it as String to 1f } }

internal fun messagesOf(step: Map<String, Any?>): List<Message> = step.objects("messages").map { message ->
    val calls = message.objects("tool_calls").map { ToolCall(it.text("id"), it.text("name"), it.text("arguments")) }
    val (reasoning, id) = message["reasoning"] as String? to message["tool_call_id"] as String?
    Message(message.text("role"), message.text("content"), reasoning, calls, id)
}

private fun choiceOf(step: Map<String, Any?>) = when (val choice = step["tool_choice"]) {
    null, "auto" -> ToolChoice.AUTO
    "none" -> ToolChoice.NONE
    "required" -> ToolChoice.REQUIRED
    "named" -> ToolChoice.named(step.text("tool_name"))
    else -> throw Failure("a choice that is not known: $choice")
}

private fun grammarOf(grammar: Map<String, Any?>): Grammar {
    val (kind, form) = grammar.entries.single()
    return when (kind) {
        "json_schema" -> Grammar.jsonSchema(form as String)
        "regex" -> Grammar.regex(form as String)
        "lark" -> Grammar.lark(form as String)
        else -> Grammar.gbnf(form as String)
    }
}

/** A call as the cases write it. */
internal fun describe(call: ToolCall): Map<String, Any?> =
    mapOf("id" to call.id, "name" to call.name, "arguments" to call.arguments)

internal fun describe(scores: Scores): Map<String, Any?> = mapOf(
    "logprobs" to scores.logprobs.map { it.toDouble() },
    "tokens" to scores.tokens.toList(),
    "greedy" to scores.greedy.map { if (it) 1L else 0L },
)

internal fun describe(ranking: Ranking): Map<String, Any?> =
    mapOf("scores" to ranking.scores.map { it.toDouble() }, "order" to ranking.order.map { it.toLong() })

internal fun describe(told: Prefixes): Map<String, Any?> =
    mapOf("prefixes" to told.prefixes, "tokens" to told.tokens, "bytes" to told.bytes)
