//! Random schedules: whoever comes, leaves, is late, or was there before, each answer is the one that its request gets alone, with
//! its tokens and log-probabilities to the last bit.
//!
//! A seed fixes a schedule: who asks what, who is stepped, cancelled or dropped, and when prefixes are saved and restored. What falls
//! into one batch is up to the worker's thread. 60 schedules, 600 with `SELVEDGE_LONG=1`, one with `SELVEDGE_SEED=17`.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use selvedge::{Ask, Call, Cancel, Code, Engine, Error, Event, Finish, Priority, Run, Step, Trim};

use crate::requests::{COUNT, Chance, Family, Models, Outcome, request};

/// A step that has waited so long was for a run that waits for others.
const STARVED: Duration = Duration::from_millis(40);

#[test]
fn whoever_else_is_served_each_answer_is_the_one_that_it_would_be_alone() {
    // Every other schedule with products of our own for prompts.
    let mut models = [false, true].map(Models::new);
    let (mut seen, begin) = (Seen::default(), Instant::now());
    let seeds = seeds();
    for seed in seeds.clone() {
        Schedule::new(seed, &mut models[seed as usize % 2]).run(&mut seen);
    }
    println!("{} schedules in {:?}: {seen:?}", seeds.end - seeds.start, begin.elapsed());
    if seeds.end - seeds.start > 1 {
        seen.all();
    }
}

fn seeds() -> Range<u64> {
    if let Some(seed) = std::env::var_os("SELVEDGE_SEED") {
        let seed = seed.to_str().and_then(|seed| seed.parse().ok()).expect("SELVEDGE_SEED is a number");
        return seed..seed + 1;
    }
    0..if std::env::var_os("SELVEDGE_LONG").is_some() { 600 } else { 60 }
}

/// What came to pass: schedules in which a thing never happens say nothing of it.
#[derive(Debug, Default)]
struct Seen {
    answers: usize,
    at_once: usize,
    cached: usize,
    cancelled: usize,
    dropped: usize,
    late: usize,
    saved: usize,
    restored: usize,
    reopened: usize,
    trimmed: usize,
    adapted: usize,
    stopped: usize,
    full: usize,
}

impl Seen {
    fn all(&self) {
        let all = [
            self.answers / 4,
            self.at_once,
            self.cached,
            self.cancelled,
            self.dropped,
            self.late,
            self.saved,
            self.restored,
            self.reopened,
            self.trimmed,
            self.adapted,
            self.stopped,
            self.full,
        ];
        assert!(all.iter().all(|&times| times > 10), "each of it happens: {self:?}");
    }
}

/// A run that somebody steps.
struct Live {
    number: usize,
    run: Box<dyn Run>,
    cancel: Cancel,
    has_deadline: bool,
    text: String,
    /// While all come to their end.
    steps: usize,
}

struct Schedule<'a> {
    seed: u64,
    chance: Chance,
    models: &'a mut Models,
    family: Family,
    context: usize,
    parallel: usize,
    engine: Arc<dyn Engine>,
    live: Vec<Live>,
    saved: Option<PathBuf>,
    /// What was done, told if it ends badly.
    done: Vec<String>,
}

impl Drop for Schedule<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("schedule {0}, alone with SELVEDGE_SEED={0}: {1}", self.seed, self.done.join("; "));
        }
    }
}

impl<'a> Schedule<'a> {
    fn new(seed: u64, models: &'a mut Models) -> Self {
        let mut chance = Chance(seed);
        let family = if chance.one_in(4) { Family::Gemma3 } else { Family::Llama };
        let (context, parallel) = (chance.one_of(&[256, 640]), 1 + chance.below(4));
        let options = models.options(family, context, chance.one_in(2)).parallel(parallel as u32);
        let engine = models.open(family, options);
        let done = vec![format!("{family:?}, {context} tokens, {parallel} at once")];
        Self { seed, chance, models, family, context, parallel, engine, live: Vec::new(), saved: None, done }
    }

