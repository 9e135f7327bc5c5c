//! The judge: how often it is wrong when it is asked after every answer, and how soon it is right.

use super::Chance;
use crate::drift::{Action, Alert, AlertKind, Alerts, Finding, Observation};
use crate::layer::deployment::event::RolloutEvent;
use crate::layer::deployment::judge::{ArmCounts, RolloutJudge, RolloutVerdict, Signs};
use crate::layer::deployment::phase::RolloutPhase;
use crate::layer::deployment::plan::RolloutPlan;
use crate::layer::deployment::sequential::{Rate, ln_no_worse, ln_worse};
use crate::layer::deployment::state::State;

const ROLLOUTS: u64 = 2000;
const ALPHA: f64 = 0.05;

/// Two arms that are asked in turn, by chance, and looked at after each answer of the candidate.
fn simulate(
    seed: u64,
    (control, candidate): (f64, f64),
    most: u64,
    mut is_over: impl FnMut(&ArmCounts, &ArmCounts) -> bool,
) -> Option<u64> {
    let mut chance = Chance(seed);
    let (mut a, mut b) = (ArmCounts::default(), ArmCounts::default());
    let mut ask = |counts: &mut ArmCounts, share: f64| {
        let mut fails = || u64::from(chance.share() < share);
        counts.ended += 1;
        counts.failed += fails();
        (counts.timed, counts.labelled) = (counts.ended, counts.ended);
        counts.slow += fails();
        counts.wrong += fails();
    };
    let mut sides = Chance(!seed);
    while b.ended < most {
        if sides.once_in(2) {
            ask(&mut a, control);
            continue;
        }
        ask(&mut b, candidate);
        if is_over(&a, &b) {
            return Some(b.ended);
        }
    }
    None
}

/// The share of failures that both arms of rollout `seed` have.
fn share(seed: u64) -> f64 {
    [0.005, 0.05, 0.3][seed as usize % 3]
}

#[test]
fn equal_versions_are_rolled_back_no_more_often_than_stated() {
    let judge = RolloutJudge::new().false_alarm(ALPHA).slo(std::time::Duration::from_millis(1));
    let false_alarms = (0..ROLLOUTS)
        .filter(|seed| simulate(*seed, (share(*seed), share(*seed)), 500, |a, b| judge.is_worse(a, b)).is_some())
        .count();
    assert!(false_alarms as f64 <= ALPHA * ROLLOUTS as f64, "{false_alarms} of {ROLLOUTS}");
}

/// Rollouts of a version that is no other than the current one, where the judge errs most: both arms fail in half of the
/// calls, by each of three measures. How many ended with the candidate rolled back.
fn false_alarms(false_alarm: f64, rollouts: u64) -> usize {
    let judge = RolloutJudge::new().false_alarm(false_alarm).slo(std::time::Duration::from_millis(1));
    let is_rolled_back = |seed: &u64| {
        let mut state = on_trial();
        let is_over = |a: &ArmCounts, b: &ArmCounts| {
            judge.is_worse(a, b) && {
                let verdict = judge.judge(a, b, &Signs::default()).verdict;
                assert_eq!(verdict, RolloutVerdict::RollBack);
                let judged = RolloutEvent::Judged { version: "b".into(), promote: verdict == RolloutVerdict::Promote };
                state.apply(&judged).unwrap();
                true
            }
        };
        // Of 5000 answers, nine of ten false alarms come within the first 60.
        simulate(*seed, (0.5, 0.5), 60, is_over);
        state.versions()["b"].rolled_back
    };
    (0..rollouts).filter(is_rolled_back).count()
}

/// A state with a candidate that is a canary.
fn on_trial() -> State {
    let mut state = State::new("a");
    let offered = RolloutEvent::Offered { version: "b".into(), plan: RolloutPlan::ab(5000), beside: true };
    for event in [offered, RolloutEvent::Loaded, RolloutEvent::SelfTested { passed: true }] {
        state.apply(&event).unwrap();
    }
    assert_eq!(state.phase("b"), Some(RolloutPhase::Canary));
    state
}

/// The judge promises no more than the stated rate; it keeps a twentieth of it, and the test asks for a tenth, so that a level
/// that is laxer than stated is found out.
#[test]
fn the_rate_of_false_alarms_is_a_tenth_of_the_stated_one_at_most() {
    let (stated, rollouts) = (0.1, 4000);
    let most = stated / 10.0 * rollouts as f64;
    let (kept, lax) = (false_alarms(stated, rollouts), false_alarms(5.0 * stated, rollouts));
    println!("{kept} of {rollouts} at the stated level; {lax} at one 5 times as lax; borne are {most}");
    assert!(kept > 0 && kept as f64 <= most, "{kept} of {rollouts}");
    assert!(lax as f64 > most, "the control: a level 5 times as lax is not noticed: {lax} of {rollouts}");
}

