//! Promises of engines of text beyond the rest. Engines of another kind have nothing to keep here.

use selvedge::{Answer, Ask, Code, Event, Finish, Generate, Piece, Prompt, Sampling};

use crate::cases::Case;

/// A few words are enough for every promise of this page.
fn request(case: &Case) -> Option<Generate> {
    Some(case.generate()?.max_tokens(12))
}

fn streamed(case: &Case, request: Generate) -> (Vec<Piece>, Answer) {
    let mut events = case.engine.generate(request).unwrap();
    let pieces = events
        .by_ref()
        .map(|event| match event.unwrap() {
            Event::Text(piece) => piece,
            other => panic!("{other:?} is new: say what it may bring"),
        })
        .collect();
    (pieces, events.answer().unwrap())
}

pub(crate) fn pieces_make_the_answer(case: &Case) {
    let Some(request) = request(case) else { return };
    let (pieces, answer) = streamed(case, request.clone());
    assert_eq!(pieces.iter().map(|p| &*p.text).collect::<String>(), answer.text);
    assert_eq!(pieces.iter().flat_map(|p| p.tokens.clone()).collect::<Vec<_>>(), answer.tokens);
    let empty = pieces.iter().rposition(|p| p.text.is_empty());
    assert!(empty.is_none_or(|i| i + 1 == pieces.len() && !pieces[i].tokens.is_empty()), "{pieces:?}");
    assert!(pieces.len() > 1, "the text comes in pieces");

    // Not streamed, the same text; and from the ids of the prompt, too, where only they are known.
    let whole = case.engine.run(request).unwrap();
    assert_eq!((whole.text, whole.tokens), (answer.text, answer.tokens.clone()));
    let ids: Vec<u32> = answer.tokens.iter().map(|t| t.id).collect();
    let continued = case.engine.run(Generate::new(Prompt::Tokens(ids.clone())).max_tokens(1)).unwrap();
    assert_eq!(continued.usage.input_tokens, ids.len() as u64);
}

pub(crate) fn max_tokens_end_the_text(case: &Case) {
    let Some(request) = request(case) else { return };
    let whole = case.engine.run(request.clone()).unwrap();
    for max in [1, 2] {
        let cut = case.engine.run(request.clone().max_tokens(max)).unwrap();
        assert_eq!((cut.finish, cut.usage.output_tokens), (Finish::Length, u64::from(max)));
        assert_eq!(cut.tokens, whole.tokens[..max as usize]);
        assert!(whole.text.starts_with(&cut.text), "{:?} {:?}", whole.text, cut.text);
    }
}

pub(crate) fn stop_texts_end_the_text(case: &Case) {
    let Some(request) = request(case) else { return };
    let (pieces, whole) = streamed(case, request.clone());
    // Each pair of pieces gives a stop text that spans them, and each piece one within it.
    let ends = |i: usize| pieces[..=i].iter().map(|p| p.text.len()).sum::<usize>();
    for i in 0..pieces.len() - 1 {
        let (before, after) = (&pieces[i].text, &pieces[i + 1].text);
        let (Some(last), Some(first)) = (before.chars().next_back(), after.chars().next()) else { continue };
        let spanning = format!("{last}{first}");
        for stop in [spanning, after.clone()] {
            let at = whole.text.find(&stop).unwrap();
            assert!(at <= ends(i));
            let (reported, answer) = streamed(case, request.clone().stop([stop.clone(), "no such text".into()]));
            assert_eq!((&*answer.text, &answer.finish), (&whole.text[..at], &Finish::Stop(stop)));
            assert_eq!(
                reported.iter().map(|p| &*p.text).collect::<String>(),
                answer.text,
                "a piece showed the stop text"
            );
        }
    }
    let answer = case.engine.run(request.stop(["no such text"])).unwrap();
    assert_eq!((answer.text, answer.finish), (whole.text, whole.finish));
}

pub(crate) fn logprobs_come_when_asked_for(case: &Case) {
    let Some(request) = request(case) else { return };
    let without = case.engine.run(request.clone()).unwrap();
    assert!(without.tokens.iter().all(|t| t.logprob.is_none()));
    let with = case.engine.run(request.logprobs(true)).unwrap();
    assert_eq!(with.text, without.text);
    let logprobs: Vec<f32> = with.tokens.iter().map(|t| t.logprob.expect("it was asked for")).collect();
    assert!(logprobs.iter().all(|p| *p <= 0.0 && p.is_finite()), "{logprobs:?}");
}

pub(crate) fn parameters_have_ranges(case: &Case) {
    let Some(request) = request(case) else { return };
    let sampling = |change: fn(&mut Sampling)| {
        let mut request = request.clone();
        change(&mut request.sampling);
        request
    };
    for bad in [
        sampling(|s| s.temperature = -1.0),
        sampling(|s| s.temperature = f32::NAN),
        sampling(|s| s.top_p = 0.0),
        sampling(|s| s.min_p = 1.5),
        sampling(|s| s.repeat_penalty = 0.0),
        sampling(|s| s.frequency_penalty = f32::INFINITY),
        sampling(|s| s.presence_penalty = f32::NAN),
        request.clone().max_tokens(0),
        request.clone().stop([""]),
        Generate::new(Prompt::Tokens(vec![])),
    ] {
        let error = case.engine.generate(bad.clone()).expect_err(&format!("{bad:?}"));
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
    // Greedy is greedy whatever the filters, and the same seed draws the same text.
    let greedy = case.engine.run(request.clone()).unwrap();
    let filtered = case.engine.run(request.clone().top_k(40).top_p(0.9).min_p(0.05).seed(7)).unwrap();
    assert_eq!(filtered.text, greedy.text);
    let drawn = || case.engine.run(request.clone().temperature(1.0).seed(42)).unwrap();
    assert_eq!(drawn().text, drawn().text);

    // A prompt that the context cannot hold is reported before or in a step, and ends nothing else.
    let most = case.engine.spec().context_tokens.unwrap() as usize;
    let error = case.engine.run(Generate::text("word ".repeat(most + 1))).unwrap_err();
    assert_eq!(error.code(), Code::ContextFull, "{error}");
    case.serves();
}
