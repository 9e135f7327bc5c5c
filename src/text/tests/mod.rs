#[cfg(feature = "grammar")]
pub(super) mod chance;
mod clock;
#[cfg(feature = "grammar")]
#[path = "../../../tests/support/corpus.rs"]
pub(super) mod corpus;
mod hostile;
mod oracle;
mod provenance;

use super::pieces::Pushed;
use super::sampler::Allowed;
use super::stop::{Passed, Stop};
use super::utf8::Utf8;
use super::*;
use crate::engine::{Message, Piece, Role, Sampling, TokenInfo};
use crate::{Code, Result};

// ---- characters

fn utf8(parts: &[&[u8]]) -> Vec<String> {
    let mut utf8 = Utf8::default();
    let mut texts = Vec::new();
    for part in parts {
        let mut text = String::new();
        utf8.push(part, &mut text);
        texts.push(text);
    }
    let mut last = String::new();
    utf8.finish(&mut last);
    texts.push(last);
    texts
}

#[test]
fn characters_come_whole() {
    assert_eq!(utf8(&[b"a\xF0\x9F", b"\x98", b"\x80b"]), ["a", "", "😀b", ""]);
    assert_eq!(utf8(&[b"\xC3", b"\xA9\xC3", b"\xA9"]), ["", "é", "é", ""]);
}

#[test]
fn what_is_not_utf8_is_replaced() {
    assert_eq!(utf8(&[b"a\xFFb"]), ["a\u{FFFD}b", ""]);
    // An unfinished character, at the end and before something else.
    assert_eq!(utf8(&[b"a\xF0\x9F\x98"]), ["a", "\u{FFFD}"]);
    assert_eq!(utf8(&[b"\xF0\x9F", b"x"]), ["", "\u{FFFD}x", ""]);
    assert_eq!(utf8(&[b"\x80", b"\xC0\x80"]), ["\u{FFFD}", "\u{FFFD}\u{FFFD}", ""]);
}

/// However the bytes are cut, the text is the one that the standard library makes of all of them.
#[test]
fn cuts_do_not_change_the_text() {
    let bytes = b"ab\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xFF\xE2\x82z\xED\xA0\x80\xF4\x90\x80\x80!";
    let whole = String::from_utf8_lossy(bytes);
    for width in 1..bytes.len() {
        let parts: Vec<&[u8]> = bytes.chunks(width).collect();
        assert_eq!(utf8(&parts).concat(), whole, "cut every {width} bytes");
    }
}

// ---- stop texts

fn stop(texts: &[&str], parts: &[&str]) -> (Vec<String>, Option<usize>) {
    let mut stop = Stop::new(texts.iter().map(|t| (*t).to_owned()).collect());
    let mut passed = Vec::new();
    for part in parts {
        let Passed { text, stop } = stop.push(part);
        passed.push(text);
        if stop.is_some() {
            return (passed, stop);
        }
    }
    let Passed { text, stop } = stop.finish();
    passed.push(text);
    (passed, stop)
}

#[test]
fn a_stop_text_may_span_parts() {
    assert_eq!(
        stop(&["\nUser:"], &["Hi\n", "Us", "er", ": x"]),
        (vec!["Hi".into(), "".into(), "".into(), "".into()], Some(0))
    );
}

#[test]
fn only_what_could_be_a_stop_text_is_held_back() {
    assert_eq!(stop(&["abc"], &["xa", "b", "d"]).0, ["x", "", "abd", ""]);
    assert_eq!(stop(&["aab"], &["aa", "a", "b"]), (vec!["".into(), "a".into(), "".into()], Some(0)));
    assert_eq!(stop(&["END"], &["the EN"]).0, ["the ", "EN"]);
}

#[test]
fn the_stop_text_that_begins_first_wins() {
    assert_eq!(stop(&["cd", "b"], &["abcd"]), (vec!["a".into()], Some(1)));
    // "abX" could still come when "b" is seen; it does not, so "b" it was.
    assert_eq!(stop(&["abX", "b"], &["ab", "c"]), (vec!["".into(), "a".into()], Some(1)));
    assert_eq!(stop(&["abX", "b"], &["ab", "X"]), (vec!["".into(), "".into()], Some(0)));
    assert_eq!(stop(&["abX", "b"], &["ab"]), (vec!["".into(), "a".into()], Some(1)));
}

