//! Ranks sentences by how near they are to a question, with an embedding model.
//!
//! `cargo run --release -p selvedge-examples --features llama --example embed -- model.gguf "question" "sentence" "sentence" …`

use selvedge::{Ask, Options, open};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, question, sentences @ ..] = &args[..] else {
        return Err("usage: embed MODEL.gguf QUESTION SENTENCE…".into());
    };
    let engine = open(model, Options::new())?;
    let texts = std::iter::once(question).chain(sentences).cloned();
    let vectors = engine.embed(texts)?;

    // The vectors have length 1, so a dot product is the cosine.
    let dimensions = vectors.shape()[1];
    let mut rows = vectors.as_slice::<f32>()?.chunks_exact(dimensions);
    let wanted = rows.next().ok_or("no vector came back")?;
    let cosine = |row: &[f32]| row.iter().zip(wanted).map(|(a, b)| a * b).sum::<f32>();
    let mut ranked: Vec<(f32, &String)> = rows.map(cosine).zip(sentences).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (score, sentence) in ranked {
        println!("{score:>6.3}  {sentence}");
    }
    Ok(())
}
