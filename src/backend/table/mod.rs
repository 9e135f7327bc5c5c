//! Static-embedding models: one vector per token, read from a table and pooled. No runtime is below.
//!
//! Enters: a model's bytes, and the tokenizer beside it. Leaves: an engine that embeds.
//!
//! `parts` finds table, weights, mapping and tokenizer, and refuses what does not fit together; `tokens` makes ids of
//! texts, `run` vectors of ids. The answers are those of model2vec, but for three things: a text is taken whole, where
//! model2vec takes its first 512 tokens; what looks like a special token in a text is text; and whether vectors have
//! length 1 is up to the request.

mod parts;
mod run;
mod tokens;

use std::sync::Arc;

pub(super) use parts::is_static;

use super::budget::check_memory;
use super::metadata::{metadata_of, name_and_version};
use super::model;
use super::options::{Backend, OpenProgress, Options};
use crate::engine::{
    Abilities, Call, Embed, Engine, MemoryEstimate, Message, Prompt, Provenance, Request, Run, Spec, Tokenizer,
};
use crate::source::OpenedFile;
use crate::weights::WeightFile;
use crate::{Error, Result, threads};
use parts::{Json, Rows};
use run::EmbedRun;
use tokens::Tokens;

/// A page of text has 3 KB; what is longer than this is a book, and one vector of it says nothing.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// More threads than any machine this is for has cores; a typing error, not a wish.
const MAX_THREADS: u32 = 1024;
/// What a vocabulary takes in memory, by the size of its JSON: a string and its number, in two tables.
const TOKENIZER_GROWTH: u64 = 12;
const RUNTIME: &str = concat!("selvedge ", env!("CARGO_PKG_VERSION"));

pub(super) fn open(model: OpenedFile, options: &Options) -> Result<Arc<dyn Engine>> {
    let file = WeightFile::of_opened(model.again()?, options.access(), &mut drop)?;
    if options.backend.is_none() {
        parts::expect_static(&file)?;
    }
    let rows = Rows::read(&file)?;
    let tokenizer = parts::tokenizer(&file, &model, options)?;
    let memory = estimate(&rows, &tokenizer);
    check_memory(memory, options)?;
    let own = model.bytes.as_slice().as_ptr();
    let further = file.files().iter().map(|bytes| bytes.as_slice()).filter(|bytes| bytes.as_ptr() != own);
    let digest = model::digest(&model, further.chain([tokenizer.beside()]), options)?;
    let _in_call = options.enter(&model.name, digest, Backend::Table, RUNTIME)?;
    options.report(OpenProgress::Load(0.0));
    let tokens = rows.tokens(tokenizer.json())?;
    let pool = pool(options)?;
    options.call().check()?;
    options.report(OpenProgress::Load(1.0));

    let metadata = metadata_of(&file);
    let (name, version) = name_and_version(&metadata);
    let mut provenance = Provenance::new(name.unwrap_or_else(|| named(&model)), digest, "table", RUNTIME);
    provenance.version = version;
    let mut spec = Spec::new(provenance);
    spec.abilities = Abilities { embed: true, ..Abilities::default() };
    spec.embedding_size = Some(u32::try_from(rows.table.width()).unwrap_or(u32::MAX));
    spec.memory = memory;
    spec.metadata = metadata;
    Ok(Arc::new(Static(Arc::new(Shared { spec, rows, tokens, pool }))))
}

/// The name of the file; of its folder, where the file has the name that all such files have.
fn named(model: &OpenedFile) -> String {
    let folder = model.folder.as_ref().filter(|_| model.name == "model").and_then(|folder| folder.file_name());
    folder.map_or_else(|| model.name.clone(), |name| name.to_string_lossy().into_owned())
}

/// Memory estimate of a model as [`open`] would make it; an error if it would refuse the file.
pub(super) fn estimate_of(model: &OpenedFile, file: &WeightFile, options: &Options) -> Result<MemoryEstimate> {
    let rows = Rows::read(file)?;
    let tokenizer = parts::tokenizer(file, model, options)?;
    rows.tokens(tokenizer.json())?;
    Ok(estimate(&rows, &tokenizer))
}

/// The table where it lies, the numbers per token, and the tokenizer in its own form.
fn estimate(rows: &Rows, tokenizer: &Json) -> MemoryEstimate {
    let table = rows.table.bytes().as_slice().len() as u64;
    let per_token = rows.weights.as_ref().map_or(0, Vec::len) + rows.mapping.as_ref().map_or(0, Vec::len);
    let context = (tokenizer.json().len() as u64).saturating_mul(TOKENIZER_GROWTH).saturating_add(per_token as u64 * 4);
    MemoryEstimate::new(table, context, rows.table.width() as u64 * 4)
}

/// Threads of its own, if more than one is asked for.
fn pool(options: &Options) -> Result<Option<rayon::ThreadPool>> {
    match options.threads_within(MAX_THREADS)? {
        None | Some(1) => Ok(None),
        Some(n) => {
            let n = threads::granted("table", n as usize, 0)?;
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n);
            let pool = pool.thread_name(|i| format!("selvedge-table-{i}")).build();
            pool.map(Some).map_err(|e| Error::backend(format!("no {n} threads to compute on")).because(e))
        }
    }
}

/// What every run of an engine shares.
struct Shared {
    spec: Spec,
    rows: Rows,
    tokens: Tokens,
    /// Where more than one thread computes.
    pool: Option<rayon::ThreadPool>,
}

struct Static(Arc<Shared>);

impl Engine for Static {
    fn spec(&self) -> &Spec {
        &self.0.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        call.check()?;
        let model = &self.0.spec.provenance.model;
        let request = match request {
            Request::Embed(request) => request,
            Request::Tensors(_) => return Err(unsupported(model, "tensors")),
            Request::Generate(_) => return Err(unsupported(model, "text generation")),
            Request::Score(_) => return Err(unsupported(model, "scores")),
            Request::Rerank(_) => return Err(unsupported(model, "reranking")),
        };
        check(&request).map_err(|e| e.during(format!("asking '{model}'")))?;
        Ok(Box::new(EmbedRun::new(self.0.clone(), call, request)))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        Some(self)
    }
}

impl Tokenizer for Static {
    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let model = &self.0.spec.provenance.model;
        match prompt {
            Prompt::Text(text) => {
                let mut ids = Vec::new();
                self.0.tokens.ids(text, &mut ids)?;
                Ok(ids)
            }
            Prompt::Tokens(tokens) => self.0.tokens.check(tokens).map(|()| tokens.clone()),
            Prompt::Chat(_) => Err(unsupported(model, "chats")),
        }
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        self.0.tokens.text(tokens)
    }

    fn render(&self, _: &[Message]) -> Result<String> {
        Err(unsupported(&self.0.spec.provenance.model, "chats"))
    }
}

fn unsupported(model: &str, what: &str) -> Error {
    Error::unsupported(format!("model '{model}' does not serve {what}: it embeds texts"))
}

fn check(request: &Embed) -> Result<()> {
    if request.texts.is_empty() {
        return Err(Error::invalid("embed: expected at least one text, got none"));
    }
    match request.texts.iter().position(|text| text.len() > MAX_TEXT_BYTES) {
        Some(i) => {
            let got = request.texts[i].len();
            Err(Error::invalid(format!("text {i}: expected at most {MAX_TEXT_BYTES} bytes, got {got}")))
        }
        None => Ok(()),
    }
}
