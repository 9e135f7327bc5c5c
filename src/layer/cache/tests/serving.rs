//! A cache as its callers see it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::engine::{Call, Cancel, Embed, Engine, Event, Generate, Port, Request, Run, Spec, Step, Tensors, Trim};
use crate::fake::Fake;
use crate::layer::cache::Cache;
use crate::{Answer, Ask, Bytes, Code, DType, Dim, Error, Result, Shape, Tensor};

const MIB: u64 = 1 << 20;

/// Doubles `x`, and counts how often; fails while told to.
#[derive(Default)]
struct Counted {
    calls: AtomicUsize,
    fails: AtomicBool,
}

fn counted() -> (Arc<Counted>, Arc<dyn Engine>) {
    let counts = Arc::new(Counted::default());
    let shared = counts.clone();
    let port = |name| Port::tensor(name, DType::F32, vec![Dim::Symbol("n".into())]);
    let engine = Fake::tensors(vec![port("x")], vec![port("y"), port("z")], move |inputs| {
        shared.calls.fetch_add(1, SeqCst);
        if shared.fails.load(SeqCst) {
            return Err(Error::backend("told to"));
        }
        let x = inputs[0].as_ref().unwrap();
        let times = |by: f32| Tensor::new(x.shape(), x.as_slice::<f32>().unwrap().iter().map(|v| v * by).collect());
        Ok(vec![times(2.0)?, times(3.0)?])
    });
    (counts, engine.build())
}

fn x(values: &[f32]) -> Tensors {
    Tensors::from([("x", Tensor::new(&[values.len()], values.to_vec()).unwrap())])
}

fn y(answer: &Answer) -> Vec<f32> {
    answer.output("y").unwrap().as_slice::<f32>().unwrap().to_vec()
}

#[test]
fn a_request_is_computed_once() {
    let (counts, engine) = counted();
    let cache = Cache::new(engine, MIB);
    for round in 0..3u64 {
        let answer = cache.run_with(x(&[1.0, 2.0]), Call::new().id(round)).unwrap();
        assert_eq!((y(&answer), answer.id, answer.usage.cache_hits), (vec![2.0, 4.0], round, u64::from(round > 0)));
        assert_eq!(answer.provenance.route, ["cache"]);
        assert_eq!(answer.usage.saved.is_zero(), round == 0, "{:?}", answer.usage);
        assert_eq!(answer.usage.compute.is_zero(), round > 0, "{:?}", answer.usage);
    }
    assert_eq!(cache.run(x(&[1.0, 2.0]).only(["z"])).unwrap().outputs.len(), 1);
    assert_eq!(y(&cache.run(x(&[-0.0])).unwrap())[0].to_bits(), (-0.0f32).to_bits());
    assert_eq!(y(&cache.run(x(&[0.0])).unwrap())[0].to_bits(), 0);
    let status = cache.status();
    assert_eq!((counts.calls.load(SeqCst), status.hits, status.misses, status.answers), (4, 2, 4, 4));
    assert!(status.saved > Duration::ZERO && status.bytes > 0 && status.bytes <= MIB, "{status:?}");
}

#[test]
fn a_hit_comes_in_the_pieces_of_the_first_answer() {
    let text = Cache::new(Fake::text("so it goes, and on it goes").build(), MIB);
    let ask = |request: Generate| {
        let mut events = text.generate(request).unwrap();
        let pieces: Vec<Event> = events.by_ref().map(Result::unwrap).collect();
        (pieces, events.answer().unwrap())
    };
    for request in [
        Generate::text("a").stop(["on it"]).logprobs(true),
        Generate::text("a").max_tokens(3),
        Generate::text("a").temperature(1.0).seed(7),
    ] {
        let (pieces, first) = ask(request.clone());
        let (again, hit) = ask(request);
        assert!(pieces.len() > 2, "{pieces:?}");
        assert_eq!((pieces, &first.text, &first.finish), (again, &hit.text, &hit.finish));
        assert_eq!((first.tokens, first.usage.output_tokens), (hit.tokens, hit.usage.output_tokens));
        assert_eq!((hit.usage.cache_hits, hit.usage.cached_tokens), (1, first.usage.input_tokens));
        assert_eq!((first.usage.cache_hits, first.usage.cached_tokens), (0, 0));
    }
    let embed = Cache::new(Fake::embedding(8).build(), MIB);
    let ask = || embed.run(Embed::new(["a", "b"])).unwrap();
    assert_eq!(ask().outputs, ask().outputs);
    assert_eq!((text.status().hits, embed.status().hits), (3, 1));
}