    fn run(mut self, seen: &mut Seen) {
        for _ in 0..12 + self.chance.below(24) {
            match self.chance.below(20) {
                0..=6 => self.join(seen),
                7..=11 => self.step(seen),
                12 => self.cancel(seen),
                13 => self.leave(seen),
                14 => self.save(seen),
                15 => self.restore(seen),
                16 => self.reopen(seen),
                17 if self.chance.one_in(2) => self.trim(seen),
                18 => self.finish(seen),
                _ => self.at_once(seen),
            }
        }
        self.finish(seen);
    }

    /// Somebody comes, perhaps in a hurry.
    fn join(&mut self, seen: &mut Seen) {
        if self.live.len() >= self.parallel + 2 {
            return self.step(seen);
        }
        let number = self.chance.below(COUNT);
        let cancel = Cancel::new();
        let mut call = Call::new().cancel(&cancel).id(number as u64);
        call.priority =
            self.chance.one_of(&[Priority::Normal, Priority::Normal, Priority::Interactive, Priority::Background]);
        let has_deadline = self.chance.one_in(6);
        if has_deadline {
            call = call.timeout(Duration::from_micros(self.chance.below(3000) as u64));
        }
        self.done.push(format!("{number} comes{}", if has_deadline { " with a deadline" } else { "" }));
        match self.engine.start(request(number, self.context), call) {
            Ok(run) => self.live.push(Live { number, run, cancel, has_deadline, text: String::new(), steps: 0 }),
            Err(error) => self.failed(number, has_deadline, &error, seen),
        }
    }

    /// One of those who have a place, as a rule, takes some steps.
    fn step(&mut self, seen: &mut Seen) {
        let placed = if self.chance.one_in(8) { self.live.len() } else { self.live.len().min(self.parallel) };
        if placed > 0 {
            let (i, steps) = (self.chance.below(placed), 1 + self.chance.below(12));
            self.done.push(format!("{} takes {steps} steps", self.live[i].number));
            for _ in 0..steps {
                if self.takes_a_step(i, seen) != Some(true) {
                    break;
                }
            }
        }
    }

    /// Whether the run is to be stepped again at once; `None` if it has ended.
    fn takes_a_step(&mut self, i: usize, seen: &mut Seen) -> Option<bool> {
        let begin = Instant::now();
        let live = &mut self.live[i];
        match live.run.step() {
            Ok(Step::Working(_)) => Some(begin.elapsed() < STARVED),
            Ok(Step::Event(Event::Text(piece))) => {
                live.text += &piece.text;
                Some(true)
            }
            Ok(Step::Event(_)) => Some(true),
            Ok(Step::Done(answer)) => {
                let Live { number, text, .. } = self.live.remove(i);
                assert_eq!(text, answer.text, "{number}: its pieces");
                assert_eq!(answer.id, number as u64);
                self.answered(number, &answer, seen);
                None
            }
            Err(error) => {
                let Live { number, has_deadline, .. } = self.live.remove(i);
                self.failed(number, has_deadline, &error, seen);
                None
            }
            Ok(step) => panic!("a step of a kind that is not known here: {step:?}"),
        }
    }

    fn answered(&mut self, number: usize, answer: &selvedge::Answer, seen: &mut Seen) {
        let (got, alone) = (Outcome::from(answer), self.models.alone(self.family, self.context, number));
        assert_eq!(got, alone, "request {number}, with {} of its tokens cached", answer.usage.cached_tokens);
        seen.answers += 1;
        seen.cached += usize::from(answer.usage.cached_tokens > 0);
        seen.adapted += usize::from(!answer.adapters.is_empty());
        seen.stopped += usize::from(matches!(answer.finish, Finish::Stop(_)));
        seen.full += usize::from(answer.finish == Finish::ContextFull);
    }

    #[track_caller]
    fn failed(&mut self, number: usize, has_deadline: bool, error: &Error, seen: &mut Seen) {
        assert!(has_deadline && error.code() == Code::DeadlineExceeded, "request {number}: {error}");
        seen.late += 1;
    }

