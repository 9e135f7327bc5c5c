//! Rounds that end half done: given up at every node, for every set of sequences, and computed again.

use super::super::super::native::file::{Input, Stream, Terms};
use super::super::prefix::{AdapterSet, Prefix};
use super::super::sequence::Origin;
use super::*;
use crate::Digest;
use crate::engine::{Generate, Prompt, Provenance, TokenInfo};
use crate::text::Reader;
use crate::weights::tests::craft::File;

const SEQUENCES: u32 = 4;

fn plan() -> Plan {
    Plan {
        context: 1024,
        parallel: SEQUENCES,
        threads: 2,
        prompt_threads: 2,
        text: 1024,
        generates: true,
        embeds: false,
        ranks: false,
        reuses: true,
        products: true,
        generation: Default::default(),
        embedding: Default::default(),
        work: Default::default(),
    }
}

fn model() -> Arc<Model> {
    let file = File::complete(|i| ((i * 7919 + 13) % 101) as f32 / 500.0 - 0.1).bytes();
    let stream = Stream::of_bytes(&file).unwrap();
    Arc::new(Model::load(&Input::One(stream), Terms::default(), &mut |_| true).unwrap())
}

/// A watch that makes a round late at its `polls`-th question, and counts the questions.
#[derive(Clone, Default)]
struct Fault {
    polls: Rc<Cell<Option<usize>>>,
    asked: Rc<Cell<usize>>,
}

impl Fault {
    fn into(self, context: &mut super::super::super::native::context::Context, watched: &Rc<Watched>) {
        let watched = watched.clone();
        context.watch(move || {
            self.asked.set(self.asked.get() + 1);
            match self.polls.get() {
                Some(0) => {
                    self.polls.set(None);
                    watched.until.set(Some(Instant::now()));
                }
                Some(left) => self.polls.set(Some(left - 1)),
                None => {}
            }
            watched.is_over()
        });
    }
}

#[test]
fn a_round_given_up_at_any_node_is_computed_again_as_if_it_had_not_been() {
    let (plan, watched, fault) = (plan(), Rc::<Watched>::default(), Fault::default());
    let mut cache = KvCache::new(model(), &plan, Division::for_tokens(1, &plan)).unwrap();
    assert_eq!(cache.sequences(), SEQUENCES as usize);
    fault.clone().into(&mut cache.context, &watched);
    let (mut batch, mut tuner) = (Batch::default(), ThreadTuner::new(1));
    // Sequences of unlike lengths.
    let lens: Vec<usize> = (0..SEQUENCES as usize).map(|s| 3 + 2 * s).collect();
    for (s, &len) in lens.iter().enumerate() {
        batch.clear();
        (0..len).for_each(|p| _ = batch.push((7 * s + p) as u32, p, s as u32, p + 1 == len));
        assert_eq!(cache.context.decode(&mut batch).unwrap(), Decoded::Done);
    }
    let mut given_up = 0;
    for set in 1u32..1 << SEQUENCES {
        let members: Vec<u32> = (0..SEQUENCES).filter(|s| set >> s & 1 == 1).collect();
        // Once undisturbed, to see the right logits and how often the watch is asked.
        let mut round = |cache: &mut KvCache, polls: Option<usize>| {
            batch.clear();
            members.iter().for_each(|&s| _ = batch.push(100 + s, lens[s as usize], s, true));
            fault.polls.set(polls);
            fault.asked.set(0);
            let decoded =
                decode(cache, &mut batch, &mut tuner, &watched).unwrap_or_else(|e| panic!("{set:04b}, {polls:?}: {e}"));
            assert_eq!(decoded, Decoded::Done, "{set:04b}, {polls:?}");
            let logits: Vec<Vec<f32>> = (0..members.len()).map(|i| cache.context.logits(i).unwrap().to_vec()).collect();
            cache.context.rewind(&batch).unwrap();
            logits
        };
        let expected = round(&mut cache, None);
        let asked = fault.asked.get();
        assert!(asked > 10, "the watch is asked at every node, got {asked}");
        for polls in 0..asked {
            assert!(round(&mut cache, Some(polls)) == expected, "{set:04b}, given up at node {polls}");
            given_up += usize::from(fault.asked.get() > asked || fault.polls.get().is_none());
        }
    }
    assert!(given_up > 500, "{given_up}");
}

/// Generations in the batcher, with rounds given up at nodes that change from round to round, answer as without.
#[test]
fn generations_answer_alike_however_often_their_rounds_are_given_up() {
    let model = model();
    let answers = |disturbed: bool| {
        let mut batcher = Batcher::new(model.clone(), plan(), Arc::default());
        batcher.prepare().unwrap();
        let (fault, watched) = (Fault::default(), batcher.watched.clone());
        fault.clone().into(&mut batcher.cache.as_mut().unwrap().context, &watched);
        let mailboxes: Vec<Arc<Mailbox>> = (0..6).map(|i| add(&mut batcher, &model, i)).collect();
        let mut answers = vec![None; mailboxes.len()];
        let mut nth = 0;
        while answers.iter().any(Option::is_none) {
            nth += 1;
            // Rounds of prompts are counted otherwise.
            let prompts = batcher.sequences.iter().any(|s| s.seq_id.is_none() || s.remaining() > 1);
            fault.polls.set((disturbed && !prompts).then_some(nth * 37 % 120));
            assert!(batcher.round() || answers.iter().all(Option::is_some));
            for (mailbox, answer) in mailboxes.iter().zip(&mut answers) {
                for step in mailbox.steps().drain(..) {
                    if let Step::Done(done) = step.unwrap() {
                        *answer = Some((done.text, done.tokens));
                    }
                }
            }
        }
        answers
    };
    let expected = answers(false);
    assert!(expected.iter().flatten().all(|(_, tokens): &(String, Vec<TokenInfo>)| !tokens.is_empty()));
    assert_eq!(answers(true), expected);
}

