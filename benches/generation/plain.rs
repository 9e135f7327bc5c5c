//! The loop that one would write with llama-cpp-2 alone.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Instant;

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_sys_2::{LLAMA_FLASH_ATTN_TYPE_AUTO, LLAMA_FLASH_ATTN_TYPE_DISABLED};

use crate::figures::processor_time;

const BATCH: usize = 512;

/// llama.cpp, of which a process has one at a time.
pub(crate) struct Plain(LlamaBackend);

/// Which attention a context computes.
#[derive(Clone, Copy)]
pub(crate) enum Attention {
    /// What llama.cpp chooses: the fused kernel.
    Default,
    /// By matrix products, as Selvedge has it: its numbers do not depend on the neighbours.
    Plain,
}

/// Seconds of the two phases of one generation, the processor time of both, and its tokens.
pub(crate) struct Phases {
    pub(crate) prompt: f64,
    pub(crate) generation: f64,
    pub(crate) processor: Option<f64>,
    pub(crate) tokens: Vec<u32>,
}

/// A model in llama.cpp's hands.
pub(crate) struct Loaded<'a> {
    plain: &'a Plain,
    model: LlamaModel,
    threads: i32,
    context: u32,
}

impl Plain {
    pub(crate) fn start() -> Self {
        Self(LlamaBackend::init().expect("one at a time"))
    }

    pub(crate) fn load(&self, path: &Path, threads: u32, context: u32) -> Loaded<'_> {
        let model = LlamaModel::load_from_file(&self.0, path, &LlamaModelParams::default()).expect("loads");
        Loaded { plain: self, model, threads: threads as i32, context }
    }
}

impl Loaded<'_> {
    /// Generates greedily, in a new context that is not part of the times.
    pub(crate) fn generate(&self, prompt: &[u32], new_tokens: u32, attention: Attention) -> Phases {
        let policy = match attention {
            Attention::Default => LLAMA_FLASH_ATTN_TYPE_AUTO,
            Attention::Plain => LLAMA_FLASH_ATTN_TYPE_DISABLED,
        };
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(self.context))
            .with_n_batch(BATCH as u32)
            .with_flash_attention_policy(policy)
            .with_n_threads(self.threads)
            .with_n_threads_batch(self.threads);
        let mut context = self.model.new_context(&self.plain.0, params).expect("a context");
        let mut batch = LlamaBatch::new(BATCH, 1);
        let mut sampler = LlamaSampler::greedy();
        let processor = processor_time();
        let begin = Instant::now();
        for (n, chunk) in prompt.chunks(BATCH).enumerate() {
            batch.clear();
            for (i, &token) in chunk.iter().enumerate() {
                let at = n * BATCH + i;
                batch.add(LlamaToken(token as i32), at as i32, &[0], at + 1 == prompt.len()).expect("fits");
            }
            context.decode(&mut batch).expect("decodes");
        }
        let mut token = sampler.sample(&context, batch.n_tokens() - 1);
        let prompted = Instant::now();
        let mut tokens = vec![token.0 as u32];
        while tokens.len() < new_tokens as usize {
            batch.clear();
            batch.add(token, (prompt.len() + tokens.len() - 1) as i32, &[0], true).expect("fits");
            context.decode(&mut batch).expect("decodes");
            token = sampler.sample(&context, 0);
            tokens.push(token.0 as u32);
        }
        let (prompt, generation) = ((prompted - begin).as_secs_f64(), prompted.elapsed().as_secs_f64());
        let processor = processor_time().zip(processor).map(|(after, before)| after - before);
        Phases { prompt, generation, processor, tokens }
    }
}
