//! Templates that would end or hang the host: on a small stack, each is an answer or a typed error.

use super::super::Template;
use crate::engine::Message;
use crate::{Code, Result};

/// As threads of some platforms have.
const SMALL_STACK: usize = 512 << 10;

fn on_small_stack(source: String) -> Result<String> {
    let work = move || {
        let template = Template::new(&source, [], [])?;
        let result = template.prompt(&[Message::user("Hi")]);
        drop(template);
        result
    };
    std::thread::Builder::new().stack_size(SMALL_STACK).spawn(work).unwrap().join().unwrap()
}

fn chain(begin: &str, link: &str, count: usize, end: &str) -> String {
    format!("{begin}{}{end}", link.repeat(count))
}

fn nested(open: &str, middle: &str, close: &str, count: usize) -> String {
    format!("{}{middle}{}", open.repeat(count), close.repeat(count))
}

/// Nothing recurses along a chain, so these are templates like others.
#[test]
fn long_chains_are_rendered() {
    let elif = chain("{% if a %}", "{% elif a %}", 20_000, "{% else %}x{% endif %}");
    assert_eq!(on_small_stack(elif).unwrap(), "x");
    let (many_a, many_1) = ("a".repeat(60_000), "1".repeat(30_000));
    let cases = [
        (chain("{{ ", "- ", 120_000, "1 }}"), "1"),
        (chain("{{ ", "not ", 60_000, "1 }}"), "True"),
        (chain("{{ 0", "+1", 100_000, " }}"), "100000"),
        (chain("{{ 1", "*1", 100_000, " }}"), "1"),
        (chain("{{ 1", "**1", 80_000, " }}"), "1"),
        (chain("{{ ''", "~''", 80_000, "~'x' }}"), "x"),
        (chain("{{ 1", " or 1", 50_000, " }}"), "1"),
        (chain("{{ 1", " and 1", 40_000, " }}"), "1"),
        (chain("{{ 1", "==1", 80_000, " }}"), "True"),
        (chain("{{ 0", "<1", 100_000, " }}"), "False"),
        (chain("{{ 1", "|int", 60_000, " }}"), "1"),
        (chain("{{ 'a'", "|trim", 50_000, " }}"), "a"),
        (chain("{{ 'abc'", "[:]", 80_000, " }}"), "abc"),
        (chain("{{ 'abc'", "[0]", 80_000, " }}"), "a"),
        (chain("{{ 'a'", ".upper()", 30_000, " }}"), "A"),
        (chain("{{ 1 ", "if 1 else 1 ", 20_000, "}}"), "1"),
        (chain("{{ [", "1,", 100_000, "]|length }}"), "100000"),
        (chain("{{ ", "'a' ", 60_000, "}}"), &*many_a),
        (chain("", "{% set a = 1 %}", 17_000, "{{ a }}"), "1"),
        (chain("{% set a", ", a", 80_000, " = range(80001) %}{{ a }}"), "80000"),
        (chain("", "{% macro m() %}{% endmacro %}", 9_000, "x"), "x"),
        (chain("", "{# x #}", 30_000, "x"), "x"),
        (chain("", "{{ 1 }}", 30_000, ""), &*many_1),
    ];
    for (source, expected) in cases {
        let begin: String = source.chars().take(40).collect();
        let got = on_small_stack(source).unwrap_or_else(|error| panic!("{begin}: {error}"));
        assert_eq!(got, expected, "{begin}");
    }
}

