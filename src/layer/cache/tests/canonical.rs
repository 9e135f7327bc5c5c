//! Canonical bytes can be read back, so no two requests share theirs, and none begin another's.

use std::collections::HashMap;
use std::fmt::Write;

use crate::engine::{
    Call, Document, Embed, Generate, Grammar, Message, Prompt, Request, Rerank, Role, Score, Tensors, Tool, ToolCall,
    ToolChoice,
};
use crate::layer::cache::canonical::{self, Key, Sink};
use crate::{Cancel, Code, DType, Digest, Result, Shape, Tensor};

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

fn bytes(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    canonical::write(request, &mut bytes).unwrap();
    bytes
}

#[test]
fn random_requests_have_the_same_bytes_exactly_if_they_are_the_same() {
    let mut chance = Chance(7);
    let mut seen: HashMap<Vec<u8>, String> = HashMap::new();
    let mut bytes_of: HashMap<String, Vec<u8>> = HashMap::new();
    let mut met_again = 0;
    for _ in 0..20_000 {
        let request = chance.request();
        let (bytes, facts) = (bytes(&request), facts(&request));
        let mut reader = Reader(&bytes);
        assert_eq!(reader.request().as_ref(), Some(&facts), "read back");
        assert!(reader.0.is_empty(), "{} bytes follow {facts}", reader.0.len());
        met_again += usize::from(seen.contains_key(&bytes));
        assert_eq!(*seen.entry(bytes.clone()).or_insert_with(|| facts.clone()), facts);
        assert_eq!(*bytes_of.entry(facts).or_insert_with(|| bytes.clone()), bytes);
    }
    assert!(met_again > 1000, "the requests are so different that nothing was tested: {met_again}");
}

#[test]
fn no_bytes_begin_those_of_another_request() {
    let mut chance = Chance(11);
    for _ in 0..500 {
        let bytes = bytes(&chance.request());
        for end in 0..bytes.len() {
            assert_eq!(Reader(&bytes[..end]).request(), None, "{end} of {} bytes are a request", bytes.len());
        }
    }
}

