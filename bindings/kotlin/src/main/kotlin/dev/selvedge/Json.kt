package dev.selvedge

/** Reads the JSON that the library writes: objects become maps, arrays lists, numbers Long or Double. */
internal class Json private constructor(private val text: String) {
    private var at = 0

    companion object {
        fun parse(text: String): Any? = Json(text).run {
            val value = value()
            space()
            if (at != text.length) fail("the end")
            value
        }

        @Suppress("UNCHECKED_CAST")
        fun parseObject(text: String): Map<String, Any?> =
            parse(text) as? Map<String, Any?> ?: throw SelvedgeException(Code.INTERNAL, "JSON: expected an object")
    }

    private fun value(): Any? {
        space()
        return when (val c = peek()) {
            '{' -> members()
            '[' -> elements()
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> if (c == '-' || c.isDigit()) number() else fail("a value")
        }
    }

    private fun members(): Map<String, Any?> {
        val members = LinkedHashMap<String, Any?>()
        list('}') {
            space()
            val name = string()
            space()
            take(':')
            members[name] = value()
        }
        return members
    }

    private fun elements(): List<Any?> {
        val elements = ArrayList<Any?>()
        list(']') { elements += value() }
        return elements
    }

    private inline fun list(end: Char, one: () -> Unit) {
        at++
        space()
        if (peek() == end) {
            at++
            return
        }
        while (true) {
            one()
            space()
            if (peek() == end) break
            take(',')
        }
        at++
    }

    private fun string(): String {
        take('"')
        val out = StringBuilder()
        while (true) {
            when (val c = next()) {
                '"' -> return out.toString()
                '\\' -> out.append(escaped())
                else -> out.append(c)
            }
        }
    }

    private fun escaped(): Char = when (val c = next()) {
        'n' -> '\n'
        't' -> '\t'
        'r' -> '\r'
        'b' -> '\b'
        'f' -> '\u000c'
        'u' -> {
            if (at + 4 > text.length) fail("four digits")
            at += 4
            text.substring(at - 4, at).toInt(16).toChar()
        }
        else -> c
    }

    private fun number(): Any {
        val from = at
        while (at < text.length && (text[at].isLetterOrDigit() || text[at] in "+-.")) at++
        val digits = text.substring(from, at)
        return digits.toLongOrNull() ?: digits.toDoubleOrNull() ?: fail("a number")
    }

    private fun <T> word(word: String, value: T): T {
        if (!text.startsWith(word, at)) fail(word)
        at += word.length
        return value
    }

    private fun space() {
        while (at < text.length && text[at].isWhitespace()) at++
    }

    private fun peek(): Char = if (at < text.length) text[at] else fail("more")

    private fun next(): Char = peek().also { at++ }

    private fun take(expected: Char) {
        if (next() != expected) fail("'$expected'")
    }

    private fun fail(expected: String): Nothing =
        throw SelvedgeException(Code.INTERNAL, "JSON: expected $expected at $at")
}

internal fun Map<String, Any?>.obj(name: String): Map<String, Any?> {
    @Suppress("UNCHECKED_CAST")
    return this[name] as? Map<String, Any?> ?: emptyMap()
}

internal fun Map<String, Any?>.list(name: String): List<Any?> = this[name] as? List<*> ?: emptyList()

internal fun Map<String, Any?>.text(name: String): String = this[name] as? String ?: ""

internal fun Map<String, Any?>.objects(name: String): List<Map<String, Any?>> = list(name).map {
    @Suppress("UNCHECKED_CAST")
    it as? Map<String, Any?> ?: emptyMap()
}

internal fun Map<String, Any?>.float(name: String): Float = (this[name] as? Number)?.toFloat() ?: Float.NaN

internal fun Map<String, Any?>.long(name: String): Long = (this[name] as? Number)?.toLong() ?: 0
