//! llama.cpp: the runtime of GGUF models.
//!
//! Enters: a model's bytes, or a part of a split one with its path. Leaves: an engine that generates, chats, embeds and ranks.
//!
//! `weights` reads the file before native code does, `check` refuses what llama.cpp would not survive, `plan` says how
//! the model is served and what that costs. `adapters` are those that it was opened with, `prefixes` is its prefix
//! cache, which `saved` has in a file. `native` is the only way to llama.cpp, `serve` the thread that computes and what
//! callers hold of it.
//!
//! # Products of prompts
//!
//! With [`Options::own_products`], on a processor with AVX2 or AVX-512, a device of ours is beside llama.cpp's CPU, and
//! multiplies the matrices of a model's layers with the tokens of prompts and of texts to embed: `native/device` has
//! how, and why answers don't depend on who else is served. Each matrix in Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K,
//! Q6_K, IQ4_NL or MXFP4 is packed once for it, when the first context is made. The attention of prompts is computed
//! there too, where it is that of most models: without a soft cap, a bias by position, or sinks. Next tokens and all else are
//! llama.cpp's. Not for models of experts, and not for those with a recurrent state, nor with `SELVEDGE_KERNEL=scalar`.
//!
//! SmolLM2-135M, greedy, over the same engine without, as `… --bench generation -- products` prints it; two rounds on two cores of
//! an Intel Xeon with AVX-512 and VNNI, at rest, one of the K-quants on two threads. These are on the model padded with zeros to 768
//! channels, for its own 576 are no whole blocks of theirs:
//!
//! | | prompt of 456 tokens, 1 thread | 2 | first token of 1,000, 1 thread | 2 | next tokens, 1 thread | 2 |
//! |---|---|---|---|---|---|---|
//! | held to | 3 | 3 | 0.5 at most | 0.5 at most | 0.95 | 0.95 |
//! | Q4_1 | 6.76 (772 tokens/s) | 6.12 (1,084) | 0.19 | 0.21 | 1.14 | 1.27 |
//! | Q4_0 | 3.57 (754) | 3.19 (1,019) | 0.30 | 0.33 | 0.99 | 1.02 |
//! | Q8_0 | 3.67 (720) | 3.74 (1,071) | 0.29 | 0.44 | 1.02 | 1.06 |
//! | Q4_K | 2.94 (606) | 1.97 (580) | 0.35 | 0.50 | 1.04 | 0.96 |
//! | Q5_K | 3.93 (542) | 2.52 (642) | 0.27 | 0.44 | 0.97 | 0.95 |
//! | Q6_K | 3.31 (436) | 1.56 (395) | 0.50 | 0.50 | 1.16 | 0.92 |
//!
//! The same with the kernels of AVX2 (`SELVEDGE_KERNEL=avx2`), one round:
//!
//! | | prompt of 456 tokens, 1 thread | first token of 1,000 | next tokens |
//! |---|---|---|---|
//! | held to | 2; Q4_0 and Q8_0 1.5 | 0.5 at most | 0.95 |
//! | Q4_1 | 3.33 (417 tokens/s) | 0.32 | 1.02 |
//! | Q4_0 | 1.69 (358) | 0.43 | 0.85 |
//! | Q8_0 | 1.87 (278) | 0.57 | 1.17 |
//! | Q4_K | 1.92 (388) | 0.52 | 0.95 |
//! | Q5_K | 2.25 (365) | – | 0.98 |
//!
//! Half of that is attention: with llama.cpp's, prompts took 399, 396, 382, 316, 313 and 295 tokens a second on one thread with
//! AVX-512, in the order of the first table. On two threads of an AMD EPYC core with AVX2 alone they took 3.13, 1.53, 1.42, 1.71,
//! 1.78 and 1.33 times as many as without products; with attention of our own that was not measured there.
//!
//! Next tokens stay llama.cpp's. With these kernels for them as well, four runs together took 2.0 times as many tokens a second as one
//! after another on one thread, and 2.1 on two (1.4 and 1.3 without); but a run alone took 0.73, 1.00, 1.01 and 0.71 times as many
//! in Q4_1, Q4_0, Q8_0 and Q4_K, and on two threads of that AMD core down to 0.42.
//!
//! A text in 40 windows is 0.0105 a token away from what the weights of Q8_0 make of it in plain numbers, and 0.0089 by llama.cpp
//! (`… -- divergence_q8_0`, held to as little): so few windows may differ by as much by chance.
//!
//! It is off unless asked for, because packed weights take as much memory again as the file's, which are mapped.
//!
//! # The same answer whoever else is served
//!
//! Next tokens of several runs are computed together. With weights that llama.cpp multiplies token by token, such as
//! Q4_1, a token has the same numbers to the last bit, alone or beside others. In F32, F16, BF16, Q8_0, Q4_0, Q5_0 and
//! IQ4_NL it multiplies two tokens and more by other kernels than one: where two tokens are about as likely, a run may
//! then go on otherwise beside others than alone.
//!
//! # GPUs
//!
//! With [`Options::accelerator`], in a build with the feature `cuda`, `metal` or `vulkan`, layers are computed by llama.cpp's own backend
//! for a device (`native/accelerator`). Without it no GPU is touched, whatever the build has: a model is loaded with an
//! empty list of devices. `tests/long/vulkan` computes on the first device of Vulkan's, which may be a processor. What
//! the section above promises holds for the processor alone.
//!
//! # Images and audio
//!
//! Not there. llama.cpp's way to them, `mtmd`, opens the projector by a path, so that the file which was checked need not be the one
//! that is loaded. As of `llama-cpp-sys-2` 0.1.161 its four files have 151 assertions, which end the process, and 82
//! exceptions (`grep`); the header of a projector, the bytes of an image or a recording, and the prompt reach them. Each would need
//! what `native` has for texts. And no package registry has a projector that this could be tested with.
//!
//! # Processors
//!
//! llama.cpp's kernels are compiled for one set of instructions: AVX2, F16C, FMA and BMI2 on x86-64, what every 64-bit Arm has on
//! aarch64. A processor that lacks one of them is [`Unsupported`](crate::Code::Unsupported) when a model is opened, by the name
//! of what it lacks. Built with `-C target-cpu=native`, they are those of the machine that compiles.
//!
//! # What it costs
//!
//! `cargo bench -p selvedge-benches --no-default-features --features llama-peer --bench generation` prints the figures of a machine
//! beside what they are held to; `SELVEDGE_XLLAMACPP` names a Python with llama.cpp's own server. SmolLM2-135M in Q4_1, greedy:
//!
//! | | held to | 1 thread | 2 |
//! |---|---|---|---|
//! | one stream over a plain loop with the same attention, whose tokens are the same: prompt, generation | 1.0 | 1.21, 1.01 | 0.99, 1.07 |
//! | over a plain loop with fused attention | 1.0 | 0.96, 1.15 | 0.90, 1.04 |
//! | over llama.cpp's server: prompt, generation | 1.0 | 0.89, 1.15 | 1.13, 1.22 |
//! | time to the first token over the server's | 1.0 at most | 1.12 | 0.88 |
//! | four callers, 128 tokens each, over the server with four slots | 1.0 | 1.03 | 1.02 |
//! | four runs over one after another | 1.6; 1.8 on 2 threads | 1.15 | 1.28 |
//! | with a JSON Schema over without | 0.95 | 0.91 | 1.03 |
//! | beside a process that burns a core, over without: prompt, generation | 0.5 | 1.01, 0.96 | 0.38, 0.60 |
//! | second turn after 1,000 tokens, over computing all: first token | 10 | 37 | |
//! | the same after a restart, restoring included | 5 | 23 | |
//! | from cancelling in a prompt of 2,000 tokens to the return: 99 of 100 within | 50 ms | 0.1 ms | 0.1 ms |
//! | the engine free for others after that: 99 of 100 within | | 11 ms | 12 ms |
//!
//! Three rounds on two threads of a core of a shared AMD EPYC (Zen 3), at rest; the ratios of rounds spread by a tenth, those of
//! prompts by more. Prompts are below their bars where the others take the fused attention, which is faster for a few hundred
//! tokens; why it is not used is said where contexts are made. With [`Options::own_products`] they are three times as fast. Four runs
//! together gain little in Q4_1, for llama.cpp multiplies its rows one by one; on a Zen 4, with AVX-512, it was 2.1 and 1.2 to 1.6.
//! Two threads of which another process wants one wait for each other after each operation.

