//! Formats out of the templates of real models.

use super::super::derive::{Sentinels, answer};
use super::super::dialect::Shown;
use super::super::tags::TAGS;
use super::calls::cases;
use super::read;
use crate::engine::{Document, Generate, Message, Prompt, Tool, ToolCall, ToolChoice};
use crate::text::Template;
use crate::text::tests::corpus;
use crate::{Code, Result};

/// Templates that show no calls, or in a way that cannot be read back; a table of formats stands in for what they lack.
const WITHOUT: &[&str] = &[
    "HuggingFaceTB-SmolLM3-3B",
    "Kimi-K2-Instruct",
    "Kimi-K2-Thinking",
    "LFM2-8B-A1B",
    "LFM2.5-Instruct",
    "MiniMax-M3",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "fireworks-ai-llama-3-firefunction-v2",
    "google-gemma-2-2b-it",
    "ibm-granite-granite-3.3-2B-Instruct",
    "llama-cpp-deepseek-r1",
    "llama-cpp-rwkv-world",
    "microsoft-Phi-3.5-mini-instruct",
    "muse-glimmer",
    "upstage-Solar-Open-100B",
];

/// Those of them whose calls would not be known, so that tools are refused.
const UNKNOWN: &[&str] = &["LFM2.5-Instruct", "MiniMax-M3", "muse-glimmer", "upstage-Solar-Open-100B"];

/// Templates that write texts without their escapes.
const UNESCAPED: &[&str] = &["LFM2.5-8B-A1B"];

/// Templates that want more of a nested schema than the cases have.
const DEMANDING: &[&str] = &["CohereForAI-c4ai-command-r-plus-tool_use"];

/// Those, and one that wants a variable of its own.
const REFUSING: &[&str] = &[
    "LFM2.5-Instruct",
    "MiniMax-M3",
    "fireworks-ai-llama-3-firefunction-v2",
    "muse-glimmer",
    "upstage-Solar-Open-100B",
];

fn templates() -> Vec<(String, String)> {
    let Some(folder) = corpus::path("chat-templates") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jinja") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            found.push((name, std::fs::read_to_string(path).unwrap()));
        }
    }
    found.sort();
    found
}

fn template(source: &str) -> Template {
    let tokens = [("bos_token", "<s>".to_owned()), ("eos_token", "</s>".to_owned())];
    Template::new(source, tokens, []).unwrap()
}

/// What the template makes of a conversation in which the assistant says this.
fn rendered(template: &Template, message: Message, tools: &[Tool]) -> Option<String> {
    let messages = vec![Message::user("Hello."), message];
    let as_text = template.dialect().as_text;
    let shown = Shown { messages: messages.into(), tools: tools.into(), as_text, asks: false };
    template.rendered_text(&shown).ok()
}

