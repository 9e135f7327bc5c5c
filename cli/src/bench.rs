//! `selvedge bench`: how fast a model is on this machine.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use selvedge::{Ask, Call, DType, Dim, Embed, Engine, Event, Generate, Kind, Port, Request, Tensor, Tensors};
use serde_json::{Value, json};

use crate::load::{self, Load, Watch};
use crate::model::{Model, who};
use crate::{Outcome, arrays, print};

/// Measures a model: calls or tokens per second, latency, memory, and what else the machine did meanwhile.
///
/// A model of text reads a prompt and writes an answer, greedily, each time another one, so that nothing is taken from
/// a cache; a model that embeds gets one text at a time; a model of tensors gets the arrays of --input, or made-up ones
/// in which every dimension that the model leaves open is 1. The first call, which is slower, is told by itself.
#[derive(Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    model: Model,
    /// Inputs of a model of tensors, named as in the model.
    #[arg(short, long, value_name = "FILE.npz")]
    input: Option<PathBuf>,
    /// The size of a dimension that the model leaves open, in made-up inputs. May be given more than once.
    #[arg(long, value_name = "NAME=SIZE", value_parser = dim, conflicts_with = "input")]
    dim: Vec<(String, usize)>,
    /// Tokens of a prompt or text, about [default: 512, or what fits the context].
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..))]
    prompt: Option<u32>,
    /// Tokens of an answer, at most [default: 128, or what fits the context].
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..))]
    generate: Option<u32>,
    /// Goes on for so long.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// Measures so many calls instead.
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u32).range(1..))]
    calls: Option<u32>,
    /// Prints the numbers as JSON.
    #[arg(long)]
    json: bool,
}

/// Fewer calls have no percentiles to speak of.
const MIN_CALLS: usize = 10;
/// Of text, a call has many tokens to measure.
const MIN_ANSWERS: usize = 3;
/// Numbers that are kept: more tell nothing more.
const MAX_CALLS: usize = 1_000_000;

type Failure = Box<dyn std::error::Error>;

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    if (0.1..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.1 to 3600 seconds".into()) }
}

fn dim(text: &str) -> Result<(String, usize), String> {
    let size = |size: &str| size.parse().ok().filter(|size| *size > 0);
    let parts = text.split_once('=').and_then(|(name, n)| Some((name.to_owned(), size(n)?)));
    parts.ok_or_else(|| "expected NAME=SIZE with a size of at least 1".into())
}

impl Bench {
    pub(crate) fn run(&self) -> Outcome {
        // Before the model is loaded, so that a mistake is known early.
        let given = self.input.as_deref().map(arrays::npz).transpose()?;
        let before = load::resident().map(|(now, _)| now);
        let begun = Instant::now();
        let engine = self.model.open()?;
        let opened = begun.elapsed();
        let report = self.report(&*engine, given, opened, before)?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", report.in_json())?
        } else {
            report.in_words(&mut out)?
        }
        Ok(ExitCode::SUCCESS)
    }

    fn report<'a>(
        &self,
        engine: &'a dyn Engine,
        given: Option<BTreeMap<String, Tensor>>,
        opened: Duration,
        before: Option<u64>,
    ) -> Result<Report<'a>, Failure> {
        let work = self.work(engine, given)?;
        let (first, _) = work.call(engine, 0).map_err(|e| match (&work, &self.input) {
            (Work::Tensors(_), None) => e.during("calling the model on made-up inputs (--input brings others)"),
            _ => e,
        })?;
        let watch = Watch::begin();
        let calls = self.measure(engine, &work)?;
        Ok(Report { engine, work, opened, first, calls, load: watch.end(), before })
    }

    fn work(&self, engine: &dyn Engine, given: Option<BTreeMap<String, Tensor>>) -> Result<Work, Failure> {
        let able = engine.spec().abilities;
        match (able.generate, able.embed, given) {
            (true, _, Some(_)) | (_, true, Some(_)) if !able.tensors => {
                let name = &engine.spec().provenance.model;
                Err(format!("--input: expected a model of tensors, got '{name}', which takes text").into())
            }
            (true, ..) => self.texts(engine),
            (_, true, _) => self.embeddings(engine),
            (.., Some(given)) => Ok(Work::Tensors(Tensors::new(given))),
            (.., None) => Ok(Work::Tensors(made_up(&engine.spec().inputs, &self.dim)?)),
        }
    }

    fn measure(&self, engine: &dyn Engine, work: &Work) -> Result<Calls, Failure> {
        let (begun, mut calls) = (Instant::now(), Calls::default());
        let least = if matches!(work, Work::Text { .. }) { MIN_ANSWERS } else { MIN_CALLS };
        let done = |calls: usize| match self.calls {
            Some(asked) => calls >= asked as usize,
            None => calls >= least && (begun.elapsed().as_secs_f64() >= self.seconds || calls >= MAX_CALLS),
        };
        while !done(calls.whole.len()) {
            let (took, call) = work.call(engine, calls.whole.len() + 1)?;
            calls.add(took, call);
        }
        calls.took = begun.elapsed();
        Ok(calls)
    }

    fn texts(&self, engine: &dyn Engine) -> Result<Work, Failure> {
        let context = engine.spec().context_tokens.unwrap_or(u32::MAX);
        let tokens = self.prompt.unwrap_or((context / 2).min(512));
        let answer = self.generate.unwrap_or((context / 4).min(128));
        // How many tokens a word is: of this tokenizer, with what it puts before every text.
        let count = |words: usize| -> Result<u64, Failure> {
            Ok(engine.run(Generate::text(prose(words, 0)).max_tokens(1))?.usage.input_tokens)
        };
        Ok(Work::Text { words: words_of(tokens, count)?, answer })
    }

    fn embeddings(&self, engine: &dyn Engine) -> Result<Work, Failure> {
        let context = engine.spec().context_tokens.unwrap_or(u32::MAX);
        let tokens = self.prompt.unwrap_or((context / 2).min(512));
        let count = |words: usize| -> Result<u64, Failure> {
            Ok(engine.run(Embed::new([prose(words, 0)]))?.usage.input_tokens)
        };
        Ok(Work::Embed { words: words_of(tokens, count)? })
    }
}

