//! Tools, chats and terms that no engine can take.

use selvedge::{Generate, Grammar, Message, Prompt, Role, Tool, ToolCall, ToolChoice};

/// Each with its name.
pub(super) fn all() -> Vec<(String, Generate)> {
    let mut all = wrong_tools();
    all.extend(tools_of_hostile_schemas());
    all.extend(wrong_chats());
    all.extend(wrong_terms());
    all.into_iter().map(|(name, request)| (name, request.max_tokens(4))).collect()
}

fn tool(name: &str, parameters: &str) -> Tool {
    Tool::new(name, "", parameters)
}

fn ask(tools: Vec<Tool>) -> Generate {
    Generate::chat([Message::user("Hello.")]).tools(tools).tool_choice(ToolChoice::Required)
}

fn wrong_tools() -> Vec<(String, Generate)> {
    let deep = ["{\"a\":".repeat(100_000), "1".into(), "}".repeat(100_000)].concat();
    let many = (0..1001).map(|i| tool(&format!("f{i}"), "{}")).collect();
    let cases: Vec<(&str, Generate)> = vec![
        ("a tool without a name", ask(vec![tool("", "{}")])),
        ("a tool with a space", ask(vec![tool("a b", "{}")])),
        ("a tool beyond ASCII", ask(vec![tool("naïve", "{}")])),
        ("a tool with a line break", ask(vec![tool("a\n", "{}")])),
        ("a tool with a mark of a format", ask(vec![tool("<tool_call>", "{}")])),
        ("a tool with a long name", ask(vec![tool(&"a".repeat(129), "{}")])),
        ("a tool with an endless name", ask(vec![tool(&"a".repeat(900_000), "{}")])),
        ("a tool twice", ask(vec![tool("f", "{}"), tool("f", "{}")])),
        ("parameters of nothing", ask(vec![tool("f", "")])),
        ("parameters in a list", ask(vec![tool("f", "[]")])),
        ("parameters that are true", ask(vec![tool("f", "true")])),
        ("parameters that break off", ask(vec![tool("f", "{\"a\":")])),
        ("parameters that nest", ask(vec![tool("f", &deep)])),
        ("parameters beyond all bytes", ask(vec![tool("f", &format!("{{\"a\": \"{}\"}}", "x".repeat(2 << 20)))])),
        ("a description beyond all bytes", ask(vec![Tool::new("f", "x".repeat(2 << 20), "{}")])),
        ("a thousand tools and one", ask(many)),
        ("a choice of none", ask(vec![])),
        ("a choice of another", ask(vec![tool("f", "{}")]).tool_choice(ToolChoice::Named("g".into()))),
        ("tools of a text", Generate::text("a").tools([tool("f", "{}")])),
        ("a grammar beside tools", ask(vec![tool("f", "{}")]).grammar(Grammar::regex("a"))),
    ];
    cases.into_iter().map(|(name, request)| (name.to_owned(), request)).collect()
}

