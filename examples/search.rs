//! Finds the passages of a text that answer a question best, with an embedding model: what a search on a device does.
//!
//! `cargo run --release -p selvedge-examples --features table --example search -- MODEL QUESTION [TEXT]`
//!
//! MODEL is a static-embedding model (a folder with `model.safetensors` and `tokenizer.json`), or, in a build with the
//! feature `llama`, any embedding model in GGUF. TEXT is a file of paragraphs; without one, Selvedge's own README.

use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

use selvedge::kernel::{BlockFormat, quantize_into};
use selvedge::weights::Table;
use selvedge::{Ask, Bytes, Options, open};

const README: &str = include_str!("../README.md");
const BEST: usize = 3;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match search(&args) {
        Ok(found) => {
            print!("{found}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("search: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is printed for the command line's arguments.
pub(crate) fn search(args: &[String]) -> Result<String, Box<dyn Error>> {
    let (model, question, text) = match args {
        [model, question] => (model, question, README.to_owned()),
        [model, question, file] => {
            (model, question, std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?)
        }
        _ => return Err("usage: search MODEL QUESTION [TEXT]".into()),
    };
    let passages: Vec<&str> = passages(&text);
    if passages.is_empty() {
        return Err("TEXT: expected paragraphs of more than 40 bytes, got none".into());
    }
    if question.trim().is_empty() {
        return Err("QUESTION: expected words, got none".into());
    }
    let engine = open(model, Options::new())?;

    // The index: a vector for each passage, in 8 bits a number. It can be kept, and mapped from a file.
    let vectors = engine.embed(passages.iter().copied())?;
    let width = vectors.shape()[1];
    // Blocks have 32 numbers; zeros behind a vector change no dot product.
    let padded = width.next_multiple_of(BlockFormat::Q8_0.block_elements());
    let pad = |row: &[f32]| [row, &vec![0.0; padded - width]].concat();
    let rows: Vec<f32> = vectors.as_slice::<f32>()?.chunks_exact(width).flat_map(pad).collect();
    let mut index = vec![0; BlockFormat::Q8_0.bytes(rows.len()).ok_or("no whole blocks")?];
    quantize_into(BlockFormat::Q8_0, &rows, &mut index)?;
    let (bytes, name) = (index.len(), &engine.spec().provenance.model);
    let mut found = format!("{} passages in {bytes} bytes, from {name}\n", passages.len());
    let index = Table::from_bytes(BlockFormat::Q8_0, padded, Bytes::shared(index))?;

    let wanted = engine.embed([question.as_str()])?;
    for hit in index.search(&pad(wanted.as_slice::<f32>()?), BEST)? {
        let passage = passages[hit.row as usize].replace('\n', "\n       ");
        writeln!(found, "\n{:.3}  {passage}", hit.score)?;
    }
    Ok(found)
}

/// Paragraphs and items of lists; code and tables answer no question.
fn passages(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let paragraphs = prose.flat_map(|part| part.split("\n\n")).flat_map(|paragraph| paragraph.split("\n- "));
    paragraphs.map(str::trim).filter(|p| p.len() > 40 && !p.starts_with(['#', '|'])).collect()
}