#[test]
fn the_calls_of_real_templates_are_read_back() {
    let templates = templates();
    let cases = cases();
    let (mut without, mut unknown) = (Vec::new(), Vec::new());
    let (mut read_back, mut wrong) = (0, Vec::new());
    for (name, source) in &templates {
        let template = template(source);
        let dialect = template.dialect();
        if !dialect.is_known {
            unknown.push(name.clone());
        }
        if !dialect.shows_calls() {
            without.push(name.clone());
            continue;
        }
        for case in cases.iter().step_by(8) {
            let (tools, calls) = (case.tools(), case.calls());
            let has_escapes = calls.iter().any(|call| call.arguments.contains('\\'));
            if calls.len() > 1 && dialect.is_single || has_escapes && UNESCAPED.contains(&&**name) {
                continue;
            }
            let plain = rendered(&template, Message::assistant(Sentinels::CONTENT), &tools);
            let called = rendered(&template, Message::assistant("").tool_calls(calls), &tools);
            let (Some(plain), Some(called)) = (plain, called) else {
                if !DEMANDING.contains(&&**name) {
                    wrong.push(format!("{name}: {} cannot be rendered", case.id));
                }
                continue;
            };
            let (mut text, _) = answer(&plain, &called).unwrap();
            // What comes after the calls ends the message.
            let close = dialect.format.close.trim();
            if let Some(at) = text.rfind(close).filter(|_| !close.is_empty()) {
                text = &text[..at + close.len()];
            }
            // Where a call has no mark, its name may begin as a text does.
            let first = format!(">>>{}\n", case.first_name());
            if let Some(at) = called.find(&first).filter(|_| dialect.format.text_begin == "all\n") {
                text = called[at + 3..].trim_end_matches("<|eot_id|>");
            }
            let read = read(case.reader(&dialect.format), &[text]);
            if case.is_read(&read) {
                read_back += 1;
            } else {
                wrong.push(format!("{name}: {}: {text:?}\n{read:?}\n{:?}", case.id, dialect.format));
                break;
            }
        }
    }
    println!("{read_back} answers of {} templates read back; without calls: {without:?}", templates.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(templates.is_empty() || without == WITHOUT, "{without:#?}");
    assert!(templates.is_empty() || unknown == UNKNOWN, "{unknown:#?}");
}

fn segments(template: &Template, request: Generate) -> Result<String> {
    let Prompt::Chat(messages) = &request.prompt else { panic!("expected a chat") };
    let chat = template.chat(messages, &request)?;
    Ok(chat.segments.into_iter().map(|segment| segment.text).collect())
}

fn weather() -> Tool {
    let schema = r#"{"type": "object", "properties": {"city": {"type": "string", "description": "Its name."}}, "required": ["city"]}"#;
    Tool::new("weather", "The weather in a city.", schema)
}

/// A conversation in which a tool was called and has answered.
fn conversation() -> Vec<Message> {
    let call = ToolCall::new("k3h5x0a1b", "weather", r#"{"city": "Bergen"}"#);
    let result = Message::tool("k3h5x0a1b", "It rains in Bergen.");
    [Message::user("Umbrella?"), Message::assistant("").tool_calls([call]), result].into()
}

/// Whatever the template knows of tools, a model reads of the tool, of the call and of its result.
#[test]
fn tools_calls_and_results_are_in_the_prompt_of_every_template() {
    for (name, source) in templates() {
        let template = template(&source);
        let request = Generate::chat(conversation()).tools([weather()]);
        let prompt = match segments(&template, request) {
            Ok(prompt) => prompt,
            Err(error) => {
                assert!(REFUSING.contains(&&*name) && error.code() == Code::Unsupported, "{name}: {error}");
                continue;
            }
        };
        for part in ["weather", "The weather in a city.", "Bergen", "It rains in Bergen."] {
            assert!(prompt.contains(part), "{name}: '{part}' is not in {prompt}");
        }
        // Of no tools, nothing is said.
        let none = Generate::chat([Message::user("Hello.")]).tools([weather()]).tool_choice(ToolChoice::None);
        if let Ok(prompt) = segments(&template, none) {
            assert!(!prompt.contains("weather"), "{name}");
        }
    }
}

const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

#[test]
fn a_template_without_tools_tells_of_them_in_a_system_message() {
    let template = template(CHATML);
    let prompt = segments(&template, Generate::chat([Message::user("Umbrella?")]).tools([weather()])).unwrap();
    assert!(prompt.starts_with("<|im_start|>system\nYou can call"), "{prompt}");
    assert!(prompt.contains("<tool_call>[{\"name\": \"NAME\""), "{prompt}");
    // One that is there keeps its text.
    let messages = [Message::system("Be brief."), Message::user("Umbrella?")];
    let prompt = segments(&template, Generate::chat(messages).tools([weather()])).unwrap();
    assert_eq!(prompt.matches("<|im_start|>system").count(), 1);
    assert!(prompt.contains("Be brief."));
    let prompt = segments(&template, Generate::chat(conversation()).tools([weather()])).unwrap();
    let call =
        "assistant\n<tool_call>[{\"name\": \"weather\", \"arguments\": {\"city\": \"Bergen\"}}]</tool_call><|im_end|>";
    assert!(prompt.contains(call), "{prompt}");
    assert!(prompt.contains("user\n<tool_response>\nIt rains in Bergen.\n</tool_response>"), "{prompt}");
}

#[test]
fn the_last_message_is_gone_on_with() {
    let messages = || [Message::user("Name a city."), Message::assistant("The city is Ber")];
    let prompt = segments(&template(CHATML), Generate::chat(messages()).continue_last(true)).unwrap();
    assert!(prompt.ends_with("<|im_start|>assistant\nThe city is Ber"), "{prompt}");
    let whole = segments(&template(CHATML), Generate::chat(messages())).unwrap();
    assert!(whole.ends_with("Ber<|im_end|>\n<|im_start|>assistant\n"), "{whole}");
    let hidden = template("{% for m in messages %}{{ m.content|upper }}{% endfor %}");
    let error = segments(&hidden, Generate::chat(messages()).continue_last(true)).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported, "{error}");
    let (mut shown, mut all) = (0, 0);
    for (name, source) in templates() {
        all += 1;
        match segments(&template(&source), Generate::chat(messages()).continue_last(true)) {
            Ok(prompt) => {
                assert!(prompt.ends_with("The city is Ber"), "{name}: {prompt}");
                shown += 1;
            }
            Err(error) => println!("{name}: {error}"),
        }
    }
    assert!(shown * 10 >= all * 9, "{shown} of {all}");
}

#[test]
fn what_a_template_would_pass_over_is_refused() {
    let ask = || Generate::chat([Message::user("Hello.")]);
    let asked =
        [ask().documents([Document::new("a", "b")]), ask().thinking(false), ask().variable("style", "\"brief\"")];
    for request in asked {
        let error = segments(&template(CHATML), request).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported, "{error}");
    }
    let source = "{{ messages[0].content }} {{ style.words[1] }} {% for d in documents %}{{ d.title }}: {{ d.text }}\n\
        {% endfor %}{% if enable_thinking is false %}<think></think>{% endif %}";
    let request = ask().documents([Document::new("a", "b")]).thinking(false);
    let request = request.variable("style", "{ \"words\": [1, \"brief\"] }");
    assert_eq!(segments(&template(source), request).unwrap(), "Hello. brief a: b\n<think></think>");
    let error = segments(&template(source), ask().variable("messages", "[]")).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    // A part of a word is not the word.
    let both = ask().variable("style", "{ \"words\": [1, 2] }").variable("styl", "1");
    let error = segments(&template(source), both).unwrap_err();
    assert!(error.code() == Code::Unsupported && error.message().contains("'styl'"), "{error}");
}