    fn cancel(&mut self, seen: &mut Seen) {
        if self.live.is_empty() {
            return;
        }
        let i = self.chance.below(self.live.len());
        let Live { number, mut run, cancel, has_deadline, text, .. } = self.live.remove(i);
        self.done.push(format!("{number} is cancelled"));
        cancel.cancel();
        let code = run.step().map(drop).unwrap_err().code();
        assert!(code == Code::Cancelled || has_deadline && code == Code::DeadlineExceeded, "{number}: {code:?}");
        self.has_begun(number, &text);
        seen.cancelled += 1;
    }

    fn leave(&mut self, seen: &mut Seen) {
        if self.live.is_empty() {
            return;
        }
        let i = self.chance.below(self.live.len());
        let Live { number, text, .. } = self.live.remove(i);
        self.done.push(format!("{number} is dropped"));
        self.has_begun(number, &text);
        seen.dropped += 1;
    }

    /// What was seen of an answer that did not come to its end.
    fn has_begun(&mut self, number: usize, text: &str) {
        let alone = self.models.alone(self.family, self.context, number);
        assert!(alone.text.starts_with(text), "request {number}: {text:?} of {:?}", alone.text);
    }

    fn save(&mut self, seen: &mut Seen) {
        let path = self.models.folder.path().join(format!("prefixes-{}", self.seed));
        let saved = self.engine.prefix_cache().unwrap().save(&path).unwrap();
        self.done.push(format!("{} prefixes are saved", saved.prefixes));
        self.saved = Some(path);
        seen.saved += saved.prefixes as usize;
    }

    fn restore(&mut self, seen: &mut Seen) {
        if let Some(path) = &self.saved {
            let restored = self.engine.prefix_cache().unwrap().restore(path).unwrap();
            self.done.push(format!("{} prefixes are restored", restored.prefixes));
            seen.restored += restored.prefixes as usize;
        }
    }

    /// The app starts anew, with another division of the context and its adapters in another order; who was there may go on.
    fn reopen(&mut self, seen: &mut Seen) {
        if self.chance.one_in(2) {
            self.finish(seen);
        }
        if self.chance.one_in(2) {
            self.save(seen);
        }
        self.parallel = 1 + self.chance.below(4);
        self.done.push(format!("it is opened anew, {} at once", self.parallel));
        let options = self.models.options(self.family, self.context, self.chance.one_in(2));
        self.engine = self.models.open(self.family, options.parallel(self.parallel as u32));
        self.restore(seen);
        seen.reopened += 1;
    }

    fn trim(&mut self, seen: &mut Seen) {
        let level = self.chance.one_of(&[Trim::Caches, Trim::All]);
        self.done.push(format!("{level:?} is trimmed"));
        self.engine.trim(level).unwrap();
        seen.trimmed += 1;
    }

    /// Several come at the same time, each on a thread of its own, once nobody else is there.
    fn at_once(&mut self, seen: &mut Seen) {
        self.finish(seen);
        let numbers: Vec<usize> = (0..2 + self.chance.below(5)).map(|_| self.chance.below(COUNT)).collect();
        self.done.push(format!("{numbers:?} at once"));
        let (engine, context) = (self.engine.clone(), self.context);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let ask = |number: usize| {
                let engine = &engine;
                scope.spawn(move || engine.run(request(number, context)).unwrap())
            };
            let runs: Vec<_> = numbers.iter().map(|number| ask(*number)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        for (number, answer) in numbers.iter().zip(&answers) {
            self.answered(*number, answer, seen);
        }
        seen.at_once += numbers.len();
    }

    /// All who are there come to their end. Who waits for others is not stepped before one of them has ended.
    fn finish(&mut self, seen: &mut Seen) {
        let mut waiting = Vec::new();
        while !self.live.is_empty() {
            let count = self.live.len();
            let next = (0..count).filter(|i| !waiting.contains(i)).min_by_key(|i| self.live[*i].steps);
            let Some(i) = next else {
                waiting.clear();
                continue;
            };
            self.live[i].steps += 1;
            match self.takes_a_step(i, seen) {
                Some(true) => {}
                Some(false) => waiting.push(i),
                None => waiting.clear(),
            }
        }
    }
}