#[test]
fn a_draw_without_a_seed_is_drawn_each_time() {
    let cache = Cache::new(Fake::text("so it goes").build(), MIB);
    for _ in 0..3 {
        let answer = cache.run(Generate::text("a").temperature(0.7)).unwrap();
        assert_eq!((answer.usage.cache_hits, &*answer.provenance.route), (0, &["cache".to_string()][..]));
    }
    let status = cache.status();
    assert_eq!((status.passed, status.hits, status.misses, status.answers), (3, 0, 0, 0));
}

#[test]
fn a_failure_is_not_kept() {
    let (counts, engine) = counted();
    let cache = Cache::new(engine, MIB);
    counts.fails.store(true, SeqCst);
    for _ in 0..2 {
        assert_eq!(cache.run(x(&[1.0])).unwrap_err().code(), Code::Backend);
    }
    counts.fails.store(false, SeqCst);
    assert_eq!(y(&cache.run(x(&[1.0])).unwrap()), [2.0]);
    assert_eq!((counts.calls.load(SeqCst), cache.status().answers), (3, 1));
    // Nor is what does not fit, or was not heard to its end.
    let wrong = Tensors::from([("x", Tensor::scalar(1i64))]);
    for _ in 0..2 {
        assert_eq!(cache.run(wrong.clone()).unwrap_err().code(), Code::InvalidArgument);
    }
    let text = Cache::new(Fake::text("so it goes").build(), MIB);
    let mut run = text.start(Generate::text("a").into(), Call::new()).unwrap();
    assert!(matches!(run.step(), Ok(Step::Event(_))));
    drop(run);
    let cancel = Cancel::new();
    let mut run = text.start(Generate::text("a").into(), Call::new().cancel(&cancel)).unwrap();
    run.step().unwrap();
    cancel.cancel();
    assert_eq!(run.step().unwrap_err().code(), Code::Cancelled);
    assert_eq!((cache.status().answers, text.status().answers), (1, 0));
}

#[test]
fn a_hit_ends_with_its_call() {
    let cache = Cache::new(Fake::text("so it goes").build(), MIB);
    cache.run(Generate::text("a")).unwrap();
    let cancel = Cancel::new();
    let ask = |call: Call| cache.start(Generate::text("a").into(), call);
    let mut run = ask(Call::new().cancel(&cancel)).unwrap();
    assert!(matches!(run.step(), Ok(Step::Event(_))));
    cancel.cancel();
    for code in [Code::Cancelled, Code::InvalidArgument, Code::InvalidArgument] {
        assert_eq!(run.step().unwrap_err().code(), code);
    }
    assert_eq!(ask(Call::new().cancel(&cancel)).err().unwrap().code(), Code::Cancelled);
    assert_eq!(ask(Call::new().timeout(Duration::ZERO)).err().unwrap().code(), Code::DeadlineExceeded);
    let mut run = ask(Call::new().timeout(Duration::from_millis(20))).unwrap();
    std::thread::sleep(Duration::from_millis(40));
    assert_eq!(run.step().unwrap_err().code(), Code::DeadlineExceeded);
    // The kept answer is none the worse for it.
    let answer = cache.run(Generate::text("a")).unwrap();
    assert_eq!((&*answer.text, answer.usage.cache_hits), ("so it goes", 1));
}