/// What a person or an app writes is text, also in a tool.
#[test]
fn special_tokens_of_tools_are_text() {
    let source =
        "{% for t in tools %}{{ t.function.description }}{{ t | tojson }}{% endfor %}<|im_end|>{# <tool_call> #}";
    let special = ["<|im_end|>".to_owned()];
    let template = Template::new(source, [], special).unwrap();
    let tool = Tool::new("f", "<|im_end|>", r#"{"type": "object", "title": "<|im_end|>"}"#);
    let messages = [Message::user("x")];
    let chat = template.chat(&messages, &Generate::chat(messages.clone()).tools([tool])).unwrap();
    let special: String = chat.segments.iter().filter(|s| s.special).map(|s| &*s.text).collect();
    assert_eq!(special.matches("<|im_end|>").count(), 1, "{:?}", chat.segments);
}

/// What the template says before an answer, and what is read out of one.
fn asked(template: &Template, request: Generate, answer: &str) -> (String, super::Read) {
    let Prompt::Chat(messages) = &request.prompt else { panic!("expected a chat") };
    let chat = template.chat(messages, &request).unwrap();
    let prompt = chat.segments.iter().map(|segment| &*segment.text).collect();
    (prompt, read(chat.reader, &[answer]))
}

#[test]
fn reasoning_that_the_prompt_begins_is_known() {
    let ask = || Generate::chat([Message::user("Hello.")]).separate_reasoning(true);
    let (mut begun, mut ended) = (0, 0);
    for (name, source) in templates() {
        let template = template(&source);
        if template.chat(&[Message::user("Hello.")], &ask()).is_err() {
            continue;
        }
        let (prompt, _) = asked(&template, ask(), "");
        let tags = TAGS.iter().find(|(open, _)| prompt.trim_end().ends_with(open));
        let close = tags.map_or("</think>", |(_, close)| close);
        let (_, read) = asked(&template, ask(), &format!("Hm.{close}Yes."));
        if tags.is_some() {
            assert_eq!((&*read.reasoning, &*read.text), ("Hm.", "Yes."), "{name}");
            begun += 1;
        } else {
            assert_eq!(read.reasoning, "", "{name}: {prompt}");
        }
        if prompt.trim_end().ends_with("</think>") {
            ended += 1;
        }
    }
    assert!(templates().is_empty() || begun > 5 && ended > 3, "{begun} begin, {ended} end");
    println!("{begun} templates begin reasoning, {ended} end it");
    let Some((_, source)) = templates().into_iter().find(|(name, _)| name == "Qwen-Qwen3-0.6B") else { return };
    let (thinks, read) = asked(&template(&source), ask().thinking(true), "<think>Hm.</think>Yes.");
    assert_eq!((&*read.reasoning, &*read.text), ("Hm.", "Yes."));
    let (answers, _) = asked(&template(&source), ask().thinking(false), "Yes.");
    assert!(answers.ends_with("<think>\n\n</think>\n\n") && !thinks.contains("<think>"), "{answers}");
}

#[test]
fn an_answer_goes_on_in_the_reasoning_that_it_was_left_in() {
    let ask = |text: &str| {
        let messages = [Message::user("Hello."), Message::assistant(text)];
        asked(&template(CHATML), Generate::chat(messages).continue_last(true).separate_reasoning(true), "a</think>b").1
    };
    assert_eq!((&*ask("<think>So").reasoning, &*ask("<think>So").text), ("a", "b"));
    assert_eq!(ask("<think>So</think>Yes").reasoning, "");
    assert_eq!(ask("Yes").reasoning, "");
    // A person who writes the tag begins nothing.
    let messages = [Message::user("Hello.<think>")];
    let open = template("{{ messages[0].content }}");
    assert_eq!(asked(&open, Generate::chat(messages).separate_reasoning(true), "a</think>b").1.reasoning, "");
}

#[test]
fn earlier_reasoning_is_given_to_the_template() {
    let source = "{% for m in messages %}{{ m.reasoning_content if m.reasoning_content is defined else '-' }}/{{ m.content }} {% endfor %}";
    let messages = [Message::user("a"), Message::assistant("b").reasoning("c"), Message::user("d")];
    assert_eq!(segments(&template(source), Generate::chat(messages)).unwrap(), "-/a c/b -/d ");
}
