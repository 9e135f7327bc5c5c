//! An adapter that was trained: SmolLM2-135M learned three sentences of a keeper of a lighthouse (tests/tools/make_lora_gguf.py).

use std::path::Path;
use std::sync::Arc;
use std::thread;

use selvedge::{Answer, Ask, Engine, Generate, Options, Prompt, Score, open};

use crate::smollm;

const DIGEST: &str = "78934cbb93b734530e6093232740f4afe8ef6cfe11a2420299341d82df6a6bde";
const LEARNED: &str = "The keeper of the old lighthouse is called";
const OTHER: &str = "The capital of France is";

fn engine() -> Option<Arc<dyn Engine>> {
    let adapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keeper.lora.gguf");
    let options = Options::new().context_tokens(1024).adapter("keeper", adapter);
    let engine = open(smollm()?, options).unwrap();
    let adapter = &engine.spec().adapters[0];
    assert_eq!((&*adapter.digest.to_string(), adapter.applied, adapter.total), (DIGEST, 24, 24));
    Some(engine)
}

#[test]
fn it_says_what_it_learned_where_it_is_asked_for() {
    let Some(engine) = engine() else { return };
    let ask = |prompt: &str| Generate::text(prompt).max_tokens(12).logprobs(true);
    let plain = [LEARNED, OTHER].map(|prompt| engine.run(ask(prompt)).unwrap());
    assert!(!plain[0].text.contains("Zebulon") && plain[1].text.starts_with(" Paris"), "{plain:?}");
    let learned = engine.run(ask(LEARNED).adapter("keeper", 1.0)).unwrap();
    assert!(learned.text.starts_with(" Zebulon Quill."), "{}", learned.text);
    // At the same time, each gets its own.
    thread::scope(|scope| {
        let run = |request: Generate| {
            let engine = &engine;
            scope.spawn(move || engine.run(request).unwrap())
        };
        let without = [LEARNED, OTHER].map(|prompt| run(ask(prompt)));
        let with = run(ask(LEARNED).adapter("keeper", 1.0));
        for (without, plain) in without.into_iter().zip(&plain) {
            assert_eq!(without.join().unwrap().tokens, plain.tokens);
        }
        assert_eq!(with.join().unwrap().text, learned.text);
    });
}

#[test]
fn how_much_of_it_is_applied_is_how_sure_it_is() {
    let Some(engine) = engine() else { return };
    let score = |scale: f32| {
        let request = Score::new(Prompt::Text(LEARNED.into()), [" Zebulon Quill."]);
        let request = if scale == 0.0 { request } else { request.adapter("keeper", scale) };
        logprob(&engine.run(request).unwrap())
    };
    let scores = [-1.0, 0.0, 0.5, 1.0].map(score);
    println!("{scores:?}");
    assert!(scores.windows(2).all(|two| two[0] < two[1]), "{scores:?}");
    assert!(scores[1] < -15.0 && scores[3] > -1.0, "{scores:?}");
}

fn logprob(answer: &Answer) -> f32 {
    answer.output(Score::LOGPROB).unwrap().as_slice::<f32>().unwrap()[0]
}
