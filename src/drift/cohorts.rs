//! Cohorts: the answers of each window, the labels of them that have come, and how late. What a delay-adjusted estimate of the
//! accuracy of a running model rests on, in bounded memory.

use std::collections::VecDeque;
use std::fmt;

use super::delayed::{MIN_LABELS, MIN_ROWS, Term, logit, most_likely, pending, sigmoid};
use super::profile::Reliability;

/// The accuracy to expect of a model's last closed window, by the confidences of its answers and by the labels that have come
/// so far, however late they come.
///
/// [`Concept::estimated`](super::Concept::estimated) expects of each confidence the accuracy that it had in the reference
/// (confidence-based performance estimation, CBPE), and cannot see that the world has changed. The accuracy of the labels that
/// have come is no help where those of wrong answers come later than those of right ones, or sooner. This estimate stands
/// between them, and says what it rests on.
///
/// # How it is found
///
/// Delay-adjusted CBPE, as the benchmark `lfmm` 0.1.0 defines it (Myakala, *Monitoring ML models before the labels arrive*,
/// 2026), after the chain-ladder method of loss reserving (Mack 1993). [`DelayAdjusted`](super::DelayAdjusted) is that of rows
/// and times; this is the same of counts, and its unit of time is a window:
///
/// 1. **Calibration.** c is the accuracy that the reference had at a confidence, of ten bins, as CBPE has it.
/// 2. **Arrival.** Of windows as old as the longest delay seen, among the latest 64: F(a) and G(a), the share of the labels of
///    right and of wrong answers that had come by the time that a more windows were closed; and q, the share of their answers
///    that have a label.
/// 3. **Offset.** An answer is taken to be right with p = σ(logit c + δ), with one δ for all: the most likely one in ±6 for the
///    latest 16 windows of which F or G is above 0.05, where a known label of a right answer has the likelihood p, one of a
///    wrong answer 1 − p, and one that has not come 1 − q·(p·F(a) + (1 − p)·G(a)).
/// 4. **Estimate.** Over the answers of the last closed window, the mean of the label where it is known, else of
///    p·(1 − q·F) / (1 − q·(p·F + (1 − p)·G)).
///
/// lfmm has q = 1: all rows get a label in the end. Of a running model's answers most never do; a label is taken to be as
/// likely to be given to a wrong answer as to a right one, in the end. lfmm also takes labels of rows so young that no more
/// than 0.05 of class 1 have come, and not the rows beside them that have none; here a window counts with all its answers or
/// with none.
///
/// # What it cannot see
///
/// One δ is a change that is the same for all confidences. A label that comes after its answer was forgotten (see
/// [`MonitorBuilder::unlabelled`](crate::layer::monitor::MonitorBuilder::unlabelled)), or in a later process than its answer,
/// is none: answers of an earlier process count as looked at no longer than that process closed windows. It gives no interval.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct AdjustedAccuracy {
    /// Answers of the last closed window whose confidence is known.
    pub of: u64,
    /// The accuracy to expect of them, in 0..=1; that of CBPE while labels are too few.
    pub value: f64,
    /// What the labels add to the logit of every expected accuracy, in −6..=6; 0 is CBPE.
    pub offset: f64,
    /// Answers that the offset was found from, all but those whose label would have come by now; 0 while labels are too few.
    pub rows: u64,
    /// Labels among them.
    pub labels: u64,
    /// Labels of right answers, of windows as old as the longest delay seen. It takes
    /// [`MIN_LABELS`](AdjustedAccuracy::MIN_LABELS) of them.
    pub right: u64,
    /// Labels of wrong answers, of the same windows. It takes as many.
    pub wrong: u64,
}

impl AdjustedAccuracy {
    /// Labels of right answers, and of wrong ones, that it takes at least. It also takes 100 answers.
    pub const MIN_LABELS: u64 = MIN_LABELS as u64;

    /// Whether labels were enough to adjust anything.
    #[must_use]
    pub fn is_adjusted(&self) -> bool {
        self.rows > 0
    }
}

