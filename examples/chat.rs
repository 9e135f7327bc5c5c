//! A conversation with a GGUF model, streamed. Ctrl-C ends the answer, not the program; an empty line does.
//!
//! `cargo run --release -p selvedge-examples --features llama --example chat -- model.gguf [--prompt "one question"]`

use std::io::{BufRead, Write, stdin, stdout};
use std::sync::{Arc, Mutex};

use selvedge::{Ask, Call, Cancel, Code, Engine, Event, Generate, Message, Options, Result, open};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (model, once) = match &args[..] {
        [model] => (model, None),
        [model, flag, prompt] if flag == "--prompt" => (model, Some(prompt)),
        _ => return Err("usage: chat MODEL.gguf [--prompt TEXT]".into()),
    };
    let engine = open(model, Options::new())?;

    // Ctrl-C sets the switch of whichever answer is under way.
    let current = Arc::new(Mutex::new(Cancel::new()));
    let switch = current.clone();
    ctrlc::set_handler(move || switch.lock().unwrap().cancel())?;

    let mut history = Vec::new();
    let mut ask = |question: &str| -> Result<()> {
        let cancel = Cancel::new();
        *current.lock().unwrap() = cancel.clone();
        history.push(Message::user(question));
        let answer = answer(&*engine, &history, &cancel)?;
        history.push(Message::assistant(answer));
        Ok(())
    };
    if let Some(prompt) = once {
        return Ok(ask(prompt)?);
    }
    loop {
        print!("> ");
        stdout().flush()?;
        let mut line = String::new();
        if stdin().lock().read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(());
        }
        ask(line.trim())?;
    }
}

/// Streams the answer to the terminal; what came before a Ctrl-C counts as the answer.
fn answer(engine: &dyn Engine, history: &[Message], cancel: &Cancel) -> Result<String> {
    let request = Generate::chat(history.to_vec()).max_tokens(512).temperature(0.7).top_p(0.9);
    let mut events = engine.events(request, Call::new().cancel(cancel))?;
    let mut text = String::new();
    for event in &mut events {
        match event {
            Ok(Event::Text(piece)) => {
                print!("{}", piece.text);
                let _ = stdout().flush();
                text += &piece.text;
            }
            Ok(_) => {}
            Err(e) if e.code() == Code::Cancelled => {
                println!(" …");
                return Ok(text);
            }
            Err(e) => return Err(e),
        }
    }
    let usage = events.answer()?.usage;
    let rate = usage.output_tokens as f64 / usage.generate.as_secs_f64().max(1e-9);
    println!(
        "\n  [{} tokens in, {} of them cached; {} out at {rate:.0}/s]",
        usage.input_tokens, usage.cached_tokens, usage.output_tokens
    );
    Ok(text)
}