/// Words that make about so many tokens.
fn words_of(tokens: u32, count: impl Fn(usize) -> Result<u64, Failure>) -> Result<usize, Failure> {
    let (few, some) = (8, (tokens / 2).clamp(12, 64) as usize);
    let (of_few, of_some) = (count(few)?, count(some)?);
    let per_word = of_some.saturating_sub(of_few) as f64 / (some - few) as f64;
    let before = of_few as f64 - per_word * few as f64;
    // A tokenizer that counts nothing, as that of a table may, has a token a word.
    let words = if per_word > 0.0 { (f64::from(tokens) - before) / per_word } else { f64::from(tokens) };
    Ok((words.round() as usize).max(1))
}

/// A text of so many words which is another one from its first word on for every number.
fn prose(words: usize, number: usize) -> String {
    const WORDS: [&str; 24] = [
        "The", "river", "was", "high", "that", "spring", "and", "every", "morning", "people", "walked", "down", "to",
        "look", "at", "the", "old", "bridge", "while", "children", "counted", "boats", "from", "above.",
    ];
    let word = |i: usize| WORDS[(i + number) % WORDS.len()];
    let text: Vec<String> =
        std::iter::once(format!("{}:", number % 1000)).chain((1..words).map(|i| word(i).into())).collect();
    text.join(" ")
}

/// Inputs by the model's spec: sizes that it leaves open are those given, else 1; floats within 0 and 1, whole numbers 1.
fn made_up(ports: &[Port], dims: &[(String, usize)]) -> Result<Tensors, Failure> {
    let open = |port: &Port| match &port.kind {
        Kind::Tensor { shape: Some(shape), .. } => shape.clone(),
        _ => Vec::new(),
    };
    let symbols: Vec<String> =
        ports.iter().flat_map(open).filter(|dim| !matches!(dim, Dim::Fixed(_))).map(|d| d.to_string()).collect();
    if let Some((stray, _)) = dims.iter().find(|(name, _)| !symbols.contains(name)) {
        return Err(format!("--dim: expected one of {symbols:?}, got '{stray}'").into());
    }
    let size = |dim: &Dim| match dim {
        Dim::Fixed(n) => *n,
        open => dims.iter().find(|(name, _)| *name == open.to_string()).map_or(1, |(_, size)| *size),
    };
    let mut inputs = Vec::new();
    for port in ports.iter().filter(|port| !port.optional) {
        let Kind::Tensor { dtype, shape: Some(shape) } = &port.kind else {
            return Err(format!(
                "input '{}': expected a shape to make one up, got {}: use --input",
                port.name, port.kind
            )
            .into());
        };
        let dims: Vec<usize> = shape.iter().map(size).collect();
        inputs.push((port.name.clone(), filled(*dtype, &dims)?));
    }
    Ok(Tensors::new(inputs))
}