#[test]
fn stop_texts_of_several_bytes_per_character() {
    assert_eq!(stop(&["。"], &["好", "。", "x"]), (vec!["好".into(), "".into()], Some(0)));
    // The first bytes of "。" (E3 80 82) and "、" (E3 80 81) are equal, but text comes in whole characters.
    assert_eq!(stop(&["。"], &["、"]).0, ["、", ""]);
}

// ---- pieces

fn token(id: u32) -> TokenInfo {
    TokenInfo::new(id, None)
}

fn piece(text: &str, ids: &[u32]) -> Option<Piece> {
    Some(Piece::new(text, ids.iter().map(|&id| token(id)).collect()))
}

#[test]
fn tokens_go_out_with_their_text() {
    let mut pieces = Pieces::new(vec!["END".into()]);
    assert_eq!(pieces.push(token(1), b"a"), Pushed { piece: piece("a", &[1]), stop: None });
    assert_eq!(pieces.push(token(2), b"\xF0\x9F"), Pushed { piece: None, stop: None });
    assert_eq!(pieces.push(token(3), b"\x98\x80"), Pushed { piece: piece("😀", &[2, 3]), stop: None });
    assert_eq!(pieces.push(token(4), b" E"), Pushed { piece: piece(" ", &[4]), stop: None });
    assert_eq!(pieces.push(token(5), b"N"), Pushed { piece: None, stop: None });
    assert_eq!(pieces.push(token(6), b"T"), Pushed { piece: piece("ENT", &[5, 6]), stop: None });
    assert_eq!(pieces.finish(), Pushed { piece: None, stop: None });
}

#[test]
fn tokens_of_a_stop_text_are_dropped() {
    let mut pieces = Pieces::new(vec!["END".into()]);
    assert_eq!(pieces.push(token(1), b"so E").piece, piece("so ", &[1]));
    assert_eq!(pieces.push(token(2), b"ND"), Pushed { piece: None, stop: Some("END".into()) });
}

#[test]
fn outstanding_tokens_come_last() {
    let mut pieces = Pieces::new(vec!["END".into()]);
    assert_eq!(pieces.push(token(1), b"").piece, None);
    assert_eq!(pieces.finish(), Pushed { piece: piece("", &[1]), stop: None });
    assert_eq!(pieces.push(token(2), b"EN\xE2").piece, None);
    assert_eq!(pieces.finish(), Pushed { piece: piece("EN\u{FFFD}", &[2]), stop: None });
}

// ---- sampling

fn sampling(change: impl FnOnce(&mut Sampling)) -> Sampling {
    let mut sampling = Sampling { seed: Some(1), ..Sampling::default() };
    change(&mut sampling);
    sampling
}

fn choices(sampling: Sampling, logits: &[f32], count: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(sampling, Vec::new());
    (0..count).map(|_| sampler.choose(logits, &[], None).unwrap()).collect()
}

#[test]
fn greedy_takes_the_likeliest_and_of_equals_the_first() {
    assert_eq!(choices(sampling(|_| ()), &[0.0, 3.0, 3.0, -1.0], 2), [1, 1]);
    // The other way through the code: penalties that change nothing yet.
    assert_eq!(choices(sampling(|s| s.repeat_penalty = 2.0), &[0.0, 3.0, 3.0, -1.0], 1), [1]);
}

