//! What a request may ask beside its text: scores, bias, the likeliest tokens, threads of the prompt (SmolLM2-135M, Q4_1).

use selvedge::{Answer, Ask, Call, Code, Finish, Generate, Options, Prompt, Score, open};

use crate::generate::shared;
use crate::{code, smollm};

const PROMPT: &str = "The capital of France is";

fn score(continuations: &[&str]) -> Score {
    Score::new(Prompt::Text(PROMPT.into()), continuations.iter().copied())
}

fn logprobs(answer: &Answer) -> Vec<f32> {
    answer.output(Score::LOGPROB).unwrap().as_slice::<f32>().unwrap().to_vec()
}

#[test]
fn a_score_is_the_sum_of_what_generating_reports() {
    let Some(engine) = shared() else { return };
    assert!(engine.spec().abilities.score);
    let greedy = engine.run(Generate::text(PROMPT).max_tokens(12).logprobs(true)).unwrap();
    let sum: f64 = greedy.tokens.iter().map(|token| f64::from(token.logprob.unwrap())).sum();
    let all = [" London", &greedy.text, " a city of light", " Paris"];
    let answer = engine.run(score(&all)).unwrap();
    assert_eq!((answer.finish.clone(), answer.usage.output_tokens), (Finish::Complete, 0));
    let scores = logprobs(&answer);
    assert!((f64::from(scores[1]) - sum).abs() < 1e-5, "{scores:?}, {sum}");
    assert!(scores[3] > scores[0] && scores.iter().all(|&score| score < 0.0), "{scores:?}");
    assert_eq!(answer.output(Score::TOKENS).unwrap().as_slice::<i64>().unwrap(), [1, 12, 4, 1]);
    assert_eq!(answer.output(Score::GREEDY).unwrap().as_slice::<bool>().unwrap(), [false, true, false, true]);
    // In whatever company, in whatever order, and by whatever name.
    for (i, one) in all.iter().enumerate() {
        assert_eq!(logprobs(&engine.run(score(&[one])).unwrap()), [scores[i]]);
    }
    let turned = engine.run(score(&[all[3], all[2], all[1], all[0]])).unwrap();
    assert_eq!(logprobs(&turned), scores.iter().rev().copied().collect::<Vec<_>>());
    let tokens = engine.tokenizer().unwrap().tokenize(&Prompt::Text(PROMPT.into())).unwrap();
    let same = engine.run(Score::new(Prompt::Tokens(tokens), [" Paris"])).unwrap();
    assert_eq!(logprobs(&same), [scores[3]]);
    // Beside runs that generate.
    let mut running = engine.generate(Generate::text("One, two, three").max_tokens(40)).unwrap();
    running.next().unwrap().unwrap();
    assert_eq!(logprobs(&engine.run(score(&all)).unwrap()), scores);
    assert!(running.answer().is_ok());
    let start = |request: Score| code(engine.start(request.into(), Call::new()));
    assert_eq!(start(score(&[])), Code::InvalidArgument);
    assert_eq!(start(score(&["a", ""])), Code::InvalidArgument);
    assert_eq!(start(score(&[&"word ".repeat(4200)])), Code::ContextFull);
    assert_eq!(start(score(&["a"]).adapter("none", 1.0)), Code::InvalidArgument);
}

#[test]
fn a_banned_token_does_not_come_and_a_liked_one_does() {
    let Some(engine) = shared() else { return };
    let request = || Generate::text(PROMPT).max_tokens(8).logprobs(true);
    let plain = engine.run(request()).unwrap();
    let first = plain.tokens[0].id;
    let banned = engine.run(request().ban([first])).unwrap();
    assert!(banned.tokens.iter().all(|token| token.id != first), "{}", banned.text);
    for seed in 0..4 {
        let drawn = request().temperature(1.0).top_k(3).seed(seed).ban([first]);
        assert!(engine.run(drawn).unwrap().tokens.iter().all(|token| token.id != first));
    }
    let liked = engine.run(request().bias(banned.tokens[0].id, 1000.0)).unwrap();
    assert!(liked.tokens.iter().all(|token| token.id == banned.tokens[0].id));
    // Of the model, and not of the bias.
    assert_eq!(liked.tokens[0].logprob, banned.tokens[0].logprob);
    assert_eq!(engine.run(request().bias(first, 0.0)).unwrap().tokens, plain.tokens);
    let start = |request: Generate| code(engine.start(request.into(), Call::new()));
    assert_eq!(start(request().bias(49_152, 1.0)), Code::InvalidArgument);
    assert_eq!(start(request().bias(1, f32::NAN)), Code::InvalidArgument);
    assert_eq!(start(request().bias(1, f32::INFINITY)), Code::InvalidArgument);
    assert_eq!(start(request().bias(1, 1.0).ban([1])), Code::InvalidArgument);
    let all = engine.run(request().ban(0..49_152)).unwrap_err();
    assert_eq!(all.code(), Code::Backend);
    assert!(all.message().contains("no token is left"), "{all}");
}

#[test]
fn the_likeliest_tokens_stand_beside_the_chosen_one() {
    let Some(engine) = shared() else { return };
    let request = Generate::text(PROMPT).max_tokens(24).logprobs(true).top_logprobs(5);
    let answer = engine.run(request.clone()).unwrap();
    assert_eq!(answer.top_logprobs.len(), answer.tokens.len());
    for (token, top) in answer.tokens.iter().zip(&answer.top_logprobs) {
        assert_eq!((top.len(), top[0]), (5, *token));
        assert!(top.windows(2).all(|two| two[0].logprob >= two[1].logprob));
        assert!(top.iter().map(|one| one.logprob.unwrap().exp()).sum::<f32>() <= 1.0 + 1e-5);
    }
    // A stop text takes tokens away.
    let stopped = engine.run(request.clone().stop(["States"])).unwrap();
    assert!(stopped.finish == Finish::Stop("States".into()) && stopped.tokens.len() < answer.tokens.len());
    assert_eq!(stopped.top_logprobs[..], answer.top_logprobs[..stopped.tokens.len()]);
    assert!(engine.run(request.clone().top_logprobs(0)).unwrap().top_logprobs.is_empty());
    assert_eq!(code(engine.start(request.top_logprobs(65).into(), Call::new())), Code::InvalidArgument);
}

#[test]
fn prompts_may_have_threads_of_their_own() {
    let Some(path) = smollm() else { return };
    let request = || Generate::text("The sea is wide. ".repeat(40)).max_tokens(12).logprobs(true);
    let tokens = |options: Options| open(&path, options.context_tokens(512)).unwrap().run(request()).unwrap().tokens;
    let expected = tokens(Options::new().threads(1));
    assert_eq!(tokens(Options::new().threads(1).prompt_threads(2)), expected);
    assert_eq!(tokens(Options::new().threads(2).prompt_threads(1)), expected);
    assert_eq!(code(open(&path, Options::new().prompt_threads(0))), Code::InvalidArgument);
}