fn filled(dtype: DType, dims: &[usize]) -> selvedge::Result<Tensor> {
    let zeros = Tensor::zeros(dtype, dims)?;
    let count = zeros.shape().elements();
    let noise = || (0..count).map(|i| (i * 7919 % 1009) as f32 / 1009.0);
    match dtype {
        DType::F32 => Tensor::new(dims, noise().collect()),
        DType::F64 => Tensor::new(dims, noise().map(f64::from).collect()),
        DType::F16 => Tensor::new(dims, noise().map(half::f16::from_f32).collect()),
        // Where they are ids or masks, 1 is one that every model has.
        DType::I64 => Tensor::new(dims, vec![1i64; count]),
        DType::I32 => Tensor::new(dims, vec![1i32; count]),
        DType::Bool => Tensor::new(dims, vec![true; count]),
        _ => Ok(zeros),
    }
}

/// What a call asks for.
enum Work {
    Text { words: usize, answer: u32 },
    Embed { words: usize },
    Tensors(Tensors),
}

/// What a call took, besides its time.
#[derive(Default)]
struct Took {
    read: u64,
    written: u64,
    reading: Duration,
    writing: Duration,
    first: Option<Duration>,
    /// Between a token and the one before.
    between: Vec<Duration>,
    peak: Option<u64>,
}

impl Work {
    fn request(&self, number: usize) -> Request {
        match self {
            Self::Text { words, answer } => Generate::text(prose(*words, number)).max_tokens(*answer).into(),
            Self::Embed { words } => Embed::new([prose(*words, number)]).into(),
            Self::Tensors(tensors) => tensors.clone().into(),
        }
    }

    fn call(&self, engine: &dyn Engine, number: usize) -> selvedge::Result<(Duration, Took)> {
        let request = self.request(number);
        let (begun, mut took, mut last) = (Instant::now(), Took::default(), None);
        let mut events = engine.events(request, Call::new())?;
        for event in &mut events {
            let Event::Text(_) = event? else { continue };
            let now = begun.elapsed();
            match last.replace(now) {
                Some(before) => took.between.push(now - before),
                None => took.first = Some(now),
            }
        }
        let usage = events.answer()?.usage;
        let whole = begun.elapsed();
        took.read = usage.input_tokens.saturating_sub(usage.cached_tokens);
        (took.reading, took.writing) = (usage.compute, usage.generate);
        (took.written, took.peak) = (usage.output_tokens, usage.peak_bytes);
        Ok((whole, took))
    }
}

/// All calls that were measured.
#[derive(Default)]
struct Calls {
    took: Duration,
    whole: Vec<Duration>,
    first: Vec<Duration>,
    between: Vec<Duration>,
    read: u64,
    written: u64,
    reading: Duration,
    writing: Duration,
    peak: Option<u64>,
}

impl Calls {
    fn add(&mut self, whole: Duration, call: Took) {
        self.whole.push(whole);
        self.first.extend(call.first);
        self.between.extend(call.between);
        (self.read, self.written) = (self.read + call.read, self.written + call.written);
        (self.reading, self.writing) = (self.reading + call.reading, self.writing + call.writing);
        self.peak = self.peak.max(call.peak);
    }

    fn per_second(count: f64, time: Duration) -> Option<f64> {
        let seconds = time.as_secs_f64();
        (seconds > 0.0 && count > 0.0).then(|| count / seconds)
    }

    fn rate(&self) -> Option<f64> {
        Self::per_second(self.whole.len() as f64, self.took)
    }

    /// Tokens a second of prompts, and of answers.
    fn tokens(&self) -> [Option<f64>; 2] {
        [Self::per_second(self.read as f64, self.reading), Self::per_second(self.written as f64, self.writing)]
    }
}

/// The time that so many of them did not exceed: the nearest rank.
fn percentile(times: &[Duration], share: f64) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

const SHARES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

struct Report<'a> {
    engine: &'a dyn Engine,
    work: Work,
    opened: Duration,
    first: Duration,
    calls: Calls,
    load: Load,
    /// Memory that the process held before the model was opened.
    before: Option<u64>,
}