/// All callers leave in the middle of a round: their sequences are free again, and the next generation is right.
#[test]
fn a_round_that_nobody_waits_for_leaves_nothing_behind() {
    let model = model();
    let run = |leave_at: Option<usize>| {
        let mut batcher = Batcher::new(model.clone(), plan(), Arc::default());
        batcher.prepare().unwrap();
        if let Some(polls) = leave_at {
            let gone: Vec<Arc<Mailbox>> = [0, 2, 3].map(|i| add(&mut batcher, &model, i)).to_vec();
            (0..8).for_each(|_| assert!(batcher.round()));
            let (leaving, watched, left) = (gone.clone(), batcher.watched.clone(), Cell::new(polls));
            batcher.cache.as_mut().unwrap().context.watch(move || {
                left.set(left.get().saturating_sub(1));
                if left.get() == 0 {
                    leaving.iter().for_each(|mailbox| mailbox.leave());
                }
                watched.is_over()
            });
            gone.iter().for_each(|mailbox| mailbox.steps().clear());
            batcher.round();
            gone.iter().for_each(|mailbox| mailbox.leave());
            batcher.drop_abandoned();
            assert!(batcher.sequences.is_empty());
        }
        let mailbox = add(&mut batcher, &model, 1);
        loop {
            assert!(batcher.round());
            for step in mailbox.steps().drain(..) {
                if let Step::Done(done) = step.unwrap() {
                    return (done.text, done.tokens);
                }
            }
        }
    };
    let expected = run(None);
    for polls in [1, 2, 5, 20, 40, 60, 80, 100, 10_000] {
        assert_eq!(run(Some(polls)), expected, "all left at node {polls}");
    }
}

fn add(batcher: &mut Batcher, model: &Model, i: usize) -> Arc<Mailbox> {
    let tokens: Vec<u32> = (0..9 + 5 * i).map(|t| ((i * 31 + t * 7) % 250) as u32).collect();
    start(batcher, model, Generate::new(Prompt::Tokens(tokens.clone())).max_tokens(12).temperature(0.0), tokens)
}

/// Adds a request of such tokens.
fn start(batcher: &mut Batcher, model: &Model, request: Generate, tokens: Vec<u32>) -> Arc<Mailbox> {
    let mailbox = Arc::<Mailbox>::default();
    let provenance = Arc::new(Provenance::new("m", Digest::default(), "llama", ""));
    let origin = Origin { provenance, prepare: Default::default(), adapters: Vec::new() };
    let begun = (Prefix::new(AdapterSet::default(), tokens), None, Reader::plain());
    batcher.add(Sequence::new(request, begun, 256, model, Call::default(), mailbox.clone(), origin));
    mailbox
}

/// What was generated is computed again as a prompt, in groups, and may be given up at any node of it.
#[test]
fn an_answer_settles_however_often_that_is_given_up() {
    let model = model();
    let mut expected = None;
    for polls in [None, Some(0), Some(3), Some(20), Some(60)] {
        let mut batcher = Batcher::new(model.clone(), plan(), Arc::default());
        batcher.prepare().unwrap();
        let arrived = Arc::<AtomicBool>::default();
        batcher.yields_to(arrived.clone());
        let tokens: Vec<u32> = (0..40).map(|t| t * 7 % 250).collect();
        let answer = run_chat(&mut batcher, &model, tokens.clone(), 60);
        let (watched, left) = (batcher.watched.clone(), Rc::new(Cell::new(polls)));
        let (asked, comes) = (left.clone(), arrived.clone());
        batcher.cache.as_mut().unwrap().context.watch(move || {
            match asked.get() {
                Some(0) => comes.store(true, Ordering::Release),
                Some(n) => asked.set(Some(n - 1)),
                None => {}
            }
            watched.is_over()
        });
        assert!(batcher.settle());
        left.set(None);
        arrived.store(false, Ordering::Release);
        while batcher.settle() {}
        let whole: Vec<u32> = tokens.iter().copied().chain(answer.1.iter().map(|t| t.id)).chain([9; 20]).collect();
        let next = run_chat(&mut batcher, &model, whole.clone(), 12);
        // Of 40 and 59 tokens, 96 make groups.
        assert_eq!(next.2, 96, "given up at node {polls:?}");
        let mut fresh = Batcher::new(model.clone(), plan(), Arc::default());
        let alone = run_chat(&mut fresh, &model, whole, 12);
        assert_eq!((&alone.1, alone.2), (&next.1, 0));
        assert_eq!(*expected.get_or_insert(next.1.clone()), next.1);
    }
}

/// Runs a chat of such tokens to its end: text, tokens, and how many of the prompt were there.
fn run_chat(batcher: &mut Batcher, model: &Model, tokens: Vec<u32>, max: u32) -> (String, Vec<TokenInfo>, u64) {
    let mailbox = start(batcher, model, Generate::chat([]).max_tokens(max).logprobs(true), tokens);
    loop {
        assert!(batcher.round());
        for step in mailbox.steps().drain(..) {
            if let Step::Done(done) = step.unwrap() {
                return (done.text, done.tokens, done.usage.cached_tokens);
            }
        }
    }
}