/// Chains of what is undefined, refused or without a meaning: typed errors.
#[test]
fn long_chains_that_fail_say_so() {
    let cases = [
        chain("{{ a", ".a", 100_000, " }}"),
        chain("{{ a", "['a']", 40_000, " }}"),
        chain("{{ a", "()", 100_000, " }}"),
        chain("{{ 1", " is odd is odd", 15_000, " }}"),
        chain("{{ 1", " if 1", 40_000, " }}"),
        chain("{% set a", ".a", 60_000, " = 1 %}"),
        chain("{{ a(", "*a,", 60_000, ") }}"),
        chain("{{ 1", "=1", 60_000, " }}"),
        "{".repeat(250_000),
        "{{".repeat(120_000),
        "{%".repeat(120_000),
        "{#".repeat(120_000),
        "{% raw %}".repeat(25_000),
        "{% endraw ".repeat(25_000),
        format!("{{% raw %}}{}", "{% ".repeat(80_000)),
    ];
    for source in cases {
        let begin: String = source.chars().take(40).collect();
        match on_small_stack(source) {
            Ok(text) => assert!(text.chars().all(|c| c == '{') || text == "True" || text == "False", "{begin}: {text}"),
            Err(error) => assert_eq!(error.code(), Code::Unsupported, "{begin}: {error}"),
        }
    }
}

#[test]
fn deep_nesting_is_refused_and_moderate_nesting_is_not() {
    let kinds: [(&str, &str, &str); 24] = [
        ("{{ ", "(1)", " }}"),
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{1:", "1", "}"),
        ("-(", "1", ")"),
        ("not (", "1", ")"),
        ("1 if (", "1", ") else 2"),
        ("'a'|replace(", "'a'", ", 'b')"),
        ("1 + (", "1", ")"),
        ("'a' ~ (", "'b'", ")"),
        ("1 == (", "1", ")"),
        ("1 is eq (", "1", ")"),
        ("'ab'[", "0", "]"),
        ("'ab'[0:", "1", "]|length"),
        ("dict(a=", "1", ")"),
        ("dict(**", "{}", ")"),
        ("(1 or ", "1", ")"),
        ("{% if 1 %}", "x", "{% endif %}"),
        ("{% for i in [1] %}", "x", "{% endfor %}"),
        ("{% set a %}", "x", "{% endset %}"),
        ("{% filter upper %}", "x", "{% endfilter %}"),
        ("{% with %}", "x", "{% endwith %}"),
        ("{% macro m() %}", "x", "{% endmacro %}"),
        ("{% call m() %}", "x", "{% endcall %}"),
    ];
    for (open, middle, close) in kinds {
        let of = |count: usize| {
            let body = nested(open, middle, close, count);
            if open.starts_with("{%") || open.starts_with("{{") { body } else { format!("{{{{ {body} }}}}") }
        };
        if open != "{{ " && open != "{% call m() %}" {
            on_small_stack(of(20)).unwrap_or_else(|error| panic!("{open} 20 times: {error}"));
        }
        for count in [90, 2_000, 10_000] {
            if let Err(error) = on_small_stack(of(count)) {
                assert_eq!(error.code(), Code::Unsupported, "{open} {count} times: {error}");
            }
        }
        let error = on_small_stack(of(7_000)).unwrap_err();
        assert!(error.message().contains("nests deeper") || open == "{{ ", "{open}: {error}");
    }
    let targets = format!("{{% set {} = 1 %}}", nested("(", "a", ")", 50_000));
    assert_eq!(on_small_stack(targets).unwrap_err().code(), Code::Unsupported);
}

/// Every operator between the brackets: the deepest tree that the parser lets through, compiled, rendered and freed.
#[test]
fn the_deepest_template_fits_the_stacks() {
    let open = "1 if 1 else 1 or 1 and not 1 == 1 + '' ~ 2 * 2 ** -(";
    let source = format!("{{{{ {} }}}}", nested(open, "1", ")", 95));
    match on_small_stack(source) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.code(), Code::Unsupported, "{error}"),
    }
    // The same where every level is rendered.
    let source = format!("{{{{ {} }}}}", nested("0 or 1 and not 0 == 1 + 2 * -(", "1", ")", 90));
    match on_small_stack(source) {
        Ok(text) => assert!(!text.is_empty()),
        Err(error) => assert_eq!(error.code(), Code::Unsupported, "{error}"),
    }
}