#[test]
fn what_looks_alike_is_told_apart() {
    let f32s = |values: &[f32]| Tensor::new(&[values.len()], values.to_vec()).unwrap();
    let raw = |dtype, dims: &[usize], bytes: &[u8]| Tensor::from_raw_bytes(dtype, dims, bytes).unwrap();
    let strings = |dims: &[usize], texts: &[&str]| Tensor::strings(dims, texts.iter().map(|t| t.to_string()).collect());
    let x = |tensor: Tensor| Request::from(Tensors::from([("x", tensor)]));
    let two = |a: &str, b: &str| Tensors::from([(a, f32s(&[1.0])), (b, f32s(&[2.0]))]);
    let embed = |texts: &[&str]| Request::from(Embed::new(texts.iter().copied()));
    let nan = |payload: u32| f32s(&[f32::from_bits(0x7fc0_0000 | payload)]);
    let chat = |messages: &[(&str, &str)]| {
        let messages = messages.iter().map(|(role, text)| Message::new(Role::Other(role.to_string()), *text));
        Request::from(Generate::chat(messages))
    };
    let pairs: Vec<(Request, Request)> = vec![
        (x(f32s(&[0.0])), x(f32s(&[-0.0]))),
        (x(nan(0)), x(nan(1))),
        (x(raw(DType::F32, &[1], &[0; 4])), x(raw(DType::I32, &[1], &[0; 4]))),
        (x(raw(DType::U8, &[2, 3], &[0; 6])), x(raw(DType::U8, &[3, 2], &[0; 6]))),
        (x(raw(DType::U8, &[0, 3], &[])), x(raw(DType::U8, &[3, 0], &[]))),
        (x(raw(DType::U8, &[1], &[0])), x(raw(DType::U8, &[], &[0]))),
        (x(strings(&[2], &["ab", "c"]).unwrap()), x(strings(&[2], &["a", "bc"]).unwrap())),
        (two("x", "y").into(), two("y", "x").into()),
        (two("x", "y").into(), two("x", "y").only(["x"]).into()),
        (two("x", "y").only(["x", "y"]).into(), two("x", "y").only(["y", "x"]).into()),
        (two("x", "y").only::<&str>([]).into(), two("x", "y").into()),
        (embed(&["ab", "c"]), embed(&["a", "bc"])),
        (embed(&["a"]), embed(&["a", ""])),
        (embed(&["a"]), Embed::new(["a"]).normalize(false).into()),
        (Generate::text("a").stop(["b", "c"]).into(), Generate::text("a").stop(["bc"]).into()),
        (Generate::text("a").stop(["b", "c"]).into(), Generate::text("a").stop(["c", "b"]).into()),
        (Generate::text("a").max_tokens(1).into(), Generate::text("a").max_tokens(None).into()),
        (Generate::text("a").logprobs(true).into(), Generate::text("a").into()),
        (Generate::text("a").grammar(Grammar::regex("a")).into(), Generate::text("a").into()),
        (Generate::text("a").adapter("b", 1.0).into(), Generate::text("a").into()),
        (Generate::text("a").bias(1, 1.0).into(), Generate::text("a").bias(1, 2.0).into()),
        (Generate::text("a").ban([1]).into(), Generate::text("a").into()),
        (Generate::text("a").top_logprobs(1).into(), Generate::text("a").into()),
        (Score::new(Prompt::Text("a".into()), ["b"]).into(), Score::new(Prompt::Text("a".into()), ["c"]).into()),
        (Score::new(Prompt::Text("a".into()), ["b"]).into(), Score::new(Prompt::Text("ab".into()), ["b"]).into()),
        (
            Score::new(Prompt::Text("a".into()), ["b"]).adapter("x", 1.0).into(),
            Score::new(Prompt::Text("a".into()), ["b"]).into(),
        ),
        (Rerank::new("a", ["b", "c"]).into(), Rerank::new("a", ["c", "b"]).into()),
        (Rerank::new("a", ["b"]).into(), Rerank::new("ab", [""]).into()),
        (Generate::text("a").adapter("b", 1.0).into(), Generate::text("a").adapter("b", 2.0).into()),
        (
            Generate::text("a").grammar(Grammar::regex("a")).into(),
            Generate::text("a").grammar(Grammar::lark("a")).into(),
        ),
        (
            Generate::text("a").grammar(Grammar::regex("a")).into(),
            Generate::text("a").grammar(Grammar::regex("b")).into(),
        ),
        (Generate::text("a").top_k(1).into(), Generate::text("a").penalty_last_n(1).into()),
        (Generate::text("a").temperature(1.0).seed(1).into(), Generate::text("a").temperature(1.0).seed(2).into()),
        (Generate::text("a").into(), Generate::chat([Message::user("a")]).into()),
        (Generate::chat([Message::user("a")]).into(), Generate::chat([Message::system("a")]).into()),
        (chat(&[("tool", "x")]), chat(&[("too", "lx")])),
        (chat(&[("user", "a")]), Generate::chat([Message::user("a")]).into()),
        (Generate::new(Prompt::Tokens(vec![1, 0])).into(), Generate::new(Prompt::Tokens(vec![1])).into()),
    ];
    for (a, b) in &pairs {
        assert_ne!(bytes(a), bytes(b), "{a:?} and {b:?}");
    }
    let ordered = Tensors::from([("x", f32s(&[1.0])), ("y", f32s(&[2.0]))]);
    let swapped = Tensors::from([("y", f32s(&[2.0])), ("x", f32s(&[1.0]))]);
    assert_eq!(bytes(&ordered.into()), bytes(&swapped.into()), "inputs count in any order");
    assert_eq!(bytes(&Generate::text("a").seed(1).into()), bytes(&Generate::text("a").into()), "greedy");
}

#[test]
fn a_key_is_of_the_request_and_the_model() {
    let key = |text: &str, model: u8| Key::of(&Embed::new([text]).into(), &Digest([model; 32]), &Call::new()).unwrap();
    assert_eq!(key("a", 1), key("a", 1));
    assert!(key("a", 1) != key("b", 1) && key("a", 1) != key("a", 2));
}