mod adapters;
mod check;
mod native;
mod plan;
mod prefixes;
mod rerank;
mod saved;
mod score;
mod serve;
#[cfg(test)]
mod tests;

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::budget::check_memory;
use super::metadata::{metadata_of, name_and_version};
use super::model;
use super::options::{Backend, OpenProgress, Options};
use crate::engine::{
    Abilities, Answer, Call, Embed, Engine, Finish, Generate, MemoryEstimate, Message, PrefixCache, Progress, Prompt,
    Provenance, Request, Run, Spec, Tokenizer, Trim, Usage,
};
use crate::source::{Loading, OpenedFile, trim_heap};
use crate::text::{Reader, Template, Vocabulary};
use crate::weights::{TensorEntry, WeightFile};
use crate::{Error, Result};
use check::{Header, Pooling};
use native::accelerator::Placement;
use native::file::{Input, Parts, Stream, Terms};
use native::model::Model;
use plan::{Embedding, Needs, Plan, Work};
use rerank::Ranker;
use serve::embedder::{EmbedJob, Wanted};
use serve::mailbox::Mailbox;
use serve::prefix::Prefix;
use serve::prompt::Prompts;
use serve::queue::{Command, Queue};
use serve::run::TextRun;
use serve::sequence::{Origin, Sequence};
use serve::worker;

