//! Forms that are made to take up a stack, a heap or an afternoon: each is refused, or compiled within the bounds, and what is
//! compiled gives its first masks.

use super::bytes;
use super::words::smollm;
use crate::Code;
use crate::engine::Grammar;

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

fn chain(count: usize, link: impl Fn(usize) -> String, last: &str) -> String {
    (0..count).map(link).collect::<String>() + last
}

fn schemas() -> Vec<String> {
    let properties = |n: usize| (0..n).map(|i| format!(r#""p{i}":{{"type":"string"}}"#)).collect::<Vec<_>>().join(",");
    let refs = |n: usize| {
        let defs = chain(n, |i| format!(r##""d{i}":{{"items":{{"$ref":"#/$defs/d{}"}}}},"##, i + 1), "");
        format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{defs}"d{n}":{{}}}}}}"##)
    };
    let doubled = |n: usize, with: &str| {
        let defs = chain(
            n,
            |i| format!(r##""d{i}":{{"{with}":[{{"$ref":"#/$defs/d{0}"}},{{"$ref":"#/$defs/d{0}"}}]}},"##, i + 1),
            "",
        );
        format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{defs}"d{n}":{{"type":"string"}}}}}}"##)
    };
    vec![
        nested(r#"{"items":"#, "{}", "}", 20_000),
        nested(r#"{"items":"#, "{}", "}", 120),
        nested(r#"{"anyOf":["#, "{}", "]}", 60),
        nested("[", "", "]", 100_000),
        refs(5_000),
        refs(1_500),
        doubled(40, "anyOf"),
        doubled(40, "allOf"),
        doubled(25, "prefixItems"),
        r##"{"$ref":"#"}"##.into(),
        r##"{"allOf":[{"$ref":"#"}]}"##.into(),
        r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##.into(),
        r##"{"anyOf":[{"$ref":"#/anyOf/1"},{"$ref":"#/anyOf/0"}]}"##.into(),
        r#"{"type":"string","minLength":4000000000}"#.into(),
        r#"{"type":"string","maxLength":4000000000}"#.into(),
        r#"{"type":"string","minLength":18446744073709551615}"#.into(),
        r#"{"type":"string","minLength":100000,"pattern":"^(a|b|ab)*$"}"#.into(),
        r#"{"type":"string","pattern":"((a{1000}){1000}){1000}"}"#.into(),
        r#"{"type":"string","pattern":"(a*)*b(a*)*c(a*)*d"}"#.into(),
        r#"{"type":"string","pattern":"[\\w\\s]{1,5000}[^a]{1,5000}x{1,5000}"}"#.into(),
        r#"{"type":"string","pattern":"^(?=.*a)(?=.*b)$"}"#.into(),
        format!(r#"{{"type":"string","pattern":"{}"}}"#, nested("(", "a", ")", 5_000)),
        r#"{"type":"array","minItems":100000000,"items":{"type":"array","minItems":100000000}}"#.into(),
        r#"{"type":"array","maxItems":4294967296,"items":{"type":"integer"}}"#.into(),
        format!(r#"{{"type":"object","properties":{{{}}}}}"#, properties(3_000)),
        format!(
            r#"{{"type":"object","properties":{{{}}},"minProperties":1,"additionalProperties":false}}"#,
            properties(400)
        ),
        format!(
            r#"{{"type":"object","properties":{{{}}},"minProperties":1,"additionalProperties":false}}"#,
            properties(140)
        ),
        format!(r#"{{"enum":[{}]}}"#, (0..20_000).map(|i| format!("\"e{i}\"")).collect::<Vec<_>>().join(",")),
        r#"{"type":"number","multipleOf":1e-300}"#.into(),
        r#"{"type":"number","multipleOf":0}"#.into(),
        r#"{"type":"integer","multipleOf":9007199254740991,"minimum":1}"#.into(),
        r#"{"type":"number","minimum":1e-300,"maximum":1.7e308}"#.into(),
        r#"{"type":"number","minimum":-1.234567890123456e-7,"exclusiveMaximum":1e17}"#.into(),
        r#"{"type":"object","patternProperties":{"(a|aa)*$":{},"^(b|bb)*":{},".*c.*":{}}}"#.into(),
        r#"{"$id":"https://a.example/x","$ref":"https://b.example/y"}"#.into(),
        r#"{"type":"object","properties":{"a":false},"required":["a"]}"#.into(),
        "false".into(),
        "\"string\"".into(),
        "\u{0}".into(),
        " ".repeat(300_000),
    ]
}

fn regexes() -> Vec<String> {
    vec![
        nested("(", "a", ")", 50_000),
        nested("(?:", "a", ")*", 90),
        "(a{1000}){1000}".into(),
        "((((a{100}){100}){100}){100}){100}".into(),
        "(x+x+)+y".into(),
        "(.*a){20}".into(),
        "[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*q.{200}".into(),
        "(a|b)*a(a|b){30}".into(),
        "\\p{L}{1,1000}\\p{N}{1,1000}".into(),
        ".{100000}".into(),
        "a|".repeat(60_000),
        "[".into(),
        "\\".into(),
        "(?P<".into(),
        "*".into(),
        "^$^$".into(),
        "\\x{110000}".into(),
        "[^\\x{0}-\\x{10FFFF}]".into(),
    ]
}

fn larks() -> Vec<String> {
    vec![
        chain(1_900, |i| format!("T{i}: \"a\" T{}\n", i + 1), "T1900: \"b\"\nstart: T0\n"),
        chain(1_900, |i| format!("r{i}: \"a\" r{}\n", i + 1), "r1900: \"b\"\nstart: r0\n"),
        chain(20_000, |i| format!("T{i}: T{}\n", i + 1), "T20000: \"b\"\nstart: T0\n"),
        chain(40, |i| format!("T{i}: T{0} T{0}\n", i + 1), "T40: \"b\"\nstart: T0\n"),
        chain(40, |i| format!("r{i}: r{0} r{0}\n", i + 1), "r40: \"b\"\nstart: r0\n"),
        "start: start\n".into(),
        "start: start start | \"a\"\n".into(),
        "start: a\na: b\nb: a\n".into(),
        "start: A\nA: B\nB: A\n".into(),
        "start: start start start start | \"a\" | \"aa\" | \"\"\n".into(),
        format!("start: {}\n", nested("(", "\"a\"", ")", 50_000)),
        format!("start: {}\n", nested("(", "\"a\"", ")?", 90)),
        "start: \"a\"{1,2000000000}\n".into(),
        "start: (\"a\"{1000}){1000}\n".into(),
        "start: /(a|b)*a(a|b){25}/ \"x\"\n".into(),
        "start: <[99999999]>\n".into(),
        "start: <|none|>\n".into(),
        "start: @other\n".into(),
        "start: %regex {\"substring_words\": \"a b c\"}\n".into(),
        "%import common.INT\nstart: INT\n".into(),
        "start: \"\\uD800\"\n".into(),
        "start: ~/.*/\n".into(),
        "start: %lark {\nstart: %lark {\nstart: \"a\"\n}\n}\n".into(),
        "%%%%".into(),
        "start: \"".into(),
        "".into(),
        "{\"grammars\": []}".into(),
    ]
}

fn gbnfs() -> Vec<String> {
    vec![
        "root ::= root".into(),
        "root ::= root root | \"a\"".into(),
        "root ::= missing".into(),
        "other ::= \"a\"".into(),
        "root ::= \"a\"\nroot ::= \"b\"".into(),
        "root ::= [z-a]".into(),
        "root ::= []".into(),
        "root ::= [a".into(),
        "root ::= \"a".into(),
        "root ::= \"\\q\"".into(),
        "root ::= \"\\uD800\"".into(),
        "root ::= (\"a\"".into(),
        "root ::= \"a\" )".into(),
        "root ::= <|tool|>".into(),
        "root ::= \"a\"{3,2}".into(),
        "root ::= \"a\"{99999999}".into(),
        "root ::= ((\"a\"{1000}){1000}){1000}".into(),
        "root = \"a\"".into(),
        "::= \"a\"".into(),
        "root ::= \"a\" ::= \"b\"".into(),
        format!("root ::= {}", nested("(", "\"a\"", ")", 50_000)),
        format!("root ::= \"a\"{}", "*".repeat(3000)),
        chain(990, |i| format!("r{i} ::= \"a\" r{}\n", i + 1), "r990 ::= \"b\"\nroot ::= r0\n"),
        chain(990, |i| format!("r{i} ::= \"a\" r{} | root\n", i + 1), "r990 ::= \"b\"\nroot ::= r0\n"),
        chain(5_000, |i| format!("r{i} ::= r{}\n", i + 1), "r5000 ::= \"b\"\nroot ::= r0\n"),
        chain(40, |i| format!("r{i} ::= r{0} r{0}\n", i + 1), "r40 ::= \"b\"\nroot ::= r0\n"),
        "".into(),
        "#".into(),
    ]
}

#[test]
fn no_form_takes_more_than_it_may() {
    let vocabulary = smollm().unwrap_or_else(bytes);
    let (mut cases, mut refusals, mut slowest) = (0, 0, (std::time::Duration::ZERO, String::new()));
    let all = schemas()
        .into_iter()
        .map(Grammar::JsonSchema)
        .chain(regexes().into_iter().map(Grammar::Regex))
        .chain(larks().into_iter().map(Grammar::Lark))
        .chain(gbnfs().into_iter().map(Grammar::Gbnf));
    for grammar in all {
        let begin = std::time::Instant::now();
        let compiled = vocabulary.matcher(&grammar);
        // As much as a run asks of it; a refusal may come as late as this.
        let used = compiled.and_then(|mut matcher| {
            for _ in 0..8 {
                if matcher.is_done() {
                    break;
                }
                let Some(token) = matcher.mask()?.tokens(usize::MAX).last() else { break };
                matcher.accept(token)?;
            }
            Ok(())
        });
        let took = begin.elapsed();
        let text = format!("{grammar:?}").chars().take(90).collect::<String>();
        if took > slowest.0 {
            slowest = (took, text.clone());
        }
        if let Err(error) = used {
            assert_eq!(error.code(), Code::InvalidArgument, "{text}: {error}");
            assert!(error.message().len() < 1000 && !error.message().contains("panic"), "{text}: {error}");
            refusals += 1;
        }
        cases += 1;
    }
    println!("{cases} hostile forms, {refusals} refused; the slowest took {:?}: {}", slowest.0, slowest.1);
    assert!(cases > 100 && refusals > 60, "{cases} cases, {refusals} refused");
}
