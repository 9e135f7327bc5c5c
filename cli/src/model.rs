//! The model of a command that runs one: how it is opened.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use selvedge::{Accelerator, Backend, Engine, OpenProgress, Options, Result, open};
use serde_json::{Value, json};

#[derive(Args)]
pub(crate) struct Model {
    /// The model file, or the folder of a packed or downloaded model.
    model: PathBuf,
    /// The backend that runs it: llama, ort, rten, tract or table; picked by the file's content if not given.
    #[arg(long, value_parser = backend)]
    backend: Option<Backend>,
    /// Threads of one computation; the backend's own number if not given.
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
    /// Tokens that prompt and answer may have together, of a text model [default: the model's own, at most 4096].
    #[arg(long, value_name = "TOKENS")]
    context: Option<u32>,
    /// Layers of a GGUF model that a GPU computes, or `all`; in a build with cuda, metal or vulkan.
    #[arg(long, value_name = "LAYERS", value_parser = accelerator)]
    accelerator: Option<Accelerator>,
    /// The GPU, by llama.cpp's name for it, such as Vulkan0; the first if not given.
    #[arg(long, value_name = "NAME", requires = "accelerator")]
    accelerator_device: Option<String>,
}

fn accelerator(layers: &str) -> std::result::Result<Accelerator, String> {
    match layers {
        "all" => Ok(Accelerator::new()),
        layers => match layers.parse() {
            Ok(layers) => Ok(Accelerator::new().layers(layers)),
            Err(_) => Err(format!("expected a number of layers or 'all', got '{layers}'")),
        },
    }
}

fn backend(name: &str) -> std::result::Result<Backend, String> {
    [Backend::Llama, Backend::Ort, Backend::Rten, Backend::Tract, Backend::Table]
        .into_iter()
        .find(|backend| backend.name() == name)
        .ok_or_else(|| format!("expected llama, ort, rten, tract or table, got '{name}'"))
}

impl Model {
    /// Opens the model; on a terminal, with a bar for as long as that takes.
    pub(crate) fn open(&self) -> Result<Arc<dyn Engine>> {
        let bar = bar();
        let shown = bar.clone();
        let mut options = Options::new().progress(move |progress| show_progress(&shown, progress));
        (options.backend, options.threads, options.context_tokens) = (self.backend, self.threads, self.context);
        options.accelerator = self.accelerator.clone();
        if let (Some(accelerator), Some(name)) = (&mut options.accelerator, &self.accelerator_device) {
            accelerator.device = Some(name.clone());
        }
        let engine = open(&self.model, options);
        bar.finish_and_clear();
        engine
    }
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(100);
    // The template is a constant of ours; without it the bar has its default look.
    if let Ok(style) = ProgressStyle::with_template("{msg:8} {bar:30} {percent} %") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn show_progress(bar: &ProgressBar, progress: OpenProgress) {
    let (step, share) = match progress {
        OpenProgress::Digest(done, all) => ("checking", done as f32 / all.max(1) as f32),
        OpenProgress::Load(share) => ("loading", share),
        _ => return,
    };
    bar.set_message(step);
    bar.set_position((share * 100.0) as u64);
}

/// Who answers, as every report has it.
pub(crate) fn who(engine: &dyn Engine) -> Value {
    let who = &engine.spec().provenance;
    json!({ "name": who.model, "version": who.version, "sha256": who.digest.to_string(), "backend": who.backend,
        "runtime": who.runtime })
}