/// Token generation is bound by memory, and ggml's threads wait for each other after every operation: beyond this
/// many, threads cost more than they bring, most of all on processors with small and large cores.
const MAX_THREADS_BY_DEFAULT: u32 = 8;
/// As many as ggml takes.
const MAX_THREADS: u32 = 512;
/// A batch holds the next tokens of all runs, and small batches are what keeps rounding the same.
const MAX_PARALLEL: u32 = 32;
/// Less is of no use, and llama.cpp rounds up to more.
const MIN_CONTEXT: u32 = 16;
/// Positions are 32-bit integers with a sign, and lengths are rounded up.
const MAX_CONTEXT: u32 = 1 << 30;

/// Weights can only be used in place where this many bytes divide their place in the file.
const MAP_ALIGNMENT: u64 = 32;

pub(super) fn open(source: OpenedFile, options: &Options) -> Result<Arc<dyn Engine>> {
    let mut parts = Vec::new();
    let file = WeightFile::of_opened(source, options.access(), &mut |part| parts.push(part))?;
    check::admit(&file, options.digest.is_some())?;
    let header = check::read(&file)?;
    native::processor::check()?;
    native::model::init();
    let accelerator = options.accelerator.as_ref().map(Placement::of).transpose()?;
    let metadata = metadata_of(&file);
    let [first, further @ ..] = &*parts else { return Err(Error::internal("a model without a file")) };
    let start = first.file.as_ref().map_or(0, |(_, start)| *start);
    let aligned = |tensor: TensorEntry<'_>| (start + tensor.place().start).is_multiple_of(MAP_ALIGNMENT);
    let in_place = file.tensors().all(aligned);
    let adapters = adapters::open(&file, options)?;
    drop(file);
    let mut plan = plan_of(&header, options)?;
    let memory = fit(&header, &mut plan, adapters::bytes(&adapters), options);
    check_memory(memory, options)?;
    let digest = model::digest(first, further.iter().map(|part| part.bytes.as_slice()), options)?;
    let file_name = name_of(first, parts.len());
    let _in_call = options.enter(&file_name, digest, Backend::Llama, &native::model::version())?;
    let mapped = options.loading == Loading::Mapped && in_place;
    let terms = Terms { mapped, products: plan.products, accelerator };
    let mut model = load(parts, options, terms)?;
    let adapters = adapters::load(&mut model, adapters)?;
    let model = Arc::new(model);
    if model.tokens() != header.vocabulary.tokens {
        return Err(Error::backend("llama.cpp counts other tokens than the file has"));
    }
    if model.is_unusual() {
        return Err(Error::unsupported(format!("architecture '{}' cannot be served", header.architecture)));
    }
    plan.reuses = !model.is_recurrent();
    let vocabulary = &header.vocabulary;
    let template = match &vocabulary.template {
        Some(Err(why)) => Err(Error::unsupported(format!("chat: the model's template is no text: {why}"))),
        Some(Ok(source)) => {
            let tokens = [("bos_token", vocabulary.bos.clone()), ("eos_token", vocabulary.eos.clone())];
            Template::new(source, tokens.into_iter().chain(vocabulary.named.clone()), model.special_texts())
        }
        None => Err(Error::unsupported("chat: the model has no chat template")),
    };
    let ranker = Ranker::new(&header, &model);
    let (name, version) = name_and_version(&metadata);
    let mut provenance = Provenance::new(name.unwrap_or(file_name), digest, Backend::Llama.name(), model.runtime());
    provenance.version = version;
    let mut spec = Spec::new(provenance);
    spec.abilities = Abilities {
        tensors: false,
        generate: plan.generates,
        chat: plan.generates && template.is_ok(),
        embed: plan.embeds,
        score: plan.generates && plan.reuses,
        rerank: ranker.is_ok(),
        interrupt: true,
    };
    spec.context_tokens = Some(plan.context);
    spec.parallel = Some(plan.parallel);
    spec.embedding_size = plan.embeds.then(|| u32::try_from(model.embedding_size()).unwrap_or(0));
    spec.memory = memory;
    spec.adapters = adapters;
    spec.metadata = metadata;
    let queue = Arc::new(worker::start(model.clone(), plan, options.mark())?);
    let (longest, vocabulary) = (header.vocabulary.longest, OnceLock::new());
    Ok(Arc::new(Llama { spec, plan, longest, model, template, ranker, vocabulary, queue }))
}

