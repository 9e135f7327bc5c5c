package dev.selvedge

import dev.selvedge.caller.Caller

/** What a caller in Java does, compiled by javac. */
internal val javaTests: Map<String, () -> Unit> = mapOf(
    "java: tensors, options, codes" to { near(0.585324f, Caller.rain(Place.rain)) },
    "java: text by a listener" to {
        val chat = Place.chat ?: throw Skip("no SmolLM2 in SELVEDGE_CORPUS, or no feature llama")
        val text = Caller.chat(chat.path)
        check(text.startsWith(" Paris")) { "got $text" }
    },
    "java: a tool by its name, and its result" to {
        val chat = Place.chat ?: throw Skip("no SmolLM2 in SELVEDGE_CORPUS, or no feature llama")
        same("clock 1 0 true", Caller.tools(chat.path))
    },
    "java: an alert by a listener" to { check(Caller.drift(Place.rain, Place.folder().path) > 0) { "expected alerts" } },
)