impl Report<'_> {
    fn in_words(&self, out: &mut dyn Write) -> io::Result<()> {
        let (calls, who) = (&self.calls, &self.engine.spec().provenance);
        writeln!(out, "{} · {} · {}", print::line(&who.model, 60), who.runtime, self.asked())?;
        let ms = |d: Duration| format!("{:.2} ms", d.as_secs_f64() * 1e3);
        let mut rows = vec![["opened".into(), ms(self.opened)], ["first call".into(), ms(self.first)]];
        let rate = |n: Option<f64>, unit: &str| n.map_or("–".into(), |n| format!("{n:.1} {unit}/s"));
        if !matches!(self.work, Work::Tensors(_)) {
            rows.push(["prompt".into(), rate(calls.tokens()[0], "tokens")]);
        }
        if let Work::Text { .. } = self.work {
            rows.push(["generation".into(), rate(calls.tokens()[1], "tokens")]);
        }
        rows.push(["calls".into(), format!("{}, {} in all", rate(calls.rate(), "calls"), calls.whole.len())]);
        rows.push(["memory".into(), self.memory()]);
        print::table(out, &rows, [false; 2])?;
        writeln!(out)?;
        let mut rows = vec![["latency", "p50", "p90", "p99", "measured"].map(String::from)];
        for (name, times) in self.latencies() {
            let [p50, p90, p99] = SHARES.map(|(_, share)| percentile(times, share).map_or("–".into(), ms));
            rows.push([name.into(), p50, p90, p99, print::thousands(times.len() as u64)]);
        }
        print::table(out, &rows, [false, true, true, true, true])?;
        let processor = load::processor().map_or(String::new(), |name| format!("{}, ", print::line(&name, 80)));
        writeln!(out, "\n{processor}{}", self.load.in_words())
    }

    fn latencies(&self) -> Vec<(&'static str, &[Duration])> {
        let all: [(_, &[Duration]); 3] = [
            ("whole call", &self.calls.whole),
            ("first token", &self.calls.first),
            ("next token", &self.calls.between),
        ];
        all.into_iter().filter(|(name, _)| *name == "whole call" || matches!(self.work, Work::Text { .. })).collect()
    }

    /// What a call asks for, as it was counted.
    fn asked(&self) -> String {
        let each = |n: u64| n as f64 / self.calls.whole.len().max(1) as f64;
        match &self.work {
            Work::Text { .. } => {
                format!("{:.0} tokens read and {:.0} written a call", each(self.calls.read), each(self.calls.written))
            }
            Work::Embed { .. } => format!("one text of {:.0} tokens a call", each(self.calls.read)),
            Work::Tensors(tensors) => {
                let inputs = tensors
                    .inputs
                    .iter()
                    .map(|(name, t)| format!("{}: {}{}", print::line(name, 40), t.dtype(), t.shape()));
                inputs.collect::<Vec<_>>().join(", ")
            }
        }
    }

    fn memory(&self) -> String {
        let estimated = format!("{} estimated for the model", print::bytes(self.engine.spec().memory.total()));
        match (load::resident(), self.before) {
            (Some((_, most)), Some(before)) => {
                let (most, before) = (print::bytes(most), print::bytes(before));
                format!("{most} held by the process at most, {before} before it opened the model; {estimated}")
            }
            _ => estimated,
        }
    }

    fn in_json(&self) -> Value {
        let (calls, [read, written]) = (&self.calls, self.calls.tokens());
        let of = |times: &[Duration]| {
            let shares = SHARES.iter().map(|(name, share)| (*name, percentile(times, *share).map(|d| d.as_secs_f64())));
            let mut value: serde_json::Map<_, _> = shares.map(|(name, d)| (name.to_owned(), json!(d))).collect();
            value.insert("measured".into(), json!(times.len()));
            Value::Object(value)
        };
        let latency = self.latencies().into_iter().map(|(name, times)| (name.replace(' ', "_"), of(times)));
        let mut machine = self.load.in_json();
        machine["processor"] = json!(load::processor());
        let resident = load::resident();
        json!({
            "model": who(self.engine), "asked": self.asked(),
            "open_seconds": self.opened.as_secs_f64(), "first_call_seconds": self.first.as_secs_f64(),
            "calls": calls.whole.len(), "calls_per_second": calls.rate(),
            "prompt_tokens": calls.read, "prompt_tokens_per_second": read,
            "generated_tokens": calls.written, "generated_tokens_per_second": written,
            "latency_seconds": latency.collect::<serde_json::Map<_, _>>(),
            "memory": { "estimated": self.engine.spec().memory.total(), "resident_before": self.before,
                "resident": resident.map(|(now, _)| now), "resident_peak": resident.map(|(_, most)| most),
                "runtime_peak": calls.peak },
            "machine": machine,
        })
    }
}

#[cfg(test)]
mod tests;