#[test]
fn recursion_at_rendering_is_bounded() {
    let cases = [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% set ns = namespace() %}{% macro f() %}{% call m() %}{{ ns.f() }}{% endcall %}{% endmacro %}{% set ns.f = f %}{{ f() }}",
        "{% macro m(x=m()) %}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set ns = namespace() %}{% macro m() %}{% if 1 %}{% for i in [1] %}{% filter upper %}{{ ('a' ~ (ns.m() + 'b'))|trim }}{% endfilter %}{% endfor %}{% endif %}{% endmacro %}{% set ns.m = m %}{{ m() }}",
    ];
    for source in cases {
        let error = on_small_stack(source.to_owned()).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported, "{source}: {error}");
        assert!(error.message().contains("nests deeper"), "{source}: {error}");
    }
    let thirty = "{% macro m(n) %}{{ n }}{% if n %},{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(30) }}";
    assert!(on_small_stack(thirty.to_owned()).unwrap().ends_with("2,1,0"));
}

/// Values that hold each other, deeply or in circles, are refused, or freed without recursion.
#[test]
fn values_that_grow_inwards_are_bounded() {
    let grow = |step: &str, show: &str| {
        format!("{{% set ns = namespace(a=[]) %}}{{% for i in range(20000) %}}{step}{{% endfor %}}{{{{ {show} }}}}")
    };
    let refused = [
        grow("{% set ns.a = [ns.a] %}", "1"),
        grow("{% set ns.a = {'a': ns.a} %}", "1"),
        grow("{% set ns.a = (ns.a,) %}", "1"),
        grow("{% set ns.a = [ns.a]|map('list') %}", "1"),
        grow("{% for x in [ns.a] %}{% set ns.a = loop %}{% endfor %}", "1"),
        grow("{% set ns.a = dict(a=ns.a).items %}", "1"),
    ];
    for source in refused {
        let error = on_small_stack(source.clone()).unwrap_err();
        assert!(error.message().contains("nest deeper"), "{source}: {error}");
    }
    let freed = [
        grow("{% set ns.a = namespace(a=ns.a) %}", "1"),
        grow("{% set prev = ns.a %}{% macro m() %}{{ prev }}{% endmacro %}{% set ns.a = m %}", "1"),
        "{% set ns = namespace() %}{% set ns.a = ns %}{% set ns.b = [ns] %}{{ 1 }}".to_owned(),
        "{% set ns = namespace() %}{% for x in [1] recursive %}{% set ns.l = loop %}{% endfor %}{% set y = ns.l %}{{ 1 }}"
            .to_owned(),
        "{% for x in [1] %}{{ loop.changed(loop) }}{% endfor %}".to_owned(),
    ];
    for source in freed {
        let text = on_small_stack(source.clone()).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert!(text == "1" || text == "True", "{source}: {text}");
    }
}