#[test]
fn draws_follow_the_probabilities() {
    // Softmax of these logits: 0.7, 0.2, 0.1.
    let logits = [0.7f32.ln(), 0.2f32.ln(), 0.1f32.ln()];
    let drawn = choices(sampling(|s| s.temperature = 1.0), &logits, 20_000);
    let share = |id| drawn.iter().filter(|&&d| d == id).count() as f64 / 20_000.0;
    // Five standard deviations of a binomial of 20,000 are at most 0.018.
    assert!((share(0) - 0.7).abs() < 0.018 && (share(1) - 0.2).abs() < 0.018 && (share(2) - 0.1).abs() < 0.018);
    // At temperature 2 the weights are the square roots: 0.837, 0.447, 0.316 of 1.600.
    let drawn = choices(sampling(|s| s.temperature = 2.0), &logits, 20_000);
    let first = drawn.iter().filter(|&&d| d == 0).count() as f64 / 20_000.0;
    assert!((first - 0.523).abs() < 0.018, "{first}");
}

#[test]
fn the_same_seed_draws_the_same() {
    let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32 / 2.0).collect();
    let draw = |seed| choices(sampling(|s| (s.temperature, s.seed) = (1.0, Some(seed))), &logits, 20);
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    let unseeded = || choices(sampling(|s| (s.temperature, s.seed) = (1.0, None)), &logits, 20);
    assert_ne!(unseeded(), unseeded());
}

#[test]
fn filters_leave_what_they_say() {
    let logits = [0.5f32.ln(), 0.3f32.ln(), 0.15f32.ln(), 0.05f32.ln()];
    let kinds = |change: fn(&mut Sampling)| {
        let mut drawn = choices(
            sampling(|s| {
                s.temperature = 1.0;
                change(s)
            }),
            &logits,
            2000,
        );
        drawn.sort_unstable();
        drawn.dedup();
        drawn
    };
    assert_eq!(kinds(|_| ()), [0, 1, 2, 3]);
    assert_eq!(kinds(|s| s.top_k = 2), [0, 1]);
    // 0.5 is not 0.6 yet, 0.5 + 0.3 is.
    assert_eq!(kinds(|s| s.top_p = 0.6), [0, 1]);
    assert_eq!(kinds(|s| s.top_p = 0.81), [0, 1, 2]);
    // At least 0.2 of 0.5.
    assert_eq!(kinds(|s| s.min_p = 0.2), [0, 1, 2]);
    // After top-k the mass is shared by three: 0.53, 0.32, 0.16.
    assert_eq!(kinds(|s| (s.top_k, s.top_p) = (3, 0.5)), [0]);
}

#[test]
fn penalties_look_at_what_was_seen() {
    let seen = [1, 1, 0, 2];
    let choose = |change: fn(&mut Sampling), logits: &[f32]| {
        Sampler::new(sampling(change), Vec::new()).choose(logits, &seen, None).unwrap()
    };
    // Divided if positive, multiplied if negative.
    assert_eq!(choose(|s| s.repeat_penalty = 2.0, &[1.0, 4.0, 1.0, 1.9]), 1);
    assert_eq!(choose(|s| s.repeat_penalty = 2.5, &[1.0, 4.0, 1.0, 1.9]), 3);
    assert_eq!(choose(|s| s.repeat_penalty = 2.0, &[-1.0, -1.0, -1.0, -1.9]), 3);
    // Twice for token 1, which was there twice.
    assert_eq!(choose(|s| s.frequency_penalty = 0.6, &[0.0, 1.0, 0.5, 0.0]), 3);
    assert_eq!(choose(|s| s.presence_penalty = 0.6, &[0.0, 1.0, 0.5, 0.0]), 1);
    // Two tokens back there is no 1.
    assert_eq!(choose(|s| (s.frequency_penalty, s.penalty_last_n) = (0.6, 2), &[0.0, 1.0, 0.5, 0.0]), 1);
    assert_eq!(choose(|s| (s.frequency_penalty, s.penalty_last_n) = (0.6, 0), &[0.0, 1.0, 0.5, 0.0]), 1);
}