#[test]
fn hashing_a_large_input_is_ended_by_its_call() {
    let cancel = Cancel::new();
    let call = Call::new().cancel(&cancel);
    let x = |bytes: usize| Tensors::from([("x", Tensor::zeros(DType::U8, &[bytes]).unwrap())]).into();
    cancel.cancel();
    let end = Key::of(&x(9 << 20), &Digest::default(), &call).unwrap_err();
    assert_eq!(end.code(), Code::Cancelled);
    assert!(Key::of(&x(100), &Digest::default(), &call).is_ok(), "a small one is done before it is asked");
}

/// What a request says, in words: the meaning that its bytes must keep.
fn facts(request: &Request) -> String {
    let mut facts = String::new();
    match request {
        Request::Tensors(Tensors { inputs, outputs }) => {
            let mut inputs: Vec<_> = inputs.iter().collect();
            inputs.sort_by_key(|(name, _)| name);
            for (name, tensor) in inputs {
                let elements = match tensor.as_strings() {
                    Ok(strings) => format!("{strings:?}"),
                    Err(_) => format!("{:?}", tensor.bytes().unwrap()),
                };
                write!(facts, "{name:?}: {} {} {elements}, ", tensor.dtype(), tensor.shape()).unwrap();
            }
            write!(facts, "outputs {outputs:?}").unwrap();
        }
        Request::Score(Score { prompt, continuations, adapters }) => {
            write!(facts, "score {prompt:?} {continuations:?} {adapters:?}").unwrap();
        }
        Request::Embed(Embed { texts, normalize }) => write!(facts, "embed {texts:?} {normalize}").unwrap(),
        Request::Rerank(Rerank { query, documents }) => write!(facts, "rerank {query:?} {documents:?}").unwrap(),
        Request::Generate(request) => {
            let Generate { prompt, max_tokens, stop, sampling: s, logprobs, grammar, .. } = request;
            let numbers = [
                s.repeat_penalty.to_bits(),
                s.frequency_penalty.to_bits(),
                s.presence_penalty.to_bits(),
                s.penalty_last_n,
                s.top_k,
                s.top_p.to_bits(),
                s.min_p.to_bits(),
                s.temperature.to_bits(),
            ];
            let seed = s.seed.filter(|_| s.temperature != 0.0);
            write!(facts, "{prompt:?} {max_tokens:?} {stop:?} {numbers:?} {seed:?} {logprobs} {grammar:?}").unwrap();
            let Generate { tools, tool_choice, documents, thinking, variables, .. } = request;
            write!(facts, " {tools:?} {tool_choice:?} {documents:?} {thinking:?} {variables:?}").unwrap();
            write!(facts, " {} {}", request.continue_last, request.separate_reasoning).unwrap();
            let Generate { adapters, logit_bias, top_logprobs, .. } = request;
            write!(facts, " {adapters:?} {logit_bias:?} {top_logprobs}").unwrap();
        }
    }
    facts
}

