//! Script of a fake run: its steps, written down when it starts and played step by step.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use half::{bf16, f16};

use super::{Fake, Serves};
use crate::engine::{
    Admitted, Answer, Call, Embed, Event, Finish, Generate, Piece, Progress, Prompt, Run, Step, TokenInfo, ToolChoice,
    Usage,
};
#[cfg(feature = "text")]
use crate::text::Reader;
use crate::{Code, DType, Error, Result, Tensor};

/// A chat as the prompt that it is, and what reads the answer.
type Chat = (String, Reader);

/// What hands on an answer as it is, where there are no templates.
#[cfg(not(feature = "text"))]
pub(super) struct Reader;

#[cfg(not(feature = "text"))]
impl Reader {
    fn plain() -> Self {
        Self
    }

    fn push(&mut self, piece: Piece) -> Vec<Event> {
        vec![Event::Text(piece)]
    }

    fn finish(&mut self) -> Vec<Event> {
        Vec::new()
    }
}

/// The steps of a run before its last, and what the last one answers.
pub(super) struct Script {
    /// How many of the steps belong to the prompt.
    slices: u64,
    steps: VecDeque<Step>,
    work: Work,
}

/// What is left to do in the last step.
pub(super) enum Work {
    Text { events: Vec<Event>, finish: Finish, prompt: u64, generated: u64 },
    Tensors(Admitted),
    Embed(Embed),
}

impl Script {
    /// `slices` steps, one more per part of the work, and the work itself.
    pub(super) fn of_work(work: Work, slices: u64, parts: u64) -> Self {
        let working = |n| move |i| Step::Working(Progress::new(i, Some(n)));
        let steps = (1..=slices).map(working(slices)).chain((1..=parts).map(working(parts))).collect();
        Self { slices: slices + parts, steps, work }
    }

    pub(super) fn of_text(
        reply: &str,
        request: &Generate,
        chat: Option<Chat>,
        context: Option<u32>,
        slices: u64,
    ) -> Result<Self> {
        let (rendered, mut reader) = chat.map_or((None, Reader::plain()), |(text, reader)| (Some(text), reader));
        let prompt = rendered.map_or_else(|| prompt_tokens(&request.prompt), |text| words(&text).count() as u64);
        let context = context.map_or(u64::MAX, u64::from);
        if prompt > context {
            return Err(Error::new(
                Code::ContextFull,
                format!("prompt: expected at most the context's {context} tokens, got {prompt}"),
            ));
        }
        let slice = |i| Step::Working(Progress::new(prompt * i / slices.max(1), Some(prompt)));
        let mut steps: VecDeque<Step> = (1..=slices).map(slice).collect();

        let logprob = request.logprobs.then_some(0.0);
        let (mut words, mut held, mut generated) = (words(reply), Held::default(), 0u64);
        let finish = loop {
            if request.max_tokens.is_some_and(|max| generated == u64::from(max)) {
                break Finish::Length;
            }
            let Some(word) = words.next() else { break Finish::EndOfText };
            if prompt + generated == context {
                break Finish::ContextFull;
            }
            generated += 1;
            held.push(word, TokenInfo::new(fnv1a(word) as u32, logprob));
            if let Some((at, stop)) = first_stop(&held.text, &request.stop) {
                held.cut(at);
                break Finish::Stop(stop.into());
            }
            let ready = held.text.len() - possible_stop(&held.text, &request.stop);
            let shown = held.take(ready).map(|piece| reader.push(piece)).unwrap_or_default();
            if shown.is_empty() {
                steps.push_back(Step::Working(Progress::new(generated, request.max_tokens.map(u64::from))));
            }
            steps.extend(shown.into_iter().map(Step::Event));
        };
        let rest = held.text.len();
        let last = held.take(rest).map(|piece| reader.push(piece)).unwrap_or_default();
        steps.extend(last.into_iter().chain(reader.finish()).map(Step::Event));

        let events =
            steps.iter().filter_map(|step| if let Step::Event(event) = step { Some(event.clone()) } else { None });
        let events = events.collect();
        Ok(Self { slices, steps, work: Work::Text { events, finish, prompt, generated } })
    }
}

/// Text that could still become a part of a stop text, and its tokens by the place they begin.
#[derive(Default)]
struct Held {
    text: String,
    tokens: Vec<(usize, TokenInfo)>,
}

impl Held {
    fn push(&mut self, word: &str, token: TokenInfo) {
        self.tokens.push((self.text.len(), token));
        self.text += word;
    }