#[test]
fn broken_logits_are_an_error_and_extreme_ones_are_not() {
    for logits in [&[1.0, f32::NAN][..], &[1.0, f32::INFINITY], &[f32::NEG_INFINITY; 2]] {
        let error = Sampler::new(sampling(|_| ()), Vec::new()).choose(logits, &[], None).unwrap_err();
        assert_eq!(error.code(), Code::Backend);
    }
    let wild = [f32::MAX, f32::MIN, f32::NEG_INFINITY, 1e-38, -0.0, 1.0];
    for temperature in [0.0, 1e-30, 1.0, 1e30] {
        for penalty in [1e-38, 1.0, 1e38] {
            let mut s =
                sampling(|s| (s.temperature, s.repeat_penalty, s.top_p, s.min_p) = (temperature, penalty, 0.9, 0.1));
            s.frequency_penalty = if penalty > 1.0 { f32::MAX } else { f32::MIN };
            let chosen = Sampler::new(s, Vec::new()).choose(&wild, &[0, 1, 2, 3, 4, 5, 5], None).unwrap();
            assert!(chosen < 6);
        }
    }
}

#[test]
fn suppressed_tokens_are_never_chosen() {
    let mut sampler = Sampler::new(sampling(|_| ()), vec![1, 900]);
    assert_eq!(sampler.choose(&[0.0, 5.0, 1.0], &[], None).unwrap(), 2);
}

#[test]
fn a_model_that_suppresses_all_its_tokens_is_an_error() {
    let changes: [fn(&mut Sampling); 4] = [
        |_| (),
        |s| s.temperature = 1.0,
        |s| (s.temperature, s.min_p) = (1.0, 0.1),
        |s| (s.temperature, s.top_p) = (1.0, 0.9),
    ];
    for change in changes {
        let mut sampler = Sampler::new(sampling(change), vec![0, 1]);
        let error = sampler.choose(&[1.0, 2.0, f32::NEG_INFINITY], &[], None).unwrap_err();
        assert_eq!(error.code(), Code::Backend, "{error}");
    }
}

#[test]
fn logprobs_are_those_of_the_softmax() {
    let logits = [0.7f32.ln(), 0.2f32.ln(), 0.1f32.ln()];
    assert!((logprob(&logits, 1) - 0.2f32.ln()).abs() < 1e-6);
    assert_eq!(logprob(&[100.0, -100.0], 0), 0.0);
    assert_eq!(logprob(&[1.0, f32::NEG_INFINITY], 1), f32::NEG_INFINITY);
}

// ---- chat templates

fn template(source: &str, special: impl IntoIterator<Item = String>) -> Result<Template> {
    let tokens = [("bos_token", "<s>".to_owned()), ("eos_token", "</s>".to_owned())];
    Template::new(source, tokens, special)
}

fn render(source: &str, messages: &[Message]) -> Result<String> {
    template(source, [])?.prompt(messages)
}

