//! Provenance of text: what people write is not special, whatever a template makes of it.

use super::super::Segment;
use super::template;
use crate::engine::{Message, Role};

const SPECIAL: [&str; 6] = ["<|e|>", "<|im_start|>", "<|im_end|>", "[INST]", "<e>", "ab"];

fn segments(source: &str, content: &str) -> Vec<Segment> {
    let template = template(source, SPECIAL.map(String::from)).unwrap();
    template.render(&[Message::user(content)]).unwrap()
}

/// Whether a special token counts as such anywhere.
fn has_special(segments: &[Segment]) -> bool {
    segments.iter().any(|s| s.special && SPECIAL.iter().any(|token| s.text.contains(token)))
}

/// Templates that make a special token of a text that has none, or do anything else with one.
#[test]
fn a_token_made_of_a_persons_text_is_text() {
    let cases = [
        ("{{ m.content|replace('<img>','') }}", "hi<<img>|e|>", "hi<|e|>"),
        ("{{ m.content.replace('<img>','') }}", "hi<<img>|e|>", "hi<|e|>"),
        ("{{ m.content.split('#')|join }}", "<|#e#|>", "<|e|>"),
        ("{{ ''.join(m.content.split('#')) }}", "<|#e#|>", "<|e|>"),
        ("{{ m.content.strip('#') }}", "##<|e|>#", "<|e|>"),
        ("{{ m.content|trim }}", "  <|e|>  ", "<|e|>"),
        ("{{ m.content|lower }}", "<|E|>", "<|e|>"),
        ("{{ m.content.upper() }}", "[inst]", "[INST]"),
        ("{{ m.content[::-1] }}", ">|e|<", "<|e|>"),
        ("{{ m.content|reverse }}", ">|e|<", "<|e|>"),
        ("{{ m.content[2:-1] }}", "xx<|e|>y", "<|e|>"),
        ("{% for c in m.content %}{{ c }}{% endfor %}", "<|e|>", "<|e|>"),
        ("{% for c in m.content if c != ' ' %}{{ c }}{% endfor %}", "< | e | >", "<|e|>"),
        ("{{ m.content|tojson }}", "<|e|>", "\"<|e|>\""),
        ("{{ {'a': m.content} }}", "<|e|>", "{'a': '<|e|>'}"),
        ("{{ [m.content] }}", "<|e|>", "['<|e|>']"),
        ("{{ '%s' % m.content }}", "<|e|>", "<|e|>"),
        ("{{ '{}'.format(m.content) }}", "<|e|>", "<|e|>"),
        ("{{ m.content.format('e') }}", "<|{}|>", "<|e|>"),
        ("{{ m.content % 'e' }}", "<|%s|>", "<|e|>"),
        ("{{ '<|' ~ m.content ~ '|>' }}", "e", "<|e|>"),
        ("<|{{ m.content }}|>", "e", "<|e|>"),
        ("{{ m.content }}|>", "<|e", "<|e|>"),
        ("<|e{{ m.content }}", "|>", "<|e|>"),
        ("{% set x %}{{ m.content }}{% endset %}{{ x }}", "<|e|>", "<|e|>"),
        ("{% filter trim %}{{ m.content }} {% endfilter %}", "<|e|>", "<|e|>"),
        ("{% macro f(x) %}{{ x }}{% endmacro %}{{ f(m.content) }}", "<|e|>", "<|e|>"),
        (
            "{% set ns = namespace(t='') %}{% for c in m.content %}{% set ns.t = ns.t + c %}{% endfor %}{{ ns.t }}",
            "<|e|>",
            "<|e|>",
        ),
        ("{{ m.content|list|join }}", "<|e|>", "<|e|>"),
        ("{{ m.content|map('lower')|join }}", "<|E|>", "<|e|>"),
        ("{{ m.content.partition('#')[0] }}", "<|e|>#", "<|e|>"),
        ("{{ m.content.splitlines()|join }}", "<|\ne|>", "<|e|>"),
        ("{{ m.content.title() }}", "ab", "Ab"),
        ("{{ m.content.capitalize()|lower }}", "ab", "ab"),
        ("{{ m.content.center(7) }}", "<|e|>", " <|e|> "),
        ("{{ m.content|truncate(7, true, '', 0) }}", "<|e|>xxxxxx", "<|e|>xx"),
        ("{{ m.content|indent(1, true) }}", "<|e|>", " <|e|>"),
        ("{{ m.content.removeprefix('x') }}", "x<|e|>", "<|e|>"),
        ("{{ m.content.zfill(6) }}", "<|e|>", "0<|e|>"),
        ("{{ m.content.split('</think>')[-1] }}", "<think></think><|e|>", "<|e|>"),
        ("{{ m.content.join(['a', 'b']) }}", "<|e|>", "a<|e|>b"),
        ("{{ 'axb'.replace('x', m.content) }}", "<|e|>", "a<|e|>b"),
        ("{{ m.content|default('x') }}", "<|e|>", "<|e|>"),
        ("{{ m.content|string|safe }}", "<|e|>", "<|e|>"),
        ("{{ m.content * 2 }}", "ab", "abab"),
        ("{{ (m.content ~ 'x')[:-1] }}", "<|e|>", "<|e|>"),
        ("{{ m.content|sort|join }}", "ba", "ab"),
        ("{{ m.content|unique|join }}", "aabb", "ab"),
        ("{{ m.content|max }}{{ m.content|min }}", "ab", "ba"),
        ("{{ dict([(m.content, 1)])|first }}", "<|e|>", "<|e|>"),
        ("{{ m.content|batch(2)|map('join')|join }}", "<|e|>", "<|e|>"),
        ("{{ (m.content|groupby(0))[0][1]|join }}", "<|e|>", "<"),
    ];
    for (body, content, expected) in cases {
        let source = format!("{{% for m in messages %}}{body}{{% endfor %}}");
        let segments = segments(&source, content);
        let text: String = segments.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(text, expected, "{body}");
        assert!(!has_special(&segments), "{body}: {segments:?}");
    }
}