/// In words, on one line: the accuracy and the counts that it rests on, or why there is none yet.
impl fmt::Display for AdjustedAccuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, value, rows, labels, right, wrong, .. } = self;
        if self.is_adjusted() {
            return write!(f, "{:.1} % of {of}, by {labels} labels of {rows} answers", value * 100.0);
        }
        let few = Self::MIN_LABELS;
        write!(f, "too few labels: {right} right and {wrong} wrong of windows old enough, of {few} each")
    }
}

/// The windows that are kept, the latest ones; delays are shorter.
const KEPT: usize = 64;
/// The windows that the offset is found from, the latest ones that say something.
const RECENT: u64 = 16;
/// The share of labels from which on a window says something.
const SOME: f64 = 0.05;
/// The share of labels from which on an answer without one will have none.
const ALL: f64 = 0.999;

const BINS: usize = Reliability::BINS;

/// The latest windows of a model, each with its answers and their labels.
///
/// Time is the number of closed windows: it needs no clock, and is the same when the log is read again. A label that comes
/// while a window is open counts from when that one closes, so that all labels of a time are there or none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cohorts {
    /// In the order of their numbers.
    list: VecDeque<Cohort>,
    /// The number of the last window that closed.
    last: Option<u64>,
    /// Some label came since.
    has_fresh: bool,
}

/// Counts of wrong answers, and of right ones.
type Sides<T> = [T; 2];

#[derive(Clone, Debug)]
struct Cohort {
    number: u64,
    /// Answers by bin of confidence; zeros while the window is open.
    answers: [u32; BINS],
    /// Labels by bin, of those.
    labels: Sides<[u32; BINS]>,
    /// Labels by bin that came since the last window closed.
    fresh: Sides<[u32; BINS]>,
    /// Labels by delay, in windows.
    delays: Sides<[u32; KEPT]>,
    /// The age up to which labels could come, where that is over.
    last_age: Option<usize>,
}

impl Cohorts {
    /// A label came for an answer of this confidence, given in the window of this number.
    pub(crate) fn label(&mut self, window: u64, confidence: f32, right: bool) {
        let Some(bin) = bin_of(confidence) else { return };
        // No window but the next one can be open.
        let is_beyond = self.last.is_some_and(|last| window > last.saturating_add(1));
        let Some(cohort) = self.cohort(window).filter(|_| !is_beyond) else { return };
        let count = &mut cohort.fresh[usize::from(right)][bin];
        *count = count.saturating_add(1);
        self.has_fresh = true;
    }

    /// The window of this number closed, with these counts over equal parts of the confidences.
    pub(crate) fn close(&mut self, window: u64, confidence: &[u64]) {
        if self.last.is_some_and(|last| window <= last) {
            return;
        }
        let Some(cohort) = self.cohort(window) else { return };
        cohort.answers = bins_of(confidence).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        cohort.last_age = None;
        self.last = Some(window);
        if std::mem::take(&mut self.has_fresh) {
            self.list.iter_mut().for_each(|cohort| cohort.take_fresh(window));
        }
    }

    /// The process has ended: no label will come for the answers of closed windows. Those of the open one are counted again.
    pub(crate) fn restart(&mut self) {
        let Some(last) = self.last else { return };
        for cohort in self.list.iter_mut().filter(|cohort| cohort.number <= last) {
            // Some labels of a time that was cut short: all of it is left out.
            cohort.fresh = Default::default();
            cohort.last_age = Some(cohort.age(last));
        }
    }

    /// The cohort of this number, which takes the place of the oldest where there is no room; `None` for one that is older.
    fn cohort(&mut self, number: u64) -> Option<&mut Cohort> {
        let at = self.list.partition_point(|cohort| cohort.number < number);
        if self.list.get(at).is_some_and(|cohort| cohort.number == number) {
            return self.list.get_mut(at);
        }
        if self.list.len() < KEPT {
            self.list.insert(at, Cohort::new(number));
            return self.list.get_mut(at);
        }
        let at = at.checked_sub(1)?;
        self.list.pop_front();
        self.list.insert(at, Cohort::new(number));
        self.list.get_mut(at)
    }