/// The negative control: a test for one look, taken after every answer.
#[test]
fn a_test_for_one_look_is_wrong_far_more_often_when_peeked_at() {
    let z_test = |a: &ArmCounts, b: &ArmCounts| {
        let pooled = (a.failed + b.failed) as f64 / (a.ended + b.ended) as f64;
        let spread = pooled * (1.0 - pooled) * (1.0 / a.ended.max(1) as f64 + 1.0 / b.ended as f64);
        let difference = b.failed as f64 / b.ended as f64 - a.failed as f64 / a.ended.max(1) as f64;
        // One-sided, at 5 %.
        b.ended >= 30 && difference > 1.644_853_6 * spread.sqrt()
    };
    let alarms = |is_over: &dyn Fn(&ArmCounts, &ArmCounts) -> bool| {
        (0..ROLLOUTS).filter(|seed| simulate(*seed, (0.3, 0.3), 500, is_over).is_some()).count() as f64
    };
    let peeked = alarms(&z_test);
    assert!(peeked > 3.0 * ALPHA * ROLLOUTS as f64, "{peeked} of {ROLLOUTS}");
    let at_the_end = alarms(&|a, b| b.ended == 500 && z_test(a, b));
    assert!(at_the_end < 1.6 * ALPHA * ROLLOUTS as f64, "looked at once it keeps its rate: {at_the_end}");
}

#[test]
fn worse_versions_are_found_as_soon_as_stated() {
    let judge = RolloutJudge::new();
    for (control, candidate, stated) in [(0.0, 1.0, 12), (0.0, 0.2, 130), (0.01, 0.1, 500), (0.01, 0.05, 1400)] {
        let rollouts = 400;
        let is_worse = |a: &ArmCounts, b: &ArmCounts| {
            let of = |c: &ArmCounts| ArmCounts { ended: c.ended, failed: c.failed, ..ArmCounts::default() };
            judge.is_worse(&of(a), &of(b))
        };
        let found = (0..rollouts).filter(|seed| simulate(*seed, (control, candidate), stated, is_worse).is_some());
        let found = found.count();
        assert!(found as f64 >= 0.93 * rollouts as f64, "{control} and {candidate}: {found} within {stated}");
    }
}

#[test]
fn versions_worse_by_the_margin_are_promoted_no_more_often_than_stated() {
    let judge = RolloutJudge::new().margins(0.1, 0.1).min_answers(1);
    let promoted = |control: f64, candidate: f64, most: u64| {
        let is_promoted = |a: &ArmCounts, b: &ArmCounts| {
            let of = |c: &ArmCounts| ArmCounts { ended: c.ended, failed: c.failed, ..ArmCounts::default() };
            b.ended.is_multiple_of(4)
                && judge.judge(&of(a), &of(b), &Signs::default()).verdict == RolloutVerdict::Promote
        };
        (0..600).filter(|seed| simulate(*seed, (control, candidate), most, is_promoted).is_some()).count()
    };
    for control in [0.01, 0.2] {
        let worse = promoted(control, control + 0.1, 300);
        assert!(worse <= 30, "{worse} of 600 at {control}");
    }
    let good = promoted(0.01, 0.01, 300);
    assert!(good > 570, "{good} of 600");
}

/// The mean of the evidence is at most 1 whatever the rates are, as long as the hypothesis is true: exactly, over all outcomes.
#[test]
fn the_evidence_has_a_mean_of_one_at_most() {
    const N: u64 = 14;
    let binomial = |k: u64, n: u64, p: f64| {
        let choose = (0..k).fold(1.0, |c, i| c * (n - i) as f64 / (i + 1) as f64);
        choose * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32)
    };
    let mean = |p: f64, q: f64, n: u64, evidence: &dyn Fn(Rate, Rate) -> f64| -> f64 {
        let all = (0..=N).flat_map(|a| (0..=n).map(move |b| (a, b)));
        all.map(|(a, b)| {
            let (control, candidate) = (Rate { failures: a, of: N }, Rate { failures: b, of: n });
            binomial(a, N, p) * binomial(b, n, q) * evidence(control, candidate).exp()
        })
        .sum()
    };
    let grid = || (0..=20).map(|i| f64::from(i) / 20.0);
    for n in [1, 5, 14] {
        for (p, q) in grid().flat_map(|p| grid().map(move |q| (p, q))) {
            let worse = mean(p, q, n, &ln_worse);
            assert!(q > p || worse <= 1.0 + 1e-9, "{p} {q}: {worse}");
            let no_worse = mean(p, q, n, &|a, b| ln_no_worse(a, b, 0.2));
            assert!(q + 1e-9 < p + 0.2 || no_worse <= 1.0 + 1e-9, "{p} {q}: {no_worse}");
        }
    }
    // And it grows where the hypothesis is false.
    assert!(mean(0.05, 0.9, 14, &ln_worse) > 100.0);
}