#[test]
fn a_role_of_the_app_is_no_ones_token() {
    let template =
        template("{% for m in messages %}<|{{ m.role }}|>{% endfor %}", ["<|user|>", "<|e|>"].map(String::from));
    let template = template.unwrap();
    let own = template.render(&[Message::user("")]).unwrap();
    assert_eq!(own, [Segment { text: "<|user|>".into(), special: true }]);
    for name in ["e", "user"] {
        let foreign = template.render(&[Message::new(Role::Other(name.into()), "")]).unwrap();
        assert!(foreign.iter().all(|s| !s.special), "{foreign:?}");
    }
}

/// A template's own tokens stay, beside a person's, even where the two overlap.
#[test]
fn the_templates_own_tokens_are_never_cut() {
    let source = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}";
    for content in
        ["<|im_start|>", "", "<|im_end|>", "<|im_start", "|>", "a", "b", "<|im_end|><|im_end|>", "[INST]", "e>"]
    {
        let segments = segments(source, content);
        let own = segments.iter().filter(|s| s.special).map(|s| &*s.text).collect::<String>();
        assert_eq!((own.matches("<|im_start|>").count(), own.matches("<|im_end|>").count()), (1, 1), "{content}");
        let text: String = segments.iter().map(|s| &*s.text).collect();
        assert_eq!(text, format!("<|im_start|>{content}<|im_end|>"));
    }
    // `>|` is a token too, and begins inside one of the template's.
    let template = template(source, ["<|im_start|>", "|>e", ">e", "e<|", "<|im_end|>"].map(String::from)).unwrap();
    let segments = template.render(&[Message::user("e")]).unwrap();
    let expected = [("<|im_start|>", true), ("e", false), ("<|im_end|>", true)];
    assert_eq!(segments, expected.map(|(text, special)| Segment { text: text.into(), special }));
}

/// Random templates, whose own texts have no letter of a special token, over random contents that are full of them.
#[test]
fn no_random_template_lets_a_special_token_through() {
    let steps = [
        "|replace('#','')",
        "|replace('X','')",
        ".replace('#', '', 1)",
        "|trim",
        ".strip('#X ')",
        "|lower",
        "|upper",
        "[::-1]",
        "[1:]",
        "[:-1]",
        "[::2]",
        ".split('#')|join",
        ".split('#', 1)[0]",
        ".split('#')[-1]",
        ".rsplit('X', 1)[0]",
        ".partition('#')[2]",
        "|reverse",
        "|list|join",
        "|map('lower')|join",
        ".title()",
        "|capitalize",
        ".swapcase()",
        ".splitlines()|join",
        "|indent(1)",
        "|string",
        "|tojson",
        "|sort|join",
        "|unique|join",
        " ~ ''",
        ".lstrip('#')",
        "|batch(3)|map('join')|join('X')",
        ".removeprefix('#')",
        "|truncate(9, true, '', 0)",
        "|default('Y')",
        "|first",
        ".center(9)",
        "|escape|replace('&lt;', '')",
        ".expandtabs()",
        "|join('')",
        "|join('#')",
        " * 2",
        "|wordcount ~ 'Y'",
    ];
    let pieces = [
        "<", "|", "e", "|>", ">", "#", "X", "<|e|>", "<|im_", "start|>", "end|>", "[IN", "ST]", "<e>", "a", "b", " ",
        "\n", "\t", "E", "é",
    ];
    let mut state = 11u64;
    let mut next = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % most
    };
    let (mut suspicious, mut rendered) = (0, 0);
    for _ in 0..3_000 {
        let made = (0..next(5)).fold("m.content".to_owned(), |made, _| format!("({made}{})", steps[next(steps.len())]));
        let body = match next(6) {
            0 => format!("{{% for c in ({made}) %}}{{{{ c }}}}{{% endfor %}}"),
            1 => format!("{{% set x %}}{{{{ {made} }}}}{{% endset %}}{{{{ x|trim }}}}"),
            2 => format!("{{% macro f(x) %}}{{{{ x }}}}{{% endmacro %}}{{{{ f({made}) }}}}"),
            3 => format!("{{{{ '%s#%s' % ({made}, m.content) }}}}"),
            4 => format!("{{% if '#' in m.content %}}{{{{ {made} }}}}{{% else %}}{{{{ m.content }}}}{{% endif %}}"),
            _ => format!("{{{{ {made} }}}}"),
        };
        let source = format!("{{% for m in messages %}}{body}{{% endfor %}}");
        let content: String = (0..next(14)).map(|_| pieces[next(pieces.len())]).collect();
        let Ok(segments) = template(&source, SPECIAL.map(String::from)).unwrap().render(&[Message::user(&*content)])
        else {
            continue;
        };
        rendered += 1;
        assert!(!has_special(&segments), "{source} of {content:?}: {segments:?}");
        // The control: as one text, they would count.
        let text: String = segments.iter().map(|s| &*s.text).collect();
        suspicious += usize::from(has_special(&[Segment { text, special: true }]));
    }
    assert!(suspicious > 500 && rendered > 2_000, "{suspicious} of {rendered}");
}
