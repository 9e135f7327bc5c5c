package dev.selvedge

/** The form that a generated text must have. An answer that ends by itself is of the form, the whole of it. */
public class Grammar private constructor(internal val kind: Int, internal val text: String) {
    public companion object {
        /** JSON that a JSON Schema allows, given as its text. */
        @JvmStatic
        public fun jsonSchema(schema: String): Grammar = Grammar(1, schema)

        /** The whole text matches, in the syntax of Rust's crate regex. */
        @JvmStatic
        public fun regex(expression: String): Grammar = Grammar(2, expression)

        /** Lark, as llguidance reads it. */
        @JvmStatic
        public fun lark(rules: String): Grammar = Grammar(3, rules)

        /** The notation of llama.cpp. */
        @JvmStatic
        public fun gbnf(rules: String): Grammar = Grammar(4, rules)
    }
}
