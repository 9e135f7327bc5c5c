//! GGUF models through llama.cpp.
//!
//! Enters: a model's bytes, or a part of a split one with its path. Leaves: an engine that generates, chats and embeds.
//!
//! `weights` reads the file before native code does, `facts`, `tensors` and `vocabulary` say what is in it and refuse
//! what llama.cpp would not survive, `estimate` says what it costs. `native`, `stream` and `context` are the only way to
//! llama.cpp. `worker` is the thread that computes; `generator` and `embedder` are its two jobs, with `lane`, `state`
//! and `pace`. `run` is what callers hold, `prompt` makes tokens of what they ask.

#[cfg(windows)]
compile_error!("the feature `gguf` does not build on Windows yet: a model is handed to llama.cpp as an open file");

mod context;
mod embedder;
mod estimate;
mod facts;
mod generator;
mod lane;
mod native;
mod pace;
mod prompt;
mod run;
mod state;
mod stream;
mod tensors;
#[cfg(test)]
mod tests;
mod vocabulary;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use super::{Model as Source, OpenProgress, Options, afford, in_words};
use crate::engine::{
    Abilities, Answer, Call, Embed, Engine, Finish, Generate, MemoryEstimate, Progress, Provenance, Request, Run, Spec,
    Trim, Usage,
};
use crate::text::Template;
use crate::weights::{Map, TensorEntry, WeightFile};
use crate::{Error, Result};
use embedder::EmbedJob;
use estimate::{Embedding, Needs};
use facts::{Facts, Pooling};
use lane::Lane;
use native::Model;
use prompt::Prompts;
use run::{Link, Slot, TextRun};
use stream::{Input, Parts, Stream};
use worker::{Command, Plan};

/// Token generation is bound by memory, and ggml's threads wait for each other after every operation: beyond this
/// many, threads cost more than they bring, most of all on processors with small and large cores.
const MOST_THREADS_BY_DEFAULT: u32 = 8;
/// As many as ggml takes.
const MOST_THREADS: u32 = 512;
/// A batch holds the next tokens of all runs, and small batches are what keeps rounding the same.
const MOST_PARALLEL: u32 = 32;
/// Less is of no use, and llama.cpp rounds up to more.
const LEAST_CONTEXT: u32 = 16;
/// Positions are 32-bit integers with a sign, and lengths are rounded up.
const MOST_CONTEXT: u32 = 1 << 30;

/// Encoders: they keep no state from token to token.
const ENCODERS: &[&str] = &[
    "bert",
    "modern-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "eurobert",
    "gemma-embedding",
];
/// Weights can only be used in place where this many bytes divide their place in the file.
const MAP_ALIGNMENT: u64 = 32;

pub(super) fn open(source: Source, options: &Options) -> Result<Arc<dyn Engine>> {
    let mut parts = Vec::new();
    let file = WeightFile::of_opened(source, options.access(), &mut |part| parts.push(part))?;
    admit(&file, options)?;
    let facts = Facts::read(&file)?;
    let metadata: BTreeMap<String, String> =
        file.metadata().iter().map(|(key, value)| (key.to_owned(), in_words(value))).collect();
    let [first, further @ ..] = &*parts else { return Err(Error::internal("a model without a file")) };
    let start = first.file.as_ref().map_or(0, |(_, start)| *start);
    let aligned = |tensor: TensorEntry<'_>| (start + tensor.place().start).is_multiple_of(MAP_ALIGNMENT);
    let in_place = file.tensors().all(aligned);
    drop(file);
    let mut plan = plan(&facts, options)?;
    let memory = estimate::estimate(&facts, &plan);
    afford(memory, options)?;
    let digest = first.digest_with(further.iter().map(|part| part.bytes.as_slice()), options)?;
    let file_name = name_of(first, parts.len());
    let model = Arc::new(load(parts, options, in_place)?);
    if model.tokens() != facts.vocabulary.tokens {
        return Err(Error::backend("llama.cpp counts other tokens than the file has"));
    }
    if model.is_unusual() {
        return Err(Error::unsupported(format!("architecture '{}' cannot be served", facts.architecture)));
    }
    plan.reuses = !model.is_recurrent();
    let vocabulary = &facts.vocabulary;
    let template = match &vocabulary.template {
        Some(source) => Template::new(source, &*vocabulary.bos, &*vocabulary.eos, model.special_texts()),
        None => Err(Error::unsupported("chat: the model has no chat template")),
    };
    let name = metadata.get("general.name").filter(|name| !name.is_empty()).unwrap_or(&file_name);
    let mut provenance = Provenance::new(name.clone(), digest, "gguf", native::version());
    provenance.version = metadata.get("general.version").cloned();
    let mut spec = Spec::new(provenance);
    spec.abilities = Abilities {
        tensors: false,
        generate: plan.generates,
        chat: plan.generates && template.is_ok(),
        embed: plan.embeds,
        interrupt: true,
    };
    spec.context_tokens = Some(plan.context);
    spec.embedding_size = plan.embeds.then(|| u32::try_from(model.embedding_size()).unwrap_or(0));
    spec.memory = memory;
    spec.metadata = metadata;
    let link = Arc::new(worker::start(model.clone(), plan)?);
    Ok(Arc::new(Gguf { spec, plan, longest: facts.vocabulary.longest, model, template, link }))
}

