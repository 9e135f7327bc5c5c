//! How far the answers of quantized products are from those of plain numbers: ours, and llama.cpp's.
//!
//! The weights are the same: what differs is how the numbers that they are multiplied with are rounded. A text is scored in
//! windows; what counts is by how much the logarithm of a window's probability differs, a token.

use std::path::Path;

use selvedge::kernel::BlockFormat;
use selvedge::{Ask, Engine, Options, Prompt, Score, open};

use crate::padded::Padded;

/// Of some thousands of tokens.
const TEXT: &str = include_str!("../../README.md");
const CONTEXT: u32 = 1024;
/// Characters of a window: those that are only read, and those that are scored.
const READ: usize = 200;
const SCORED: usize = 400;
const WINDOWS: usize = 40;

const FORMATS: [BlockFormat; 6] =
    [BlockFormat::Q4_0, BlockFormat::Q4_1, BlockFormat::Q8_0, BlockFormat::Q4K, BlockFormat::Q5K, BlockFormat::Q6K];

/// Of the formats whose part is wanted: each takes minutes.
pub(crate) fn bench(path: &Path, part: impl Fn(&str) -> bool) {
    let folder = tempfile::tempdir().expect("a folder");
    for format in FORMATS.into_iter().filter(|format| part(&format!("divergence_{format}"))) {
        one(&Padded::write(path, format, folder.path()), format);
    }
}

fn one(model: &Padded, format: BlockFormat) {
    let options = || Options::new().context_tokens(CONTEXT).parallel(1);
    let exact = scores(&*open(&model.plain, options()).expect("the model opens"));
    let [ours, theirs] = [options().own_products(), options()]
        .map(|options| scores(&*open(&model.quantized, options).expect("the model opens")));
    if ours == theirs {
        return println!("divergence_{format}: not measured, this processor has no products of ours");
    }
    let tokens: f64 = exact.iter().map(|window| window.tokens).sum();
    let away = |scores: &[Window]| {
        let squares = scores.iter().zip(&exact).map(|(a, b)| ((a.logprob - b.logprob) / b.tokens).powi(2));
        (squares.sum::<f64>() / exact.len() as f64).sqrt()
    };
    let mean = |scores: &[Window]| scores.iter().map(|window| window.logprob).sum::<f64>() / tokens;
    let (of_ours, of_theirs) = (away(&ours), away(&theirs));
    println!(
        "divergence of {format}: {tokens} tokens, a mean logarithm of {:.4}, {:.4} by ours, {:.4} by llama.cpp's; windows are \
         {of_ours:.5} and {of_theirs:.5} a token away",
        mean(&exact),
        mean(&ours),
        mean(&theirs)
    );
    println!("RATIO divergence_{format}_of_llama {:.3} <=1", of_ours / of_theirs);
}

#[derive(PartialEq)]
struct Window {
    logprob: f64,
    tokens: f64,
}

fn scores(engine: &dyn Engine) -> Vec<Window> {
    let characters: Vec<char> = TEXT.chars().collect();
    let windows = characters.chunks_exact(READ + SCORED).take(WINDOWS);
    let of = |window: &[char]| {
        let [read, scored] = [&window[..READ], &window[READ..]].map(|part| part.iter().collect::<String>());
        let answer = engine.run(Score::new(Prompt::Text(read), [scored])).expect("a score");
        let output = |name: &str| &answer.outputs.iter().find(|(of, _)| of == name).expect("an output").1;
        Window {
            logprob: f64::from(output(Score::LOGPROB).as_slice::<f32>().expect("f32")[0]),
            tokens: output(Score::TOKENS).as_slice::<i64>().expect("i64")[0] as f64,
        }
    };
    windows.map(of).collect()
}
