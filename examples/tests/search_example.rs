//! The example `search`, on a model that lies beside the tests: it finds what it should, and says what it lacks.
#![cfg(feature = "table")]

#[path = "../search.rs"]
#[allow(dead_code, reason = "its main is another program's")]
mod search;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/static");

fn search(args: &[&str]) -> Result<String, String> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    search::search(&args).map_err(|e| e.to_string())
}

#[test]
fn the_passage_that_answers_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.md");
    let passages = [
        "The weather is lovely today. It's so sunny outside!",
        "He drove to the stadium. He drove to the stadium.",
        "Z\u{fc}rich is a city \u{2014} of course. Z\u{fc}rich is a city.",
        "rain, rain and RAIN again, and again rain and rain",
    ];
    std::fs::write(&text, format!("# Title\n\n{}\n\n```\n{}\n```\n", passages.join("\n\n"), "code ".repeat(20)))
        .unwrap();
    let text = text.to_str().unwrap();
    for (question, expected) in [("the stadium", 1), ("a city", 2), ("rain", 3), ("sunny weather", 0)] {
        let found = search(&[MODEL, question, text]).unwrap();
        // Four vectors of 32 numbers, in a block of 34 bytes each.
        assert!(found.starts_with("4 passages in 136 bytes, from "), "{found}");
        let hits: Vec<&str> = found.lines().skip(1).filter(|line| !line.is_empty()).collect();
        assert_eq!(hits.len(), 3, "{found}");
        assert!(hits[0].ends_with(passages[expected]), "'{question}': {found}");
    }
    // Its own README has paragraphs enough.
    assert_eq!(search(&[MODEL, "rain"]).unwrap().lines().filter(|line| line.starts_with("0.")).count(), 3);
}

#[test]
fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.md");
    let path = text.to_str().unwrap();
    let error = search(&[MODEL, "a", path]).unwrap_err();
    assert!(error.starts_with(path), "{error}");
    for content in ["", "\n\n", "# A title of more than forty bytes, and nothing else", "short\n\nparagraphs"] {
        std::fs::write(&text, content).unwrap();
        let error = search(&[MODEL, "a", path]).unwrap_err();
        assert_eq!(error, "TEXT: expected paragraphs of more than 40 bytes, got none");
    }
    assert_eq!(search(&[MODEL, " "]).unwrap_err(), "QUESTION: expected words, got none");
    assert_eq!(search(&[MODEL]).unwrap_err(), "usage: search MODEL QUESTION [TEXT]");
    let error = search(&["nowhere", "a"]).unwrap_err();
    assert!(error.contains("nowhere") && !error.contains("Error {"), "{error}");
}