/// What [`open`] would estimate, or refuse the file for.
pub(super) fn foresee(file: &WeightFile, options: &Options) -> Result<MemoryEstimate> {
    admit(file, options)?;
    let facts = Facts::read(file)?;
    Ok(estimate::estimate(&facts, &plan(&facts, options)?))
}

/// llama.cpp asserts what it needs of a model's tensors, and an assertion that fails ends the process. Of these
/// architectures all of it is checked here; another one takes an app that knows which file it means. Comes before the
/// keys are judged, which another one may spell in another way.
fn admit(file: &WeightFile, options: &Options) -> Result<()> {
    match file.metadata().text("general.architecture")? {
        Some(architecture) if !tensors::is_usual(architecture) && options.digest.is_none() => {
            Err(Error::unsupported(format!(
                "architecture '{architecture}': expected one of {}; a file of another one opens if its digest is given",
                tensors::USUAL.join(", ")
            )))
        }
        // Its absence is for `Facts` to tell.
        _ => Ok(()),
    }
}

/// How the model will be served.
fn plan(facts: &Facts, options: &Options) -> Result<Plan> {
    let within = |name: &str, value: Option<u32>, least: u32, most: u32| match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(Error::invalid(format!("{name}: expected {least} to {most}, got {value}")))
        }
        value => Ok(value),
    };
    let cores = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
    let threads = options.threads_within(MOST_THREADS)?.unwrap_or(cores.min(MOST_THREADS_BY_DEFAULT));
    let parallel = within("parallel", options.parallel, 1, MOST_PARALLEL)?.unwrap_or(Options::DEFAULT_PARALLEL);
    // Beyond what it was trained for a model writes nonsense, and an encoder has no positions there.
    let most = facts.context.min(MOST_CONTEXT);
    let context = within("context_tokens", options.context_tokens, LEAST_CONTEXT.min(most), most)?
        .unwrap_or(most.min(Options::DEFAULT_CONTEXT_TOKENS));
    let generates = !ENCODERS.contains(&&*facts.architecture);
    let mut plan = Plan {
        context,
        parallel,
        threads,
        text: context,
        generates,
        embeds: facts.pooling == Pooling::PerText,
        reuses: true,
        generation: Needs::default(),
        embedding: Embedding::new(facts, generates),
    };
    plan.generation = estimate::generation(facts, &plan);
    Ok(plan)
}

/// The name of the file; of a split model, what all its parts' names begin with.
fn name_of(first: &Source, parts: usize) -> String {
    let name = first.name.strip_suffix(&format!("-00001-of-{parts:05}")).filter(|_| parts > 1);
    name.unwrap_or(&first.name).to_owned()
}