    fn cut(&mut self, at: usize) {
        self.text.truncate(at);
        self.tokens.retain(|(begin, _)| *begin < at);
    }

    /// The first `len` bytes as a piece, with the tokens that begin in them.
    fn take(&mut self, len: usize) -> Option<Piece> {
        if len == 0 {
            return None;
        }
        let rest = self.text.split_off(len);
        let text = std::mem::replace(&mut self.text, rest);
        let (taken, left): (Vec<_>, Vec<_>) = self.tokens.drain(..).partition(|(begin, _)| *begin < len);
        self.tokens = left.into_iter().map(|(begin, token)| (begin - len, token)).collect();
        Some(Piece::new(text, taken.into_iter().map(|(_, token)| token).collect()))
    }
}

/// Words, each with the whitespace before it; whitespace at the end is a word of its own.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let blank = rest.len() - rest.trim_start().len();
        let end = rest[blank..].find(char::is_whitespace).map_or(rest.len(), |i| blank + i);
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

fn prompt_tokens(prompt: &Prompt) -> u64 {
    match prompt {
        Prompt::Text(text) => words(text).count() as u64,
        Prompt::Chat(messages) => messages.iter().map(|m| words(&m.content).count() as u64).sum(),
        Prompt::Tokens(tokens) => tokens.len() as u64,
    }
}

fn first_stop<'a>(text: &str, stops: &'a [String]) -> Option<(usize, &'a str)> {
    stops.iter().filter_map(|stop| Some((text.find(&**stop)?, &**stop))).min_by_key(|(at, _)| *at)
}

/// Bytes at the end of `text` that a stop text begins with.
fn possible_stop(text: &str, stops: &[String]) -> usize {
    let begins = |stop: &String| stop.char_indices().map(|(i, _)| i).filter(|i| text.ends_with(&stop[..*i])).max();
    stops.iter().filter_map(begins).max().unwrap_or(0)
}

/// Plays a script.
pub(super) struct FakeRun {
    fake: Arc<Fake>,
    call: Call,
    /// `None` once the run has ended.
    script: Option<Script>,
    step: u64,
    offset: Option<f64>,
    usage: Usage,
}

impl FakeRun {
    pub(super) fn new(fake: Arc<Fake>, call: Call, script: Script, offset: Option<f64>) -> Self {
        Self { fake, call, script: Some(script), step: 0, offset, usage: Usage::default() }
    }

    fn advance(&mut self, mut script: Script) -> Result<Step> {
        let began = Instant::now();
        wait(self.fake.delay, &self.call)?;
        if let Some((step, code)) = self.fake.fail
            && step == self.step
        {
            let name = &self.fake.spec.provenance.model;
            return Err(Error::new(code, format!("the fake '{name}' was told to fail in step {step}")));
        }
        let of_prompt = self.step < script.slices;
        let next = match script.steps.pop_front() {
            Some(next) => next,
            None => return self.answer(script.work, began).map(Step::Done),
        };
        let phase = if of_prompt { &mut self.usage.compute } else { &mut self.usage.generate };
        *phase += began.elapsed();
        self.step += 1;
        self.script = Some(script);
        Ok(next)
    }

    fn answer(&mut self, work: Work, began: Instant) -> Result<Answer> {
        let mut answer = Answer::new(Finish::Complete, self.usage, self.fake.spec.provenance.clone());
        answer.id = self.call.id;
        match work {
            Work::Text { events, finish, prompt, generated } => {
                events.iter().for_each(|event| answer.add(event));
                answer.finish = finish;
                (answer.usage.input_tokens, answer.usage.output_tokens) = (prompt, generated);
                answer.usage.generate += began.elapsed();
                return Ok(answer);
            }
            Work::Tensors(admitted) => answer.outputs = self.fake.compute(admitted)?,
            Work::Embed(request) => {
                answer.usage.input_tokens = request.texts.iter().map(|text| words(text).count() as u64).sum();
                answer.outputs = vec![(Embed::OUTPUT.into(), self.fake.embed(&request)?)];
            }
        }
        if let Some(offset) = self.offset {
            for (_, tensor) in &mut answer.outputs {
                *tensor = drifted(tensor, offset)?;
            }
        }
        answer.usage.compute += began.elapsed();
        Ok(answer)
    }
}

impl Run for FakeRun {
    fn step(&mut self) -> Result<Step> {
        // Taken and put back, so that whatever goes wrong ends the run.
        let script = self.script.take().ok_or_else(|| Error::invalid("the run has ended"))?;
        self.call.check()?;
        self.advance(script)
    }
}

