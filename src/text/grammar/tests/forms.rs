//! Each kind of form: what is of it, what is not, and what is refused of it.

use serde_json::{Value, json};

use super::words::smollm;
use super::{Said, bytes, not_whole, read, refused, say, whole};
use crate::Code;
use crate::engine::Grammar;

#[test]
fn a_schema_holds_the_text_to_it() {
    let schema = Grammar::json_schema(
        r#"{"type":"object","properties":{"name":{"type":"string","minLength":1},"age":{"type":"integer","minimum":0,"maximum":150}},
        "required":["name","age"],"additionalProperties":false}"#,
    );
    whole(&schema, &[r#"{"name":"Ann","age":31}"#, "{ \"name\": \"Ä\",\n \"age\": 150 }"]);
    not_whole(&schema, &["", "{", "{}", r#"{"name":"","age":31}"#, r#"{"name":"Ann","age":151}"#, r#"{"name":"Ann"}"#]);
    not_whole(
        &schema,
        &[r#"{"name":"Ann","age":31,"x":1}"#, r#"{"name":"Ann","age":31.5}"#, r#"{"name":"Ann","age":-1}"#],
    );
}

/// A name in another spelling is the same name.
#[test]
fn a_listed_name_cannot_come_in_by_an_escape() {
    let schema = Grammar::json_schema(
        r#"{"type":"object","properties":{"foo":{"type":"integer"}},"additionalProperties":{"type":"string"}}"#,
    );
    whole(&schema, &[r#"{"foo":1}"#, r#"{"foo":1,"bar":"a"}"#, r#"{"bar":"a"}"#]);
    not_whole(
        &schema,
        &[r#"{"\u0066oo":"a"}"#, r#"{"foo":1,"fo\u006f":"a"}"#, r#"{"foo":"a"}"#, r#"{"foo":1,"foo":"a"}"#],
    );
}

/// A character that cannot be written is no reason to write the text without it.
#[test]
fn control_characters_are_kept_or_refused() {
    for c in ('\0'..='\u{20}').chain(['\u{7f}', '\u{80}', '\u{2028}', '\u{feff}', '\u{fffd}']) {
        let (with, without) = (format!("a{c}b"), "ab".to_string());
        let forms = [
            (json!({ "const": with }), with.clone().into(), without.clone().into()),
            (json!({ "enum": [[{ "x": with }]] }), json!([{ "x": with }]), json!([{ "x": without }])),
            (json!({ "enum": [{ (with.clone()): 1 }] }), json!({ (with.clone()): 1 }), json!({ (without.clone()): 1 })),
            (
                json!({ "properties": { (with.clone()): { "const": 1 } }, "required": [with], "additionalProperties": false }),
                json!({ (with.clone()): 1 }),
                json!({ (without.clone()): 1 }),
            ),
            (
                json!({ "type": "string", "pattern": format!("^a\\u{:04x}b$", u32::from(c)) }),
                with.clone().into(),
                without.clone().into(),
            ),
        ];
        for (schema, with, without) in forms {
            let (schema, with, without): (Value, Value, Value) = (schema, with, without);
            let form = Grammar::json_schema(schema.to_string());
            let Err(error) = bytes().matcher(&form) else {
                // A pattern may allow what cannot be written, and then less is written than it allows.
                if c >= ' ' || schema.get("pattern").is_none() {
                    whole(&form, &[&with.to_string()]);
                }
                not_whole(&form, &[&without.to_string()]);
                continue;
            };
            assert!(error.code() == Code::InvalidArgument && (c < ' ' || c == '\u{7f}'), "{c:?}: {error}");
        }
    }
}

#[test]
fn formats_of_numbers_are_bounds() {
    let byte = Grammar::json_schema(r#"{"type":"integer","format":"uint8"}"#);
    whole(&byte, &["0", "255"]);
    not_whole(&byte, &["256", "-1", "1.5"]);
    let tight = Grammar::json_schema(r#"{"type":"integer","format":"int32","minimum":7}"#);
    whole(&tight, &["7", "2147483647"]);
    not_whole(&tight, &["6", "2147483648"]);
    let long = Grammar::json_schema(r#"{"type":["integer","null"],"format":"int64"}"#);
    whole(&long, &["9223372036854774784", "-9223372036854774784", "null"]);
    not_whole(&long, &["9223372036854775808", "-9223372036854775809"]);
}

#[test]
fn keywords_that_cannot_be_kept_are_refused_with_their_place() {
    let cases = [
        (r#"{"type":"array","uniqueItems":true}"#, "/uniqueItems:"),
        (r#"{"properties":{"a":{"not":{"type":"null"}}}}"#, "/properties/a/not:"),
        (r#"{"properties":{"a/b~c":{"items":[{"if":{},"then":false}]}}}"#, "/properties/a~1b~0c/items/0/if:"),
        (r##"{"$ref":"#/$defs/x","$defs":{"x":{"contains":{}}}}"##, "/$defs/x/contains:"),
        (r#"{"anyOf":[{"type":"string"},{"propertyNames":{"maxLength":3}}]}"#, "/anyOf/1/propertyNames:"),
        (r#"{"dependencies":{"a":["b"]}}"#, "/dependencies:"),
        (r#"{"x-guidance":{"lenient":true},"type":"string"}"#, "/x-guidance:"),
        (r##"{"$ref":"#/$defs/none"}"##, "/$ref: nothing is at"),
        (r#"{"$ref":"https://example.org/a.json"}"#, "/$ref: expected a place in the schema"),
        (r#"{"properties":{"a":{"type":"string","format":"regex"}}}"#, "/properties/a/format: Unknown format"),
        (r#"{"properties":{"a":{"type":"strin"}}}"#, "/properties/a/type:"),
        (r#"{"items":{"type":"string","pattern":"(?=a)"}}"#, "/items/pattern:"),
        (r#"{"properties":{"n":{"minimum":1e19}}}"#, "/properties/n/minimum:"),
        (r#"{"const":9007199254740993}"#, "/const:"),
        (r#"{"type":"object","minProperties":2}"#, "/minProperties:"),
        (r#"{"allOf":[{"type":"object"},{"minLength":"3","type":"string"}]}"#, "/allOf/1/minLength:"),
        (r#"{"oneOf":[{"type":"integer"},{"type":"number","minimum":3}]}"#, "oneOf"),
        (r#"{"type":"integer","minimum":3,"maximum":2}"#, "/minimum"),
        ("[]", "expected an object or a boolean"),
        ("{\"a\": ", "expected JSON"),
    ];
    for (schema, words) in cases {
        refused(&Grammar::json_schema(schema), words);
    }
}

#[test]
fn what_says_nothing_is_no_reason_to_refuse() {
    let schema = Grammar::json_schema(
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array","uniqueItems":false,"dependencies":{},
        "x-order":3,"deprecated":true,"items":{"$ref":"#/$defs/n"},"$defs":{"n":{"type":"integer"},"unused":{"contains":{}}}}"##,
    );
    whole(&schema, &["[]", "[1,2]"]);
    not_whole(&schema, &[r#"["a"]"#]);
}

#[test]
fn a_regex_matches_the_whole_text() {
    let date = Grammar::regex(r"\d{4}-(0[1-9]|1[0-2])/(x|y+)");
    whole(&date, &["2024-02/x", "2024-12/yyy"]);
    not_whole(&date, &["2024-13/x", "2024-02/", "x2024-02/x", "2024-02/xx"]);
    whole(&Grammar::regex("a*"), &["", "aa"]);
    whole(&Grammar::regex("[äö]{2}|東京"), &["öä", "東京"]);
    refused(&Grammar::regex("(a"), "regex:");
    refused(&Grammar::regex("a(?!b)"), "regex:");
    refused(&Grammar::regex(r"(a)\1"), "regex:");
}

#[test]
fn a_lark_grammar_holds_the_text_to_it() {
    let sums = Grammar::lark("start: sum\nsum: N | sum \"+\" N | \"(\" sum \")\"\nN: /[0-9]+/\n%ignore / +/\n");
    whole(&sums, &["1", "(1+2)+34", "1 + 2"]);
    not_whole(&sums, &["", "1+", "(1+2", "a"]);
    let called = Grammar::lark("start: <|tool|> /[a-z]+/");
    let mut matcher = bytes().matcher(&called).unwrap();
    assert_eq!(read(&mut matcher, &[257, 97]).unwrap(), Said::Whole);
    assert_eq!(say(&called, "<|tool|>a"), Said::Refused(0), "a special token is no text");
}

#[test]
fn what_a_lark_grammar_asks_beyond_a_form_is_refused() {
    refused(&Grammar::lark("start[temperature=0.7]: /a/"), "line 1: 'temperature'");
    refused(&Grammar::lark("start: a\na[stop=\"x\"]: /.*/"), "line 2: 'stop'");
    refused(&Grammar::lark("start: a\na[capture, suffix=\"x\"]: /.*/"), "'capture'");
    refused(&Grammar::lark("%llguidance {\"allow_invalid_utf8\": true}\nstart: /a/"), "'allow_invalid_utf8'");
    refused(&Grammar::lark("start: %json {\"type\": \"array\", \"uniqueItems\": true}"), "'%json'");
    refused(&Grammar::lark("start: a"), "Lark grammar:");
    refused(&Grammar::lark("begin: /a/"), "Lark grammar:");
    // In texts, expressions, comments and names, the words mean nothing.
    whole(
        &Grammar::lark("start: stop // temperature=1\nstop: \"capture=%json\" | /stop=1/ # capture,"),
        &["capture=%json", "stop=1"],
    );
}

/// llama.cpp's own grammar of JSON, in short.
const JSON: &str = r#"
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws # a comment
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"#;

#[test]
fn a_gbnf_grammar_holds_the_text_to_it() {
    let json = Grammar::gbnf(JSON);
    whole(&json, &["{}", r#"{"a": [1, -2.5e3, {"b": "\u00e4\n"}], "c": null}"#, "{\n \"a\":true}"]);
    not_whole(&json, &["", "{", "[]", r#"{"a"}"#, r#"{"a":01}"#, r#"{"a":1,}"#]);
    let list = Grammar::gbnf("root ::= item+\nitem ::= \"- \" [^\\n]+ \"\\n\"");
    whole(&list, &["- a\n", "- a\n- b c\n"]);
    not_whole(&list, &["", "- \n", "- a", "a\n"]);
    // No lexer: the word ends where the grammar says, and not where it is longest.
    let word = Grammar::gbnf("root ::= letter* \"end\"\nletter ::= [a-z]");
    whole(&word, &["end", "endend", "bend"]);
    not_whole(&word, &["en", "ends"]);
    let nested = Grammar::gbnf("root ::= \"(\" root? \")\" | \"a\"{2,3}\n");
    whole(&nested, &["()", "((aa))", "aaa"]);
    not_whole(&nested, &["(", "a", "aaaa", "(())("]);
    let chars = Grammar::gbnf("root ::= [\\x41-C/-] . \"\\u00e4\" [^a]? \"\"");
    whole(&chars, &["Axä", "/\nä", "-/äb", "Cää"]);
    not_whole(&chars, &["Dxä", "Axäa"]);
}

/// Over tokens of many letters as over bytes.
#[test]
fn forms_hold_over_a_real_vocabulary() {
    let Some(vocabulary) = smollm() else { return };
    let said = |grammar: &Grammar, text: &str| {
        let tokens = vocabulary.factory.tok_env().tokenize_bytes(text.as_bytes());
        read(&mut vocabulary.matcher(grammar).unwrap(), &tokens).unwrap()
    };
    let schema = Grammar::json_schema(
        r#"{"type":"object","properties":{"foo":{"type":"integer"}},"required":["foo"],"additionalProperties":false}"#,
    );
    assert_eq!(said(&schema, r#"{"foo": 12345}"#), Said::Whole);
    assert_eq!(said(&schema, r#"{"foo": 12"#), Said::Beginning);
    assert!(matches!(said(&schema, r#"{"foo": true}"#), Said::Refused(_)));
    assert_eq!(said(&Grammar::gbnf(JSON), r#"{"hello": ["world", 1.5]}"#), Said::Whole);
    assert_eq!(said(&Grammar::regex("(yes|no), because .{1,40}"), "yes, because it rains"), Said::Whole);
    assert_eq!(said(&Grammar::lark("start: \"a\" start | \"b\""), "aaaaaab"), Said::Whole);
}

/// A text that may end, may go on as well: its end is one of the tokens.
#[test]
fn the_end_is_among_the_tokens_where_the_text_is_whole() {
    let mut matcher = bytes().matcher(&Grammar::regex("a+b?")).unwrap();
    assert!(!matcher.mask().unwrap().contains(256) && !matcher.may_end().unwrap());
    matcher.accept(u32::from(b'a')).unwrap();
    assert!(matcher.mask().unwrap().contains(256) && matcher.may_end().unwrap() && !matcher.is_done());
    matcher.accept(u32::from(b'b')).unwrap();
    assert!(matcher.is_done());
}