/// Little text that asks for much work or memory.
#[test]
fn work_and_memory_are_paid_for() {
    let double = |step: &str, times: u32, show: &str| {
        format!(
            "{{% set ns = namespace(a='ab', l=[1]) %}}{{% for i in range({times}) %}}{step}{{% endfor %}}{{{{ {show} }}}}"
        )
    };
    let cases = [
        double("{% set ns.a = ns.a + ns.a %}", 60, "1"),
        double("{% set ns.a = ns.a ~ ns.a %}", 60, "1"),
        double("{% set ns.a = ns.a.replace('a', 'aaaa') %}", 60, "1"),
        double("{% set ns.a %}{{ ns.a }}{{ ns.a }}{% endset %}", 60, "1"),
        double("{% set ns.a = ns.a.join([ns.a, ns.a, ns.a]) %}", 60, "1"),
        double("{% set ns.a = ns.a|indent(ns.a|length, true) %}", 60, "1"),
        double("{% set ns.a = ns.a.center(ns.a|length * 3) %}", 60, "1"),
        double("{% set ns.a = '%s%s' % (ns.a, ns.a) %}", 60, "1"),
        double("{% set ns.a = '{0}{0}'.format(ns.a) %}", 60, "1"),
        double("{% set ns.l = ns.l + ns.l %}", 60, "1"),
        double("{% set ns.l = ns.l * 9 %}", 60, "1"),
        double("{% set ns.l = [ns.l, ns.l] %}", 60, "ns.l == [ns.l[0], [ns.l[1][0], ns.l[1][1]]]"),
        double("{% set ns.l = [ns.l, ns.l] %}", 60, "ns.l"),
        double("{% set ns.l = [ns.l, ns.l] %}", 60, "ns.l|string"),
        double("{% set ns.l = [ns.l, ns.l] %}", 60, "ns.l|tojson"),
        double("{% set ns.l = [ns.l, ns.l] %}", 60, "ns.l|join"),
        double("{% set ns.l = [ns.l, ns.l] %}", 60, "[ns.l, ns.l]|unique|list"),
        double("{% set ns.l = [ns.l, ns.l] %}", 60, "[ns.l, ns.l]|sort"),
        "{{ 'x' * 1000000000000 }}".to_owned(),
        "{{ [1] * 1000000000000 }}".to_owned(),
        "{{ 'x'.center(1000000000000) }}".to_owned(),
        "{{ 'x'.zfill(1000000000000) }}".to_owned(),
        "{{ 'x'|indent(1000000000000, true) }}".to_owned(),
        "{{ 'x\t'.expandtabs(1000000000000) }}".to_owned(),
        "{{ '%1000000000000d' % 1 }}".to_owned(),
        "{{ '%.1000000000000f' % 1 }}".to_owned(),
        "{{ '{:1000000000000}'.format(1) }}".to_owned(),
        "{{ '{:.1000000000000f}'.format(1.5) }}".to_owned(),
        "{{ [1]|tojson(indent=1000000000000) }}".to_owned(),
        "{{ [1, 2]|batch(1000000000000, 0)|list }}".to_owned(),
        "{{ [1, 2]|slice(1000000000000, 0)|list }}".to_owned(),
        "{{ range(99999999999) }}".to_owned(),
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".to_owned(),
        "{% set a = ('a' * 300000) %}{{ a.count('a' * 150000 ~ 'b') }}".to_owned(),
        "{% set a = ('a' * 300000) %}{% for i in range(99999) %}{{ a in a }}{% endfor %}".to_owned(),
        "{{ range(90000)|unique|list|length }}".to_owned(),
    ];
    for source in cases {
        let error = on_small_stack(source.clone()).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported, "{source}: {error}");
    }
}

/// Random rubbish of a template's words never ends the process.
#[test]
fn rubbish_is_a_text_or_an_error() {
    let words = [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "-",
        "+",
        "if",
        "else",
        "elif",
        "endif",
        "for",
        "in",
        "endfor",
        "set",
        "=",
        "macro",
        "endmacro",
        "call",
        "endcall",
        "filter",
        "raw",
        "endraw",
        "x",
        "messages",
        "'a'",
        "\"",
        "1",
        "2.5",
        ".",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "|",
        "upper",
        "is",
        "not",
        "defined",
        "~",
        "*",
        "**",
        "/",
        "%",
        ":",
        ",",
        "loop",
        "\n",
        " ",
        "{% if x %}",
        "{% endif %}",
        "{{ x }}",
        "{% for m in messages %}",
        "{% endfor %}",
        "m.content",
        "[1:]",
        "'%s'",
        "none",
        "true",
        "<",
        "==",
        "tojson",
        "recursive",
        "namespace()",
        "ns",
        "é",
        "\\",
    ];
    let mut state = 7u64;
    let mut next = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % most
    };
    let mut rendered = 0;
    for _ in 0..4_000 {
        let source: Vec<&str> = (0..1 + next(25)).map(|_| words[next(words.len())]).collect();
        let source = source.join(if next(2) == 0 { " " } else { "" });
        rendered += usize::from(super::render(&source, &[Message::user("Hi")]).is_ok());
    }
    assert!(rendered > 100, "{rendered}");
}