    /// The accuracy to expect of the last closed window. `None` where there is none, or no confidence in it.
    pub(crate) fn estimate(&self, reliability: &Reliability) -> Option<AdjustedAccuracy> {
        let last = self.last?;
        let target = self.list.iter().find(|cohort| cohort.number == last)?;
        let confidences = target.answers.map(u64::from);
        let plain = reliability.expected(&confidences)?;
        let closed: Vec<&Cohort> = self.closed().collect();
        let arrival = Arrival::of(&closed, last);
        let [wrong, right] = arrival.labels();
        let none = AdjustedAccuracy { of: plain.of, value: plain.value, offset: 0.0, rows: 0, labels: 0, right, wrong };
        if right.min(wrong) < AdjustedAccuracy::MIN_LABELS {
            return Some(none);
        }
        let accuracies: [f64; BINS] = std::array::from_fn(|bin| reliability.accuracy(bin));
        let (terms, labels) = self.terms(&arrival, &accuracies, last);
        let rows: f64 = terms.iter().map(|term| term.weight).sum();
        if rows < MIN_ROWS as f64 {
            return Some(none);
        }
        let offset = most_likely(&terms);
        let value = target.right(&accuracies, offset, arrival.labelled(target.age(last))) / plain.of as f64;
        Some(AdjustedAccuracy { value: value.clamp(0.0, 1.0), offset, rows: rows as u64, labels, ..none })
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.list.len() * size_of::<Cohort>()
    }

    /// Those whose answers are all known.
    fn closed(&self) -> impl Iterator<Item = &Cohort> {
        self.list.iter().filter(|cohort| self.last.is_some_and(|last| cohort.number <= last))
    }

    /// The likelihood of the latest windows that say something, and the labels among their answers.
    fn terms(&self, arrival: &Arrival, accuracies: &[f64; BINS], last: u64) -> (Vec<Term>, u64) {
        let says = |cohort: &&Cohort| arrival.shares(cohort.age(last)).iter().any(|share| *share > SOME);
        let newest = self.closed().filter(says).map(|cohort| cohort.number).max().unwrap_or(0);
        let (mut terms, mut known) = (Vec::new(), [[0u64; BINS]; 2]);
        for cohort in self.closed().filter(says).filter(|cohort| newest - cohort.number < RECENT) {
            let age = cohort.age(last);
            let is_over = arrival.shares(age).iter().all(|share| *share > ALL);
            let (f, g) = arrival.labelled(age);
            for (bin, accuracy) in accuracies.iter().enumerate() {
                (0..2).for_each(|side| known[side][bin] += u64::from(cohort.labels[side][bin]));
                let weight = if is_over { 0.0 } else { cohort.pending(bin) as f64 };
                terms.push(Term { weight, logit: logit(*accuracy), label: None, f, g });
            }
        }
        for (side, known) in known.iter().enumerate() {
            terms.extend(accuracies.iter().zip(known).map(|(accuracy, n)| {
                let (logit, label) = (logit(*accuracy), Some(side == 1));
                Term { weight: *n as f64, logit, label, f: 0.0, g: 0.0 }
            }));
        }
        terms.retain(|term| term.weight > 0.0);
        (terms, known.iter().flatten().sum())
    }
}

impl Cohort {
    fn new(number: u64) -> Self {
        Self {
            number,
            answers: [0; BINS],
            labels: Default::default(),
            fresh: Default::default(),
            delays: [[0; KEPT]; 2],
            last_age: None,
        }
    }

    /// Windows that closed after it while labels could come.
    fn age(&self, last: u64) -> usize {
        let age = usize::try_from(last.saturating_sub(self.number)).unwrap_or(usize::MAX);
        self.last_age.map_or(age, |last_age| last_age.min(age))
    }