/// Loads from the descriptors that were validated, or from the bytes that were.
fn load(mut parts: Vec<Source>, options: &Options, in_place: bool) -> Result<Model> {
    let cancelled = || options.cancel.as_ref().is_some_and(crate::Cancel::is_cancelled);
    let mut go_on = |done: f32| {
        options.tell(OpenProgress::Load(done));
        !cancelled()
    };
    let mapped = options.map == Map::Mapped && in_place;
    if parts.len() > 1 {
        // llama.cpp maps or reads for itself; two copies would be one too many.
        let files = parts.into_iter().filter_map(|part| part.file.map(|(file, _)| file)).collect();
        return Model::load(&Input::Parts(Parts::new(files)?), mapped, &mut go_on);
    }
    let Some(source) = parts.pop() else { return Err(Error::internal("a model without a file")) };
    match &source.file {
        Some((file, start)) => {
            let stream = Stream::of_file(file, *start)?;
            // As above.
            drop(source.bytes);
            Model::load(&Input::One(stream), mapped, &mut go_on)
        }
        None => Model::load(&Input::One(Stream::of_bytes(source.bytes.as_slice())?), false, &mut go_on),
    }
}

struct Gguf {
    spec: Spec,
    plan: Plan,
    longest: usize,
    model: Arc<Model>,
    template: Result<Template>,
    link: Arc<Link>,
}

impl Engine for Gguf {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        call.check()?;
        match request {
            Request::Generate(request) => self.generate(request, call),
            Request::Embed(request) => self.embed(&request, call),
            Request::Tensors(_) => Err(self.lacks("tensors")),
        }
        .map_err(|e| e.during(format!("asking '{}'", self.spec.provenance.model)))
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        let (reply, freed) = sync_channel(1);
        self.link.send(Command::Trim(level, reply))?;
        freed.recv().map_err(|e| Error::backend("the thread that computes for this model has stopped").because(e))
    }
}

impl Gguf {
    fn generate(&self, request: Generate, call: Call) -> Result<Box<dyn Run>> {
        if !self.spec.abilities.generate {
            return Err(self.lacks("text generation"));
        }
        request.check()?;
        let begin = Instant::now();
        let tokens = self.prompts().tokens(&request.prompt)?;
        let progress = Progress::new(0, Some(tokens.len() as u64));
        let slot = Arc::<Slot>::default();
        let origin = (self.spec.provenance.clone(), begin.elapsed());
        let context = self.plan.context as usize;
        let lane = Lane::new(request, tokens, context, &self.model, (call.clone(), slot.clone()), origin);
        Ok(Box::new(TextRun::new(self.link.clone(), slot, call, Command::Generate(Box::new(lane)), progress)))
    }

    fn embed(&self, request: &Embed, call: Call) -> Result<Box<dyn Run>> {
        if !self.spec.abilities.embed {
            return Err(self.lacks("embeddings: its file names no pooling that gives one vector per text"));
        }
        if request.texts.is_empty() {
            return Err(Error::invalid("embed: expected at least one text, got none"));
        }
        let begin = Instant::now();
        let prompts = self.prompts();
        let mut texts = Vec::with_capacity(request.texts.len());
        for (i, text) in request.texts.iter().enumerate() {
            let name = format!("text {i}");
            let tokens = prompts.text(&name, text)?;
            if tokens.is_empty() {
                return Err(Error::invalid(format!("{name}: expected at least one token, got none")));
            }
            if tokens.len() > self.plan.text as usize {
                return Err(prompts.full(&name, &tokens.len().to_string()));
            }
            texts.push(tokens);
        }
        let input_tokens = texts.iter().map(|t| t.len() as u64).sum();
        let usage = Usage { input_tokens, prepare: begin.elapsed(), ..Usage::default() };
        let mut answer = Answer::new(Finish::Complete, usage, self.spec.provenance.clone());
        answer.id = call.id;
        let progress = Progress::new(0, Some(texts.len() as u64));
        let slot = Arc::<Slot>::default();
        let job = EmbedJob {
            call: call.clone(),
            slot: slot.clone(),
            texts,
            normalize: request.normalize,
            answer,
            values: Vec::new(),
            done: 0,
            came: Some(Instant::now()),
        };
        Ok(Box::new(TextRun::new(self.link.clone(), slot, call, Command::Embed(Box::new(job)), progress)))
    }

    fn prompts(&self) -> Prompts<'_> {
        Prompts {
            model: &self.model,
            template: &self.template,
            context: self.plan.context as usize,
            longest: self.longest,
        }
    }

    fn lacks(&self, what: &str) -> Error {
        Error::unsupported(format!("model '{}' does not serve {what}", self.spec.provenance.model))
    }
}