/// Memory estimate of a model as [`open`] would make it; an error if it would refuse the file.
pub(super) fn estimate_of(file: &WeightFile, options: &Options) -> Result<MemoryEstimate> {
    check::admit(file, options.digest.is_some())?;
    let header = check::read(file)?;
    Ok(fit(&header, &mut plan_of(&header, options)?, 0, options))
}

/// The estimate with what adapters take; without packed weights, where they are what is too much.
fn fit(header: &Header, plan: &mut Plan, adapters: u64, options: &Options) -> MemoryEstimate {
    let estimate = |plan: &Plan| {
        let mut memory = plan::estimate(header, plan);
        memory.weights = memory.weights.saturating_add(adapters);
        memory
    };
    if check_memory(estimate(plan), options).is_err() {
        plan.products = false;
    }
    estimate(plan)
}

/// How the model will be served.
fn plan_of(header: &Header, options: &Options) -> Result<Plan> {
    let within = |name: &str, value: Option<u32>, min: u32, max: u32| match value {
        Some(value) if !(min..=max).contains(&value) => {
            Err(Error::invalid(format!("{name}: expected {min} to {max}, got {value}")))
        }
        value => Ok(value),
    };
    let cores = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
    let capped = |threads: Option<u32>| match threads {
        // ggml's threads wait for each other in a loop after every operation: with more of them than cores, one token of a tiny
        // model takes minutes.
        Some(threads) if threads > cores => {
            tracing::warn!("llama.cpp: computes on {cores} threads, not on {threads}: the machine has no more cores");
            Some(cores)
        }
        threads => threads,
    };
    let threads = capped(options.threads_within(MAX_THREADS)?).unwrap_or(cores.min(MAX_THREADS_BY_DEFAULT));
    let prompt_threads = capped(options.prompt_threads_within(MAX_THREADS)?).unwrap_or(threads);
    let parallel = within("parallel", options.parallel, 1, MAX_PARALLEL)?.unwrap_or(Options::DEFAULT_PARALLEL);
    // Beyond what it was trained for a model writes nonsense, and an encoder has no positions there.
    let most = header.context.min(MAX_CONTEXT);
    let context = within("context_tokens", options.context_tokens, MIN_CONTEXT.min(most), most)?
        .unwrap_or(most.min(Options::DEFAULT_CONTEXT_TOKENS));
    let generates = !check::is_encoder(&header.architecture);
    let mut plan = Plan {
        context,
        parallel,
        threads,
        prompt_threads,
        text: context,
        generates,
        embeds: header.pooling == Pooling::PerText,
        ranks: header.ranking.is_ok(),
        reuses: true,
        products: options.own_products && options.accelerator.is_none() && header.packed_bytes > 0,
        generation: Needs::default(),
        embedding: Embedding::new(header, generates),
        work: Work::new(header),
    };
    plan.generation = plan::generation(header, &plan);
    Ok(plan)
}