/// Reads canonical bytes into the facts that they tell; `None` if they end too early.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken.to_vec())
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.take(8)?.try_into().ok()?)).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = self.count()?;
        String::from_utf8(self.take(length)?).ok()
    }

    fn texts(&mut self) -> Option<Vec<String>> {
        (0..self.count()?).map(|_| self.text()).collect()
    }

    fn option(&mut self) -> Option<Option<u32>> {
        if self.byte()? == 0 { Some(None) } else { Some(Some(self.u32()?)) }
    }

    fn request(&mut self) -> Option<String> {
        let request = match self.byte()? {
            1 => {
                let inputs = (0..self.count()?).map(|_| Some((self.text()?, self.tensor()?))).collect::<Option<_>>()?;
                let outputs = if self.byte()? == 0 { None } else { Some(self.texts()?) };
                Tensors { inputs, outputs }.into()
            }
            2 => self.generate()?.into(),
            4 => {
                let (prompt, continuations) = (self.prompt()?, self.texts()?);
                let mut score = Score::new(prompt, continuations);
                for _ in 0..self.count()? {
                    score.adapters.push((self.text()?, f32::from_bits(self.u32()?)));
                }
                score.into()
            }
            5 => Rerank { query: self.text()?, documents: self.texts()? }.into(),
            3 => Embed { texts: self.texts()?, normalize: self.byte()? == 1 }.into(),
            _ => return None,
        };
        Some(facts(&request))
    }

    fn tensor(&mut self) -> Option<Tensor> {
        let number = self.byte()?;
        let dtype = DType::ALL.into_iter().find(|dtype| *dtype as u8 == number)?;
        let dims: Vec<usize> = (0..self.byte()?).map(|_| self.count()).collect::<Option<_>>()?;
        let shape = Shape::new(&dims).ok()?;
        match dtype.size() {
            None => {
                let strings = (0..shape.elements()).map(|_| self.text()).collect::<Option<_>>()?;
                Tensor::strings(&dims, strings).ok()
            }
            Some(size) => {
                let bytes = self.take(shape.elements() * size)?;
                Tensor::copy_from(dtype, shape, &bytes).ok()
            }
        }
    }

    fn prompt(&mut self) -> Option<Prompt> {
        Some(match self.byte()? {
            1 => Prompt::Text(self.text()?),
            2 => Prompt::Chat((0..self.count()?).map(|_| self.message()).collect::<Option<_>>()?),
            3 => Prompt::Tokens((0..self.count()?).map(|_| self.u32()).collect::<Option<_>>()?),
            _ => return None,
        })
    }

    fn generate(&mut self) -> Option<Generate> {
        let mut request = Generate::new(self.prompt()?);
        (request.max_tokens, request.stop) = (self.option()?, self.texts()?);
        let s = &mut request.sampling;
        for float in [&mut s.repeat_penalty, &mut s.frequency_penalty, &mut s.presence_penalty] {
            *float = f32::from_bits(self.u32()?);
        }
        (s.penalty_last_n, s.top_k) = (self.u32()?, self.u32()?);
        for float in [&mut s.top_p, &mut s.min_p, &mut s.temperature] {
            *float = f32::from_bits(self.u32()?);
        }
        s.seed = self.option()?;
        request.logprobs = self.byte()? == 1;
        request.grammar = match self.byte()? {
            0 => None,
            1 => Some(Grammar::json_schema(self.text()?)),
            2 => Some(Grammar::regex(self.text()?)),
            3 => Some(Grammar::lark(self.text()?)),
            4 => Some(Grammar::gbnf(self.text()?)),
            _ => return None,
        };
        for _ in 0..self.count()? {
            request.adapters.push((self.text()?, f32::from_bits(self.u32()?)));
        }
        for _ in 0..self.count()? {
            request.logit_bias.push((self.u32()?, f32::from_bits(self.u32()?)));
        }
        request.top_logprobs = self.u32()?;
        for _ in 0..self.count()? {
            request.tools.push(Tool::new(self.text()?, self.text()?, self.text()?));
        }
        request.tool_choice = match self.byte()? {
            0 => ToolChoice::Auto,
            1 => ToolChoice::None,
            2 => ToolChoice::Required,
            3 => ToolChoice::Named(self.text()?),
            _ => return None,
        };
        for _ in 0..self.count()? {
            request.documents.push(Document::new(self.text()?, self.text()?));
        }
        request.thinking = if self.byte()? == 1 { Some(self.byte()? == 1) } else { None };
        for _ in 0..self.count()? {
            request.variables.push((self.text()?, self.text()?));
        }
        (request.continue_last, request.separate_reasoning) = (self.byte()? == 1, self.byte()? == 1);
        Some(request)
    }

    fn optional(&mut self) -> Option<Option<String>> {
        Some(if self.byte()? == 1 { Some(self.text()?) } else { None })
    }

    fn message(&mut self) -> Option<Message> {
        let role = match self.byte()? {
            1 => Role::System,
            2 => Role::User,
            3 => Role::Assistant,
            4 => Role::Other(self.text()?),
            5 => Role::Tool,
            _ => return None,
        };
        let mut message = Message::new(role, self.text()?);
        message.reasoning = self.optional()?;
        for _ in 0..self.count()? {
            message.tool_calls.push(ToolCall::new(self.text()?, self.text()?, self.text()?));
        }
        message.tool_call_id = self.optional()?;
        Some(message)
    }
}