/// Forced calls, whose arguments are held to what no answer can be held to.
fn tools_of_hostile_schemas() -> Vec<(String, Generate)> {
    let properties = |n: usize| (0..n).map(|i| format!("\"p{i}\":{{}}")).collect::<Vec<_>>().join(",");
    let parameters = [
        r#"{"not":{}}"#.to_owned(),
        r#"{"properties":{"a":{"contains":{}}}}"#.into(),
        r#"{"if":{"required":["a"]},"then":{"required":["b"]}}"#.into(),
        r#"{"uniqueItems":true}"#.into(),
        r#"{"properties":{"a":{"uniqueItems":true}}}"#.into(),
        r#"{"propertyNames":{"pattern":"^a"}}"#.into(),
        r#"{"dependentRequired":{"a":["b"]}}"#.into(),
        r#"{"x-guidance":{"lenient":true}}"#.into(),
        r##"{"$ref":"#/nothing"}"##.into(),
        r#"{"$ref":"https://a.example/s"}"#.into(),
        r#"{"type":"string"}"#.into(),
        r#"{"type":"nothing"}"#.into(),
        r#"{"required":["a"],"additionalProperties":false}"#.into(),
        r#"{"properties":{"a":false},"required":["a"]}"#.into(),
        r#"{"properties":{"a":{"pattern":"(x{1000}){1000}"}},"required":["a"]}"#.into(),
        r#"{"properties":{"a":{"pattern":"(a)\\1"}},"required":["a"]}"#.into(),
        r#"{"properties":{"a":{"minLength":4000000000}},"required":["a"]}"#.into(),
        r#"{"properties":{"a":{"const":"\u0001"}},"required":["a"]}"#.into(),
        r#"{"minProperties":1000}"#.into(),
        format!(r#"{{"properties":{{{}}},"minProperties":1}}"#, properties(400)),
        format!("{}{{}}{}", r#"{"items":"#.repeat(120), "}".repeat(120)),
        format!("{}{{}}{}", r#"{"anyOf":["#.repeat(60), "]}".repeat(60)),
    ];
    let named = |(i, parameters): (usize, String)| {
        let text: String = parameters.chars().take(60).collect();
        (format!("a forced call of {i}: {text}"), ask(vec![tool("good", "{}"), tool("f", &parameters)]))
    };
    parameters.into_iter().enumerate().map(named).collect()
}

fn wrong_chats() -> Vec<(String, Generate)> {
    let call = |arguments: &str| Message::assistant("").tool_calls([ToolCall::new("id", "f", arguments)]);
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    let chats: Vec<(&str, Vec<Message>)> = vec![
        ("nothing said", vec![]),
        ("a result of no call", vec![Message::tool("id", "1")]),
        ("a result of another call", vec![call("{}"), Message::tool("other", "1")]),
        ("a result without an id", vec![Message::new(Role::Tool, "1")]),
        ("arguments in a list", vec![call("[]")]),
        ("arguments that break off", vec![call("{")]),
        ("arguments that nest", vec![call(&deep)]),
        ("a call of the user", vec![Message::user("a").tool_calls([ToolCall::new("id", "f", "{}")])]),
        ("more than the context", vec![Message::user("word ".repeat(1 << 18))]),
        ("more turns than the context", vec![Message::user("a"); 5_000]),
    ];
    chats.into_iter().map(|(name, chat)| (name.to_owned(), Generate::chat(chat))).collect()
}

fn wrong_terms() -> Vec<(String, Generate)> {
    let text = || Generate::text("some text");
    let chat = || Generate::chat([Message::user("Hello.")]);
    let cases: Vec<(&str, Generate)> = vec![
        ("no text", Generate::text("")),
        ("no tokens", Generate::new(Prompt::Tokens(Vec::new()))),
        ("a token beyond the vocabulary", Generate::new(Prompt::Tokens(vec![1, u32::MAX]))),
        ("a million tokens", Generate::new(Prompt::Tokens(vec![1; 1 << 20]))),
        ("an endless text", Generate::text("word ".repeat(1 << 20))),
        ("an endless word", Generate::text("x".repeat(4 << 20))),
        ("an empty stop text", text().stop([""])),
        ("an adapter that is not there", text().adapter("none", 1.0)),
        ("an adapter of no scale", text().adapter("none", 0.0)),
        ("an adapter of NaN", text().adapter("none", f32::NAN)),
        ("an adapter twice", text().adapter("none", 1.0).adapter("none", 1.0)),
        ("a bias beyond the vocabulary", text().bias(u32::MAX, 1.0)),
        ("a bias of NaN", text().bias(1, f32::NAN)),
        ("a bias of infinity", text().bias(1, f32::INFINITY)),
        ("a bias twice", text().bias(1, 1.0).bias(1, 2.0)),
        ("a temperature of NaN", text().temperature(f32::NAN)),
        ("a temperature below zero", text().temperature(-1.0)),
        ("a mass of zero", text().top_p(0.0)),
        ("a share of two", text().min_p(2.0)),
        ("a penalty of zero", text().repeat_penalty(0.0)),
        ("a penalty of infinity", text().presence_penalty(f32::INFINITY)),
        ("too many likeliest tokens", text().top_logprobs(65)),
        ("a variable that is no JSON", chat().variable("a", "{")),
        ("a variable that nests", chat().variable("a", "[".repeat(200_000))),
        ("a variable that nobody reads", chat().variable("nobody_reads_this", "1")),
        ("to go on with the user", chat().continue_last(true)),
        ("reasoning of a text", text().separate_reasoning(true)),
        ("thinking that nobody switches", chat().thinking(true)),
    ];
    cases.into_iter().map(|(name, request)| (name.to_owned(), request)).collect()
}