#[test]
fn the_bytes_are_bounded() {
    let (counts, engine) = counted();
    let (max, rows) = (64 << 10, 4000);
    let cache = Cache::new(engine, max);
    let mut most = 0;
    for i in 0..rows {
        cache.run(x(&[i as f32, 1.0, 2.0])).unwrap();
        let status = cache.status();
        assert!(status.bytes <= max, "{status:?}");
        most = most.max(status.bytes);
    }
    assert!(most > max / 2, "the bound is made use of: {most} of {max}");
    // What alone is larger is not kept, and drives nothing out.
    let before = cache.status().answers;
    let large = vec![1.0; 20_000];
    assert_eq!(y(&cache.run(x(&large)).unwrap()).len(), 20_000);
    cache.run(x(&large)).unwrap();
    assert_eq!((cache.status().answers, counts.calls.load(SeqCst)), (before, rows + 2));
    let text = Cache::new(Fake::text("word ".repeat(400)).build(), 4 << 10);
    for _ in 0..2 {
        assert_eq!(text.run(Generate::text("a").max_tokens(None)).unwrap().usage.cache_hits, 0);
    }
    // Nothing at all.
    let (counts, engine) = counted();
    let none = Cache::new(engine, 0);
    (0..2).for_each(|_| drop(none.run(x(&[1.0])).unwrap()));
    assert_eq!((counts.calls.load(SeqCst), none.status().misses, none.status().bytes), (2, 2, 0));
}

#[test]
fn what_is_asked_for_again_outlives_a_scan() {
    let (_, engine) = counted();
    let cache = Cache::new(engine, 256 << 10);
    let often = |round: usize| x(&[(round % 20) as f32, -1.0]);
    for round in 0..200 {
        cache.run(often(round)).unwrap();
    }
    for i in 0..20_000 {
        cache.run(x(&[i as f32, 1.0, 2.0])).unwrap();
        if i % 10 == 0 {
            cache.run(often(i / 10)).unwrap();
        }
    }
    let before = cache.status().hits;
    (0..20).for_each(|round| drop(cache.run(often(round)).unwrap()));
    assert_eq!(cache.status().hits - before, 20, "{:?}", cache.status());
}

#[test]
fn trim_empties_it() {
    for level in [Trim::Caches, Trim::All] {
        let (counts, engine) = counted();
        let cache = Cache::new(engine, MIB);
        cache.run(x(&[1.0])).unwrap();
        let held = cache.status().bytes;
        assert_eq!((cache.trim(level).unwrap(), cache.status().bytes, cache.status().answers), (held, 0, 0));
        assert!(held > 0 && cache.trim(level).unwrap() == 0);
        assert_eq!((cache.run(x(&[1.0])).unwrap().usage.cache_hits, counts.calls.load(SeqCst)), (0, 2));
    }
}

