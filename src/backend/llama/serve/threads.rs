//! Thread tuner: how many threads compute the next token.
//!
//! ggml's threads wait for each other after every operation, in a loop and without sleeping. While each has a core to
//! itself that is fast. Once something else wants a core too, all wait for the one that does not run: on two cores
//! with other work on them, two threads were measured at a twentieth of the speed of one. So the speed is watched, and
//! now and then another number of threads is tried: half of them and then one, or, after a retreat, twice as many. Trials
//! become rare while they fail, and a bad one is given up soon, so they cost next to nothing.

use std::time::Duration;

/// Rounds between trials: at first, and at most.
const FIRST_WAIT: u32 = 8;
const LAST_WAIT: u32 = 4096;
/// A trial takes the better of this many rounds.
const TRIAL_ROUNDS: u32 = 2;
/// A round that takes this much longer than usual is suspicious, and so many in a row call for a trial.
const SUSPICIOUS: f64 = 1.7;
const SUSPICIONS: u32 = 2;
/// A trial must be better by this to change anything, and is given up when it is this much worse.
const BETTER: f64 = 0.85;
const HOPELESS: f64 = 1.5;

#[derive(Debug)]
pub(in crate::backend::llama) struct ThreadTuner {
    max: u32,
    now: u32,
    /// Seconds of a usual round, while rounds are `width` tokens wide.
    usual: Option<f64>,
    width: usize,
    /// The first round of a width also pays for the preparation of its computation, so it says nothing.
    fresh: bool,
    suspicions: u32,
    /// Rounds until the next trial.
    wait: u32,
    next_wait: u32,
    trial: Option<Trial>,
    /// Whether the last trial was of more threads.
    tried_more: bool,
}

#[derive(Debug)]
struct Trial {
    threads: u32,
    rounds: u32,
    best: f64,
}

impl ThreadTuner {
    pub(in crate::backend::llama) fn new(max: u32) -> Self {
        Self {
            max,
            now: max,
            usual: None,
            width: 0,
            fresh: true,
            suspicions: 0,
            wait: 0,
            next_wait: FIRST_WAIT,
            trial: None,
            tried_more: true,
        }
    }

    /// Whether it knows nothing yet.
    pub(in crate::backend::llama) fn is_new(&self) -> bool {
        self.max > 1 && self.next_wait == FIRST_WAIT && self.wait == 0
    }

    /// The threads that have proved best.
    pub(in crate::backend::llama) fn threads(&self) -> u32 {
        self.now
    }

    /// The threads for a round of `width` tokens, and the time after which to give it up and repeat it with
    /// [`ThreadTuner::threads`].
    pub(in crate::backend::llama) fn next(&mut self, width: usize) -> (u32, Option<Duration>) {
        if width != self.width {
            (self.width, self.usual, self.trial, self.suspicions, self.fresh) = (width, None, None, 0, true);
        }
        let Some(usual) = self.usual else { return (self.now, None) };
        if self.trial.is_none() && (self.wait == 0 || self.suspicions >= SUSPICIONS) {
            self.trial = self.other().map(|threads| Trial { threads, rounds: 0, best: f64::INFINITY });
            self.suspicions = 0;
        }
        match &self.trial {
            Some(trial) => (trial.threads, Some(Duration::from_secs_f64(usual * HOPELESS))),
            None => (self.now, None),
        }
    }

    /// The round of [`ThreadTuner::next`] took so long; `None` if it was given up.
    pub(in crate::backend::llama) fn record_time(&mut self, time: Option<Duration>) {
        let seconds = time.map_or(f64::INFINITY, |t| t.as_secs_f64());
        // What was given up and was no trial says nothing.
        if std::mem::take(&mut self.fresh) || time.is_none() && self.trial.is_none() {
            return;
        }
        let Some(usual) = self.usual else {
            self.usual = Some(seconds);
            return;
        };
        let Some(trial) = &mut self.trial else {
            self.suspicions = if seconds > usual * SUSPICIOUS { self.suspicions + 1 } else { 0 };
            // Down at once, up slowly: contexts grow, and one slow round means nothing.
            self.usual = Some(if seconds < usual { seconds } else { usual + (seconds - usual) / 8.0 });
            self.wait = self.wait.saturating_sub(1);
            return;
        };
        trial.best = trial.best.min(seconds);
        trial.rounds += 1;
        if trial.rounds < TRIAL_ROUNDS && time.is_some() {
            return;
        }
        let (threads, best) = (trial.threads, trial.best);
        self.trial = None;
        if best < usual * BETTER {
            (self.now, self.usual, self.next_wait) = (threads, Some(best), FIRST_WAIT);
        } else if threads < self.now && threads > 1 {
            // Half of the threads may be in each other's way as well. One never is.
            self.trial = Some(Trial { threads: 1, rounds: 0, best: f64::INFINITY });
            return;
        }
        self.wait = self.next_wait;
        self.next_wait = (self.next_wait * 2).min(LAST_WAIT);
    }

    /// What to try: the way that was not tried last, where there are two.
    fn other(&mut self) -> Option<u32> {
        let (fewer, more) = (self.now / 2, (self.now * 2).min(self.max));
        let suspicious = self.suspicions >= SUSPICIONS;
        self.tried_more = match (fewer >= 1, more > self.now) {
            (false, false) => return None,
            (true, true) => !suspicious && !self.tried_more,
            (_, more) => more,
        };
        Some(if self.tried_more { more } else { fewer })
    }
}