/// The name of the file; of a split model, what all its parts' names begin with.
fn name_of(first: &OpenedFile, parts: usize) -> String {
    let name = first.name.strip_suffix(&format!("-00001-of-{parts:05}")).filter(|_| parts > 1);
    name.unwrap_or(&first.name).to_owned()
}

/// Loads from the descriptors that were validated, or from the bytes that were.
fn load(mut parts: Vec<OpenedFile>, options: &Options, terms: Terms) -> Result<Model> {
    let cancelled = || options.cancel.as_ref().is_some_and(crate::Cancel::is_cancelled);
    let mut go_on = |done: f32| {
        options.report(OpenProgress::Load(done));
        !cancelled()
    };
    if parts.len() > 1 {
        // llama.cpp maps or reads for itself; two copies would be one too many.
        let files = parts.into_iter().filter_map(|part| part.file.map(|(file, _)| file)).collect();
        return Model::load(&Input::Parts(Parts::new(files)?), terms, &mut go_on);
    }
    let Some(source) = parts.pop() else { return Err(Error::internal("a model without a file")) };
    match &source.file {
        Some((file, start)) => {
            let stream = Stream::of_file(file, *start)?;
            // As above.
            drop(source.bytes);
            Model::load(&Input::One(stream), terms, &mut go_on)
        }
        None => {
            let stream = Stream::of_bytes(source.bytes.as_slice())?;
            Model::load(&Input::One(stream), Terms { mapped: false, ..terms }, &mut go_on)
        }
    }
}

struct Llama {
    spec: Spec,
    plan: Plan,
    longest: usize,
    model: Arc<Model>,
    template: Result<Template>,
    /// What asks the rank head, or why there is none.
    ranker: Result<Ranker>,
    /// What grammars are compiled for: made with the first one.
    vocabulary: OnceLock<Result<Arc<Vocabulary>>>,
    queue: Arc<Queue>,
}

impl Engine for Llama {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        call.check()?;
        match request {
            Request::Generate(request) => self.generate(request, call),
            Request::Embed(request) => self.embed(&request, call),
            Request::Score(request) => self.score(request, call),
            Request::Rerank(request) => self.rerank(&request, call),
            Request::Tensors(_) => Err(self.unsupported("tensors")),
        }
        .map_err(|e| e.during(format!("asking '{}'", self.spec.provenance.model)))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        Some(self)
    }

    fn prefix_cache(&self) -> Option<&dyn PrefixCache> {
        (self.plan.generates && self.plan.reuses).then_some(self)
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        let (reply, freed) = sync_channel(1);
        self.queue.send(Command::Trim(level, reply))?;
        let stopped = |e| Error::backend("the thread that computes for this model has stopped").because(e);
        let freed = freed.recv().map_err(stopped)?;
        trim_heap();
        Ok(freed)
    }
}

impl Tokenizer for Llama {
    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        self.prompts().tokenize(prompt)
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        self.prompts().check(tokens)?;
        let mut bytes = Vec::new();
        tokens.iter().for_each(|&token| self.model.piece(token, &mut bytes));
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn render(&self, messages: &[Message]) -> Result<String> {
        self.template.as_ref().map_err(Error::clone)?.prompt(messages)
    }
}