/// Sleeps, but wakes often enough for cancel and deadline to seem immediate.
fn wait(delay: Duration, call: &Call) -> Result<()> {
    let began = Instant::now();
    while let Some(left) = delay.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::sleep(left.min(Duration::from_millis(1)));
        call.check()?;
    }
    Ok(())
}

impl Fake {
    /// A chat in the fake's template, and what reads the answer; `None` for what needs no template.
    pub(super) fn chat(&self, request: &Generate) -> Result<Option<Chat>> {
        request.check()?;
        if request.grammar.is_some() {
            return Err(Error::unsupported("grammar: a fake says what it was given"));
        }
        if !request.logit_bias.is_empty() || request.top_logprobs > 0 {
            return Err(Error::unsupported("logit_bias, top_logprobs: a fake has no logits"));
        }
        if let Some((name, _)) = request.adapters.first() {
            return Err(Error::invalid(format!("adapter '{name}': a fake has none")));
        }
        let is_forced = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
        if is_forced && !request.tools.is_empty() {
            return Err(Error::unsupported("tool_choice: a fake says what it was given"));
        }
        #[cfg(feature = "text")]
        if let (Prompt::Chat(messages), Some(template)) = (&request.prompt, &self.template) {
            let chat = template.chat(messages, request)?;
            let text = chat.segments.into_iter().map(|segment| segment.text).collect();
            return Ok(Some((text, chat.reader)));
        }
        let terms = [
            ("tools", !request.tools.is_empty() && request.tool_choice != ToolChoice::None),
            ("documents", !request.documents.is_empty()),
            ("thinking", request.thinking.is_some()),
            ("variables", !request.variables.is_empty()),
            ("continue_last", request.continue_last),
            ("separate_reasoning", request.separate_reasoning),
        ];
        match terms.iter().find(|(_, asked)| *asked) {
            Some((name, _)) => Err(Error::unsupported(format!("{name}: the fake has no chat template"))),
            None => Ok(None),
        }
    }

    fn compute(&self, admitted: Admitted) -> Result<Vec<(String, Tensor)>> {
        let (name, ports) = (&self.spec.provenance.model, &self.spec.outputs);
        let Serves::Tensors(f) = &self.serves else {
            return Err(Error::internal(format!("the fake '{name}' has no function")));
        };
        let outputs = f(&admitted.inputs)?;
        if outputs.len() != ports.len() {
            let got = outputs.len();
            return Err(Error::backend(format!("the fake '{name}': expected {} outputs, got {got}", ports.len())));
        }
        Ok(admitted.outputs.into_iter().map(|i| (ports[i].name.clone(), outputs[i].clone())).collect())
    }

    fn embed(&self, request: &Embed) -> Result<Tensor> {
        let dims = self.spec.embedding_size.unwrap_or(0) as usize;
        let mut all = Vec::with_capacity(request.texts.len() * dims);
        for text in &request.texts {
            let mut state = fnv1a(text);
            let vector: Vec<f32> = (0..dims).map(|_| uniform(&mut state)).collect();
            let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
            let scale = if request.normalize && length > 0.0 { length } else { 1.0 };
            all.extend(vector.iter().map(|v| v / scale));
        }
        Tensor::new(&[request.texts.len(), dims], all)
    }
}

fn drifted(tensor: &Tensor, offset: f64) -> Result<Tensor> {
    let shape = tensor.shape();
    match tensor.dtype() {
        DType::F32 => Tensor::new(shape, tensor.as_slice::<f32>()?.iter().map(|v| v + offset as f32).collect()),
        DType::F64 => Tensor::new(shape, tensor.as_slice::<f64>()?.iter().map(|v| v + offset).collect()),
        DType::F16 => {
            let shift = |v: &f16| f16::from_f64(v.to_f64() + offset);
            Tensor::new(shape, tensor.as_slice::<f16>()?.iter().map(shift).collect())
        }
        DType::BF16 => {
            let shift = |v: &bf16| bf16::from_f64(v.to_f64() + offset);
            Tensor::new(shape, tensor.as_slice::<bf16>()?.iter().map(shift).collect())
        }
        _ => Ok(tensor.clone()),
    }
}

/// FNV-1a, 64 bits.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The next number in [-1, 1) of a SplitMix64 sequence.
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // 24 bits fit an f32 exactly.
    (z >> 40) as f32 / (1u32 << 23) as f32 - 1.0
}