/// Against Python's `math.lgamma`: ln B(½+s, ½+n−s) of both arms − 2 ln π − the likelihood at its largest under the hypothesis.
#[test]
fn the_evidence_is_that_of_the_formula() {
    let rate = |failures, of| Rate { failures, of };
    let close = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-8, "{got} {expected}");
    close(ln_worse(rate(2, 1000), rate(40, 1000)), 14.059115452);
    close(ln_worse(rate(0, 3), rate(7, 7)), 3.382330144);
    close(ln_no_worse(rate(2, 1000), rate(2, 1000), 0.02), 7.465037364);
    assert_eq!(ln_worse(rate(0, 0), rate(9, 9)), f64::NEG_INFINITY, "there is nothing to compare with");
    assert_eq!(ln_worse(rate(5, 10), rate(4, 10)), f64::NEG_INFINITY);
    assert_eq!(ln_no_worse(rate(0, 10), rate(2, 10), 0.1), f64::NEG_INFINITY);
}

fn alert(kind: AlertKind) -> Alert {
    let mut alerts = Alerts::new(1);
    alerts.observe(kind, "wind", Observation::Firing("p 1e-9".into()), 0);
    alerts.standing()[0].clone()
}

#[test]
fn alerts_and_deaths_have_their_say() {
    let counts = ArmCounts { ended: 1000, ..ArmCounts::default() };
    let judge = RolloutJudge::new();
    let verdict = |signs: &Signs| judge.judge(&counts, &counts, signs).verdict;
    let with = |kind| Signs { alerts: vec![alert(kind)], deaths: 0 };
    assert_eq!(verdict(&Signs::default()), RolloutVerdict::Promote);
    assert_eq!(verdict(&with(AlertKind::Feature(Finding::Shift))), RolloutVerdict::Hold);
    assert_eq!(verdict(&with(AlertKind::Concept)), RolloutVerdict::RollBack);
    let broken = with(AlertKind::Health);
    assert_eq!((broken.alerts[0].action, verdict(&broken)), (Action::RollBack, RolloutVerdict::RollBack));
    let died = Signs { alerts: Vec::new(), deaths: 1 };
    let judged = judge.judge(&counts, &counts, &died);
    assert_eq!(judged.verdict, RolloutVerdict::RollBack);
    assert!(judged.to_string().contains("deaths: the process died in it once"), "{judged}");
}

#[test]
fn latency_and_accuracy_are_judged_once_they_are_known() {
    let counts =
        |slow, wrong| ArmCounts { ended: 1000, timed: 1000, labelled: 1000, slow, wrong, ..ArmCounts::default() };
    let none = Signs::default();
    let slo = RolloutJudge::new().slo(std::time::Duration::from_millis(5));
    let judged = slo.judge(&counts(10, 0), &counts(200, 0), &none);
    let names: Vec<&str> = judged.evidence.iter().map(|one| &*one.name).collect();
    assert_eq!((judged.verdict, &names[..]), (RolloutVerdict::RollBack, &["errors", "latency", "accuracy"][..]));
    assert_eq!(RolloutJudge::new().judge(&counts(10, 0), &counts(200, 0), &none).verdict, RolloutVerdict::Promote);
    let wrong = RolloutJudge::new().judge(&counts(0, 100), &counts(0, 300), &none);
    assert_eq!((wrong.verdict, wrong.evidence[1].verdict), (RolloutVerdict::RollBack, RolloutVerdict::RollBack));
    let unlabelled = ArmCounts { ended: 1000, ..ArmCounts::default() };
    let asks = RolloutJudge::new().accuracy(0.05);
    assert_eq!(asks.judge(&unlabelled, &unlabelled, &none).verdict, RolloutVerdict::Hold);
    assert_eq!(asks.judge(&counts(0, 10), &counts(0, 10), &none).verdict, RolloutVerdict::Promote);
}

#[test]
fn three_measures_share_the_false_alarm_rate() {
    let (control, judge) = (ArmCounts { ended: 1000, ..ArmCounts::default() }, RolloutJudge::new().false_alarm(0.03));
    for failed in 0..40 {
        let candidate = ArmCounts { ended: 1000, failed, ..ArmCounts::default() };
        let evidence = ln_worse(Rate { failures: 0, of: 1000 }, Rate { failures: failed, of: 1000 });
        assert_eq!(judge.is_worse(&control, &candidate), evidence >= 100f64.ln(), "{failed}");
    }
}

#[test]
fn settings_have_ranges() {
    assert!(RolloutJudge::new().check().is_ok());
    for (judge, name) in [
        (RolloutJudge::new().false_alarm(0.0), "false_alarm"),
        (RolloutJudge::new().false_alarm(f64::NAN), "false_alarm"),
        (RolloutJudge::new().false_promotion(0.6), "false_promotion"),
        (RolloutJudge::new().margins(0.0, 0.1), "errors"),
        (RolloutJudge::new().margins(0.1, 1.0), "latency"),
        (RolloutJudge::new().accuracy(-0.1), "accuracy"),
    ] {
        let error = judge.check().unwrap_err();
        assert!(error.message().starts_with(name), "{error}");
    }
}