const CHATML: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
    {{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}\
    {{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

#[test]
fn a_default_system_message_comes_out() {
    let text = render(CHATML, &[Message::user("Hi")]).unwrap();
    let expected = "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(text, expected);
    let own = render(CHATML, &[Message::system("Be brief."), Message::user("Hi")]).unwrap();
    assert!(own.starts_with("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user"), "{own}");
}

/// Blocks alone on their lines leave nothing of them, as Hugging Face sets Jinja up.
#[test]
fn white_space_is_as_in_hugging_face() {
    let source = "{{ bos_token }}\n{% for m in messages %}\n    {% if m.role == 'user' %}\n[{{ m.content }}]\n    {% endif %}\n{% endfor %}\n{{ eos_token }}";
    assert_eq!(render(source, &[Message::user("a"), Message::user("b")]).unwrap(), "<s>\n[a]\n[b]\n</s>");
}

#[test]
fn python_methods_and_filters_are_there() {
    let source = "{%- for m in messages -%}{{ m['content'].strip().split('|')[-1].upper() }}{{ m.content | trim | length }}\
        {%- if not loop.last %}{% continue %}{% endif %}.{{ {'a': [1, 2.5, none, true], 'b': '<\"é'} | tojson }}{%- endfor -%}";
    let messages = [Message::user(" x|yz "), Message::assistant("q")];
    assert_eq!(render(source, &messages).unwrap(), "YZ4Q1.{\"a\": [1, 2.5, null, true], \"b\": \"<\\\"é\"}");
}

#[test]
fn what_hugging_face_always_sets_is_there() {
    let source = "{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ bos_token }}{{ tools }}|\
        {{ unk_token is defined }}|{{ {'b': 1, 'a': 2} | tojson }}{{ 'a b'.rsplit(' ', 1)[0] }}";
    assert_eq!(render(source, &[]).unwrap(), "TrueTrueTrue<s>None|False|{\"b\": 1, \"a\": 2}a");
    let template = Template::new("{{ unk_token }}{{ pad_token }}", [("unk_token", "<unk>".to_owned())], []).unwrap();
    assert_eq!(template.prompt(&[]).unwrap(), "<unk>");
}

#[test]
fn json_can_be_indented() {
    let text = render("{{ {'a': [1], 'b': {}} | tojson(indent=2) }}", &[]).unwrap();
    assert_eq!(text, "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}");
}

/// A list of a few names can stand for more text than there is memory.
#[test]
fn json_is_paid_for() {
    let doubled = |times: u32, print: &str| {
        let source = format!(
            "{{% set ns = namespace(a=['x']) %}}{{% for i in range({times}) %}}{{% set ns.a = [ns.a, ns.a] %}}{{% endfor %}}\
             {{{{ (ns.a | {print}) | length }}}}"
        );
        render(&source, &[])
    };
    // 2^10 times `["x"]`, as many but one `[, ]` around.
    assert_eq!(doubled(10, "tojson").unwrap(), (1024 * 5 + 1023 * 4).to_string());
    assert_eq!(doubled(21, "tojson").unwrap_err().code(), Code::Unsupported);
    let error = doubled(17, "tojson(indent=16)").unwrap_err();
    assert!(error.message().contains("exceeds the work allowed"), "{error}");
    assert_eq!(render("{{ {1: 'a'} | tojson }}", &[]).unwrap(), r#"{"1": "a"}"#);
    assert_eq!(render("{{ {['a']: 1} | tojson }}", &[]).unwrap_err().code(), Code::Unsupported);
}

#[test]
fn generation_marks_mean_nothing() {
    let source = "{% for m in messages %}{%- generation -%} {{ m.content }} {%- endgeneration -%} {% endfor %}!";
    assert_eq!(render(source, &[Message::user("a"), Message::user("b")]).unwrap(), "ab!");
}

#[test]
fn a_refusal_is_the_callers_error() {
    let source =
        "{% if messages[0].role != 'user' %}{{ raise_exception('Conversation must start with user') }}{% endif %}";
    let error = render(source, &[Message::assistant("Hi")]).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("Conversation must start with user"), "{error}");
    // Through a macro, too.
    let source =
        format!("{{% macro check() %}}{source}{{% endmacro %}}{{{{ check() }}}}").replace("messages[0].role", "'x'");
    assert_eq!(render(&source, &[]).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn hostile_templates_are_stopped() {
    let hostile = [
        "{% for i in range(10000000) %}{% for j in range(10000000) %}x{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 'x' * 1000000000 }}",
        "{% set ns = namespace(t='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
        "{{ nothing.of.this }}",
        "{{ missing() }}",
    ];
    for source in hostile {
        let error = render(source, &[Message::user("Hi")]).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported, "{source}: {error}");
    }
    let parentheses = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    for source in [&*parentheses, "{% if %}", &*"x".repeat(300 << 10)] {
        assert_eq!(render(source, &[]).unwrap_err().code(), Code::Unsupported);
    }
}

#[test]
fn output_is_limited() {
    // Within the fuel, but far beyond what a conversation could need.
    let source = format!("{{% for i in range(200) %}}{}{{% endfor %}}", "x".repeat(100_000));
    let error = render(&source, &[]).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
}

// ---- what people write is not special

fn segments(source: &str, messages: &[Message]) -> Vec<(String, bool)> {
    let special = ["<|im_start|>", "<|im_end|>", "[INST]"].map(String::from);
    let segments = template(source, special).unwrap().render(messages).unwrap();
    segments.into_iter().map(|s| (s.text, s.special)).collect()
}

#[test]
fn special_tokens_in_a_message_are_text() {
    let found = segments(CHATML, &[Message::system("s"), Message::user("a <|im_end|> [x] <b")]);
    let expected = [
        ("<|im_start|>system\ns<|im_end|>\n<|im_start|>user\na ", true),
        ("<|im_end|>", false),
        (" [x] <b<|im_end|>\n<|im_start|>assistant\n", true),
    ];
    assert_eq!(found, expected.map(|(t, s)| (t.to_owned(), s)));
}

#[test]
fn without_suspicion_it_is_one_text() {
    let found = segments(CHATML, &[Message::user("hello")]);
    assert_eq!(found.len(), 1);
    assert!(found[0].1);
    // Suspicious, but harmless: it is put together again.
    let found = segments(CHATML, &[Message::user("1 < 2")]);
    assert_eq!(found.len(), 1);
    assert!(found[0].0.contains("1 < 2"));
}

#[test]
fn a_token_that_a_message_begins_and_the_template_ends_is_text() {
    let source = "{% for m in messages %}{{ m.content }}|>{% endfor %}";
    let found = segments(source, &[Message::user("x<|im_end")]);
    assert_eq!(found, [("x".to_owned(), true), ("<|im_end|>".to_owned(), false)]);
}

#[test]
fn roles_are_not_trusted_either() {
    let found = segments(CHATML, &[Message::system("s"), Message::new(Role::Other("<|im_end|>".into()), "x")]);
    assert_eq!(found.iter().filter(|(text, special)| text == "<|im_end|>" && !special).count(), 1);
}

/// A template that looks into a message still does, and the message's special tokens are still text.
#[test]
fn templates_that_look_into_messages_work() {
    let source = "{% for m in messages %}{{ m.content.split('</think>')[-1] }}<|im_end|>{% endfor %}";
    let found = segments(source, &[Message::assistant("<think>hm</think>yes <|im_end|>no")]);
    let expected = [("yes ", true), ("<|im_end|>", false), ("no<|im_end|>", true)];
    assert_eq!(found, expected.map(|(t, s)| (t.to_owned(), s)));
}

#[test]
fn a_choice_is_of_the_tokens_that_are_allowed() {
    let logits = [5.0, 1.0, f32::NEG_INFINITY, 3.0, 2.0];
    let allowed = |tokens: &[u32]| tokens.iter().fold(0u32, |word, token| word | 1 << token);
    let choose = |change: fn(&mut Sampling), tokens: &[u32]| {
        let word = [allowed(tokens)];
        Sampler::new(sampling(change), Vec::new()).choose(&logits, &[0, 3], Some(Allowed::new(&word)))
    };
    assert_eq!(choose(|_| (), &[1, 3, 4]).unwrap(), 3);
    assert_eq!(choose(|s| s.presence_penalty = 9.0, &[1, 3, 4]).unwrap(), 4, "seen before");
    for seed in 0..50 {
        let word = [allowed(&[1, 4])];
        let s = sampling(|s| (s.temperature, s.top_k, s.top_p, s.min_p) = (9.0, 3, 0.99, 0.001));
        let mut sampler = Sampler::new(Sampling { seed: Some(seed), ..s }, Vec::new());
        let chosen = sampler.choose(&logits, &[], Some(Allowed::new(&word))).unwrap();
        assert!(chosen == 1 || chosen == 4, "{chosen}");
    }
    // What the model rules out, no form rules in; and of a vocabulary's end, there is nothing beyond.
    for tokens in [&[][..], &[2], &[31]] {
        assert_eq!(choose(|_| (), tokens).unwrap_err().code(), Code::Backend);
        assert_eq!(choose(|s| s.temperature = 1.0, tokens).unwrap_err().code(), Code::Backend);
    }
    let words = [1 << 31, 0, 0b101];
    assert_eq!(Allowed::new(&words).tokens(67).collect::<Vec<_>>(), [31, 64, 66]);
    assert_eq!(Allowed::new(&words).tokens(66).collect::<Vec<_>>(), [31, 64]);
    assert!(Allowed::new(&words).contains(66) && !Allowed::new(&words).contains(96));
}