impl Llama {
    fn generate(&self, request: Generate, call: Call) -> Result<Box<dyn Run>> {
        if !self.spec.abilities.generate {
            return Err(self.unsupported("text generation"));
        }
        request.check()?;
        self.check_bias(&request.logit_bias)?;
        let begin = Instant::now();
        let (tokens, chat) = self.prompts().tokens(&request)?;
        let matcher = match (&request.grammar, chat.as_ref().and_then(|chat| chat.form.as_ref())) {
            (Some(grammar), _) => Some(self.vocabulary()?.matcher(grammar)?),
            (None, Some(form)) => Some(self.vocabulary()?.matcher_of(form)?),
            (None, None) => None,
        };
        let reader = chat.map_or_else(Reader::plain, |chat| chat.reader);
        let (adapters, applied) = self.adapters(&request.adapters)?;
        let progress = Progress::new(0, Some(tokens.len() as u64));
        let mailbox = Arc::<Mailbox>::default();
        let provenance = self.spec.provenance.clone();
        let origin = Origin { provenance, prepare: begin.elapsed(), adapters: applied };
        let context = self.plan.context as usize;
        let begun = (Prefix::new(adapters, tokens), matcher, reader);
        let sequence = Sequence::new(request, begun, context, &self.model, call.clone(), mailbox.clone(), origin);
        Ok(Box::new(TextRun::new(self.queue.clone(), mailbox, call, Command::Generate(Box::new(sequence)), progress)))
    }

    fn embed(&self, request: &Embed, call: Call) -> Result<Box<dyn Run>> {
        if !self.spec.abilities.embed {
            return Err(self.unsupported("embeddings: its file names no pooling that gives one vector per text"));
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
            let most = self.plan.text as usize;
            if tokens.len() > most {
                return Err(prompts.full(&name, most, &tokens.len().to_string()));
            }
            texts.push(tokens);
        }
        Ok(self.texts(texts, Wanted::Vector { normalized: request.normalize }, begin, call))
    }

    /// A run over texts that were made tokens since `begin`.
    fn texts(&self, texts: Vec<Vec<u32>>, wanted: Wanted, begin: Instant, call: Call) -> Box<dyn Run> {
        let input_tokens = texts.iter().map(|t| t.len() as u64).sum();
        let usage = Usage { input_tokens, prepare: begin.elapsed(), ..Usage::default() };
        let mut answer = Answer::new(Finish::Complete, usage, self.spec.provenance.clone());
        answer.id = call.id;
        let progress = Progress::new(0, Some(texts.len() as u64));
        let mailbox = Arc::<Mailbox>::default();
        let job = EmbedJob {
            call: call.clone(),
            mailbox: mailbox.clone(),
            texts,
            wanted,
            answer,
            values: Vec::new(),
            done: 0,
            enqueued: Some(Instant::now()),
        };
        Box::new(TextRun::new(self.queue.clone(), mailbox, call, Command::Embed(Box::new(job)), progress))
    }

    fn check_bias(&self, bias: &[(u32, f32)]) -> Result<()> {
        let count = self.model.tokens();
        match bias.iter().find(|(token, _)| *token as usize >= count) {
            Some((token, _)) => Err(Error::invalid(format!("logit_bias: expected tokens below {count}, got {token}"))),
            None => Ok(()),
        }
    }

    fn vocabulary(&self) -> Result<&Vocabulary> {
        let made = || Vocabulary::shared(self.spec.provenance.digest, || self.model.words());
        self.vocabulary.get_or_init(made).as_deref().map_err(Error::clone)
    }

    fn prompts(&self) -> Prompts<'_> {
        Prompts {
            model: &self.model,
            template: &self.template,
            context: self.plan.context as usize,
            longest: self.longest,
        }
    }

    fn unsupported(&self, what: &str) -> Error {
        Error::unsupported(format!("model '{}' does not serve {what}", self.spec.provenance.model))
    }
}
