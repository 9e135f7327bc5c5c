use super::*;

#[track_caller]
fn lark(gbnf: &str, expected: &str) {
    assert_eq!(to_lark(gbnf).unwrap().trim_end(), expected);
}

#[test]
fn what_never_comes_back_is_a_terminal() {
    lark("root ::= \"a\" b*\nb ::= [c-d]", "start: T0\nT0: (\"a\" (T1)*)\nT1: /[\\x{63}-\\x{64}]/");
}

#[test]
fn what_comes_back_is_a_rule_with_terminals_between() {
    lark(
        "root ::= \"(\" s root? s \")\" | .{2,}\ns ::= \" \"",
        "start: r0\nP0: (\"(\" T1)\nP1: (T1 \")\")\nP2: ((/[\\x{0}-\\x{10ffff}]/){2,})\n\
         r0: ((P0 (r0)? P1) | P2)\nT1: \" \"",
    );
}

#[test]
fn lines_end_a_rule_but_not_in_brackets_or_after_a_bar() {
    lark("root ::= ( \"a\"\n\"b\" ) |\n \"c\" # end\n\n", "start: T0\nT0: ((\"a\" \"b\") | \"c\")");
    let error = to_lark("root ::= \"a\"\n | \"b\"").unwrap_err();
    assert!(error.message().starts_with("GBNF grammar: line 2: expected the name of a rule, got '|'"), "{error}");
}

#[test]
fn a_fault_has_its_line() {
    for (gbnf, words) in [
        ("root ::= a\n", "line 1: the rule 'a' is not defined"),
        ("a ::= \"b\"", "line 1: expected a rule 'root'"),
        ("root ::= \"a\"\nroot ::= \"b\"", "line 2: the rule is defined twice"),
        ("root ::= \"a\n", "line 1: expected '\"', got '\\n'"),
        ("root ::= \"\\q\"", "line 1: the escape '\\q' is not known"),
        ("root ::= \"a\"{3,2}", "line 1: expected at least 3"),
    ] {
        let error = to_lark(gbnf).unwrap_err();
        assert!(error.message().starts_with("GBNF grammar: ") && error.message().contains(words), "{gbnf}: {error}");
    }
}