#[test]
fn neither_the_request_nor_an_output_of_it_is_held() {
    let cache = Cache::new(Fake::echo(DType::U8).build(), MIB);
    let memory: Arc<Vec<u8>> = Arc::new(vec![7; 3]);
    let lent: Weak<Vec<u8>> = Arc::downgrade(&memory);
    struct Lent(Arc<Vec<u8>>);
    impl AsRef<[u8]> for Lent {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let tensor = Tensor::from_bytes(DType::U8, Shape::new(&[3]).unwrap(), Bytes::shared(Lent(memory))).unwrap();
    let answer = cache.run(Tensors::from([("x", tensor)])).unwrap();
    assert!(lent.upgrade().is_some(), "the engine gives its input back");
    drop(answer);
    assert!(lent.upgrade().is_none(), "the cache holds the caller's memory");
    let again = Tensors::from([("x", Tensor::new(&[3], vec![7u8; 3]).unwrap())]);
    let mut answer = cache.run(again.clone()).unwrap();
    assert_eq!(answer.usage.cache_hits, 1);
    // Whoever writes into the answer has a copy.
    answer.outputs[0].1.bytes_mut().unwrap().fill(0);
    assert_eq!(cache.run(again).unwrap().outputs[0].1.bytes().unwrap(), [7; 3]);
}

/// Two versions, of which one serves; the spec may say another one than the one that answers.
struct Versions {
    engines: [Arc<dyn Engine>; 2],
    said: AtomicUsize,
    serves: AtomicUsize,
}

impl Engine for Versions {
    fn spec(&self) -> &Spec {
        self.engines[self.said.load(SeqCst)].spec()
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        self.engines[self.serves.load(SeqCst)].start(request, call)
    }
}

#[test]
fn answers_go_with_their_version() {
    let version = |name: &str| Fake::text(format!("I am {name}")).name(name).build();
    let (said, serves) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let versions = Arc::new(Versions { engines: [version("one"), version("two")], said, serves });
    let cache = Cache::new(versions.clone(), MIB);
    let ask = || {
        let answer = cache.run(Generate::text("who")).unwrap();
        assert_eq!(answer.provenance.route, ["cache"]);
        (answer.text, answer.provenance.model.clone(), answer.usage.cache_hits)
    };
    let told = |name: &str, hits| (format!("I am {name}"), name.to_string(), hits);
    assert_eq!((ask(), ask()), (told("one", 0), told("one", 1)));
    versions.said.store(1, SeqCst);
    versions.serves.store(1, SeqCst);
    assert_eq!((ask(), ask()), (told("two", 0), told("two", 1)));
    // A share of the calls goes to another version than the spec's: its answers are passed on and not kept.
    versions.said.store(0, SeqCst);
    cache.trim(Trim::Caches).unwrap();
    assert_eq!((ask(), ask()), (told("two", 0), told("two", 0)));
    versions.serves.store(0, SeqCst);
    assert_eq!((ask(), ask()), (told("one", 0), told("one", 1)));
}

#[test]
fn threads_get_the_right_answers_and_the_counts_add_up() {
    let (counts, engine) = counted();
    let cache = Cache::new(engine, 32 << 10);
    let (threads, calls) = (8, 500);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let cache = &cache;
            scope.spawn(move || {
                for call in 0..calls {
                    // Every other call asks one of a few; all of the rest do not fit.
                    let values = if call % 2 == 0 { 8 } else { 97 };
                    let value = ((thread * 31 + call * 7) % values) as f32;
                    assert_eq!(y(&cache.run(x(&[value])).unwrap()), [value * 2.0]);
                    if call % 100 == 99 {
                        cache.trim(Trim::Caches).unwrap();
                    }
                }
            });
        }
    });
    let status = cache.status();
    assert_eq!(status.hits + status.misses, threads as u64 * calls as u64);
    assert_eq!(status.misses, counts.calls.load(SeqCst) as u64);
    assert!(status.hits > 0 && status.bytes <= 32 << 10, "{status:?}");
}

#[test]
fn a_cache_in_a_cache_tells_what_both_have_saved() {
    let inner = Arc::new(Cache::new(Fake::text("so it goes").delay(Duration::from_millis(2)).build(), MIB));
    let ask = |cache: &Cache| cache.run(Generate::text("a")).unwrap();
    ask(&inner);
    let outer = Cache::new(inner.clone(), MIB);
    assert_eq!(ask(&outer).usage.cache_hits, 1, "by the inner one");
    let usage = ask(&outer).usage;
    assert!(usage.cache_hits == 1 && usage.saved >= Duration::from_millis(6), "{usage:?}");
    assert_eq!((outer.status().hits, inner.status().hits), (1, 1));
    assert_eq!(ask(&outer).provenance.route, ["cache", "cache"]);
}

#[cfg(feature = "text")]
#[test]
fn a_hit_has_the_calls_of_the_first_answer() {
    let reply =
        r#"<think>Hm.</think><tool_call>[{"name": "clock", "arguments": {"zone": "UTC"}}, {"name": "x"}]</tool_call>"#;
    let fake = Fake::text(reply).template("{{ messages[0].content }}").unwrap().build();
    let cache = Cache::new(fake, 1 << 20);
    let tool = crate::Tool::new("clock", "The time.", "{}");
    let ask = |tool: crate::Tool| {
        let request = Generate::chat([crate::Message::user("When?")]).tools([tool]).separate_reasoning(true);
        cache.run(request).unwrap()
    };
    let (first, hit) = (ask(tool.clone()), ask(tool));
    assert_eq!((first.usage.cache_hits, hit.usage.cache_hits), (0, 1));
    assert_eq!((&hit.tool_calls, &hit.malformed_calls), (&first.tool_calls, &first.malformed_calls));
    assert_eq!((&hit.reasoning, &hit.tokens), (&first.reasoning, &first.tokens));
    assert_eq!((first.tool_calls.len(), first.malformed_calls.len(), &*first.reasoning), (1, 1, "Hm."));
    assert_eq!(ask(crate::Tool::new("clock", "Another.", "{}")).usage.cache_hits, 0);
}