    /// Counts the labels that came before this window closed.
    fn take_fresh(&mut self, closed: u64) {
        let Some(delay) = closed.checked_sub(self.number).and_then(|delay| usize::try_from(delay).ok()) else { return };
        for (side, fresh) in std::mem::take(&mut self.fresh).iter().enumerate() {
            let Some(delayed) = self.delays[side].get_mut(delay) else { continue };
            for (count, fresh) in self.labels[side].iter_mut().zip(fresh) {
                *count = count.saturating_add(*fresh);
                *delayed = delayed.saturating_add(*fresh);
            }
        }
    }

    /// Answers of a bin without a label.
    fn pending(&self, bin: usize) -> u64 {
        let labels = self.labels.iter().map(|labels| u64::from(labels[bin])).sum();
        u64::from(self.answers[bin]).saturating_sub(labels)
    }

    /// The number of right answers to expect.
    fn right(&self, accuracies: &[f64; BINS], offset: f64, (f, g): (f64, f64)) -> f64 {
        let of_bin = |bin: usize| {
            let p = sigmoid(logit(accuracies[bin]) + offset);
            f64::from(self.labels[1][bin]) + self.pending(bin) as f64 * pending(p, f, g)
        };
        (0..BINS).map(of_bin).sum()
    }
}

/// When labels come: those of windows old enough to have all of theirs.
struct Arrival {
    /// By delay.
    delays: Sides<[u64; KEPT]>,
    /// The share of answers that have a label in the end.
    in_the_end: f64,
}

impl Arrival {
    fn of(cohorts: &[&Cohort], last: u64) -> Self {
        let longest = |cohort: &&Cohort| {
            cohort.delays.iter().filter_map(|delays| delays.iter().rposition(|n| *n > 0)).max().unwrap_or(0)
        };
        let longest = cohorts.iter().map(longest).max().unwrap_or(0);
        let (mut delays, mut answers) = ([[0u64; KEPT]; 2], 0u64);
        for cohort in cohorts.iter().filter(|cohort| cohort.age(last) >= longest) {
            answers += cohort.answers.iter().map(|n| u64::from(*n)).sum::<u64>();
            for (sums, counts) in delays.iter_mut().zip(&cohort.delays) {
                sums.iter_mut().zip(counts).for_each(|(sum, n)| *sum += u64::from(*n));
            }
        }
        let labels: u64 = delays.iter().flatten().sum();
        Self { delays, in_the_end: (labels as f64 / answers.max(1) as f64).min(1.0) }
    }

    fn labels(&self) -> Sides<u64> {
        self.delays.map(|delays| delays.iter().sum())
    }

    /// Of the labels of wrong answers and of right ones, the shares that have come by this age.
    fn shares(&self, age: usize) -> Sides<f64> {
        self.delays.map(|delays| {
            let come: u64 = delays.iter().take(age.saturating_add(1)).sum();
            come as f64 / delays.iter().sum::<u64>().max(1) as f64
        })
    }

    /// Of right answers and of wrong ones, the shares that have a label by this age.
    fn labelled(&self, age: usize) -> (f64, f64) {
        let [g, f] = self.shares(age);
        (self.in_the_end * f, self.in_the_end * g)
    }
}

/// The bin of a confidence as windows count it, in which the upper end belongs to a part. A model of two classes that has no
/// idea is sure to one half, and so a bin lower than with [`Reliability::bin`].
fn bin_of(confidence: f32) -> Option<usize> {
    let inside = (0.0..=1.0).contains(&confidence);
    inside.then(|| ((confidence * BINS as f32).ceil() as usize).saturating_sub(1))
}

/// Counts over equal parts of the confidences, by bin.
pub(crate) fn bins_of(parts: &[u64]) -> [u64; BINS] {
    /// More than any window has; sums stay far from the end of their numbers.
    const MOST: u64 = 1 << 40;
    let mut bins = [0u64; BINS];
    for (i, n) in parts.iter().enumerate() {
        let bin = &mut bins[i * BINS / parts.len()];
        *bin = bin.saturating_add(*n).min(MOST);
    }
    bins
}