/// Requests of few values, so that many are nearly the same. SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn text(&mut self) -> String {
        let texts = ["", "a", "b", "ab", "ba", "\u{1}", "a\u{0}"];
        texts[self.below(texts.len() as u64) as usize].into()
    }

    fn texts(&mut self) -> Vec<String> {
        (0..self.below(3)).map(|_| self.text()).collect()
    }

    fn request(&mut self) -> Request {
        match self.below(3) {
            0 => {
                let mut inputs: Vec<(String, Tensor)> = Vec::new();
                for _ in 0..self.below(3) {
                    let (name, tensor) = (self.text(), self.tensor());
                    if inputs.iter().all(|(other, _)| *other != name) {
                        inputs.push((name, tensor));
                    }
                }
                let outputs = (self.below(2) == 0).then(|| self.texts());
                Tensors { inputs, outputs }.into()
            }
            1 => Embed { texts: self.texts(), normalize: self.below(2) == 0 }.into(),
            _ => self.generate().into(),
        }
    }

    fn tensor(&mut self) -> Tensor {
        let dtype = [DType::U8, DType::I8, DType::F32, DType::F16, DType::String][self.below(5) as usize];
        let dims: Vec<usize> = (0..self.below(3)).map(|_| self.below(3) as usize).collect();
        let elements = dims.iter().product::<usize>();
        match dtype.size() {
            None => Tensor::strings(&dims, (0..elements).map(|_| self.text()).collect()).unwrap(),
            Some(size) => {
                let bytes: Vec<u8> = (0..elements * size).map(|_| self.below(2) as u8 * 0x80).collect();
                Tensor::from_raw_bytes(dtype, &dims, &bytes).unwrap()
            }
        }
    }

    fn message(&mut self) -> Message {
        let role = match self.below(5) {
            0 => Role::System,
            1 => Role::User,
            2 => Role::Assistant,
            3 => Role::Tool,
            _ => Role::Other(self.text()),
        };
        let mut message = Message::new(role, self.text());
        message.reasoning = (self.below(4) == 0).then(|| self.text());
        message.tool_call_id = (self.below(4) == 0).then(|| self.text());
        let call = (self.below(4) == 0).then(|| ToolCall::new(self.text(), self.text(), self.text()));
        message.tool_calls.extend(call);
        message
    }

    fn generate(&mut self) -> Generate {
        let prompt = match self.below(3) {
            0 => Prompt::Text(self.text()),
            1 => Prompt::Tokens((0..self.below(3)).map(|_| self.below(3) as u32).collect()),
            _ => Prompt::Chat((0..self.below(3)).map(|_| self.message()).collect()),
        };
        let mut request = Generate::new(prompt).temperature([0.0, -0.0, 1.0][self.below(3) as usize]);
        request.max_tokens = (self.below(2) == 0).then(|| self.below(2) as u32);
        request.stop = self.texts();
        request.sampling.seed = (self.below(2) == 0).then(|| self.below(2) as u32);
        request.sampling.top_k = self.below(2) as u32;
        let grammar = match self.below(8) {
            0 => Some(Grammar::json_schema(self.text())),
            1 => Some(Grammar::regex(self.text())),
            2 => Some(Grammar::lark(self.text())),
            3 => Some(Grammar::gbnf(self.text())),
            _ => None,
        };
        if self.below(2) == 0 {
            request.tools = (0..self.below(2)).map(|_| Tool::new(self.text(), self.text(), self.text())).collect();
            request.tool_choice = match self.below(4) {
                0 => ToolChoice::Auto,
                1 => ToolChoice::None,
                2 => ToolChoice::Required,
                _ => ToolChoice::Named(self.text()),
            };
            request.documents = (0..self.below(2)).map(|_| Document::new(self.text(), self.text())).collect();
            request.thinking = [None, Some(false), Some(true)][self.below(3) as usize];
            request.variables = (0..self.below(2)).map(|_| (self.text(), self.text())).collect();
            request.continue_last = self.below(2) == 0;
            request.separate_reasoning = self.below(2) == 0;
        }
        request.logit_bias =
            (0..self.below(3)).map(|i| (i as u32, [-1.0, f32::NEG_INFINITY][self.below(2) as usize])).collect();
        request.top_logprobs = self.below(3) as u32;
        request.adapters = (0..self.below(3)).map(|_| (self.text(), [1.0, 2.0][self.below(2) as usize])).collect();
        request.logprobs(self.below(2) == 0).grammar(grammar)
    }
}
