//! Labels that come late: what the confidences alone let expect, and what the labels so far make of it.

use selvedge::drift::{AdjustedAccuracy, CellValue, FeatureSource, Profile, Row};
use selvedge::layer::monitor::{Label, Monitor, MonitorReport};
use selvedge::layer::probe::Classes;
use selvedge::report::Story;
use selvedge::telemetry::{Cursor, Record, Telemetry};

use crate::{Noise, ask, classifier, folder, open};

const WINDOW: u64 = 256;

/// Of a reference that was right as often as the confidence says.
fn calibrated() -> Profile {
    let mut noise = Noise(21);
    let fit = Profile::fit().output("confidence", FeatureSource::Confidence);
    fit.stream(|sink| {
        (0..20_000).try_for_each(|_| {
            let sure = 0.51 + 0.49 * noise.next();
            sink(&Row::new(&[CellValue::Number(sure)]).right(noise.next() < sure))
        })
    })
    .unwrap()
}

fn monitor(telemetry: &Telemetry) -> Monitor {
    let probe = Classes::of("probabilities");
    Monitor::builder(classifier(), telemetry.clone(), probe).profile(calibrated()).window(WINDOW).build().unwrap()
}

/// Answers whose truth is known, and when it will be told.
struct World {
    noise: Noise,
    next: u64,
    /// When a label comes, in windows; of which answer; whether that is right.
    due: Vec<(u64, u64, bool)>,
    window: u64,
    /// Right answers of the last window.
    right: u64,
    /// Delays of labels of wrong answers and of right ones, in windows; every so many answers have one.
    delays: [u64; 2],
    every: u64,
    /// What the world adds to the logit of the confidence.
    shift: f32,
}

impl World {
    fn new(delays: [u64; 2], every: u64, shift: f32) -> Self {
        Self { noise: Noise(22), next: 1, due: Vec::new(), window: 0, right: 0, delays, every, shift }
    }

    /// A window of answers, and the labels that come meanwhile.
    fn answer(&mut self, monitor: &Monitor) {
        self.right = 0;
        for i in 0..WINDOW {
            let sure = 0.51 + 0.48 * self.noise.next();
            let logit = (sure / (1.0 - sure)).ln() + self.shift;
            let right = self.noise.next() < 1.0 / (1.0 + (-logit).exp());
            let x = self.noise.next();
            ask(monitor, [x, sure], self.next);
            self.right += u64::from(right);
            if self.next.is_multiple_of(self.every) {
                self.due.push((self.window + self.delays[usize::from(right)], self.next, right));
            }
            self.next += 1;
            // The last answer closes the window: its labels come before it, or with the next one's.
            if i + 2 == WINDOW || i + 1 == WINDOW {
                self.tell(monitor);
            }
        }
        self.window += 1;
    }

    fn tell(&mut self, monitor: &Monitor) {
        let window = self.window;
        for (_, id, right) in self.due.extract_if(.., |(at, ..)| *at <= window) {
            monitor.feedback(id, Label::Correct(right)).unwrap();
        }
    }

    fn truth(&self) -> f64 {
        self.right as f64 / WINDOW as f64
    }
}

fn both(report: &MonitorReport) -> (f64, AdjustedAccuracy) {
    (report.estimated_accuracy.expect("calibrated").value, report.adjusted_accuracy.expect("calibrated"))
}

/// The confidences go on as they were, and the model is wrong more often. Labels of right answers come with the next window,
/// those of wrong ones four later, and every third answer has one.
#[test]
fn late_labels_correct_what_the_confidences_let_expect() {
    let (folder, telemetry) = folder();
    let monitor = monitor(&telemetry);
    let mut world = World::new([4, 1], 3, -1.2);
    (0..4).for_each(|_| world.answer(&monitor));
    let (_, few) = both(&monitor.report());
    assert!(!few.is_adjusted() && few.wrong < AdjustedAccuracy::MIN_LABELS, "{few:?}");
    (0..20).for_each(|_| world.answer(&monitor));

    let report = monitor.report();
    let (plain, adjusted) = both(&report);
    let truth = world.truth();
    assert!((plain - truth).abs() > 0.15, "CBPE {plain}, truth {truth}");
    assert!((adjusted.value - truth).abs() < 0.06, "{adjusted:?}, truth {truth}");
    assert!((adjusted.offset - -1.2).abs() < 0.25, "{adjusted:?}");
    assert!(adjusted.is_adjusted() && adjusted.of == WINDOW, "{adjusted:?}");
    // Of 16 windows, of which the last four still lack labels of wrong answers.
    assert!((1100..=16 * WINDOW / 3).contains(&adjusted.labels), "{adjusted:?}");
    assert!((adjusted.labels + 100..=16 * WINDOW).contains(&adjusted.rows), "{adjusted:?}");
    let shown = report.to_string();
    assert!(shown.contains(&format!("adjusted   {:.1} % of {WINDOW}, by ", 100.0 * adjusted.value)), "{shown}");

    // What the folder tells is what the monitor knows.
    let story = Story::read(folder.path()).unwrap();
    assert_eq!(story.models[0].adjusted_accuracy(), Some(adjusted));
    assert_eq!(story.models[0].estimated_accuracy(), report.estimated_accuracy);
    assert!(story.html().contains(&format!("adjusted by labels, which come late: {adjusted}")));
}

/// A process ends in the middle of a window; the next one goes on with what is known, and with labels of its own answers.
#[test]
fn a_restart_keeps_what_labels_have_told() {
    let (folder, telemetry) = folder();
    let mut world = World::new([4, 1], 1, -1.2);
    let before = {
        let monitor = monitor(&telemetry);
        (0..12).for_each(|_| world.answer(&monitor));
        // Labels of the window that is open, and late ones of windows that are closed.
        (0..50).for_each(|i| ask(&monitor, [0.2, 0.9], 1_000_000 + i));
        (0..20).for_each(|i| _ = monitor.feedback(1_000_000 + i, Label::Correct(true)).unwrap());
        world.tell(&monitor);
        both(&monitor.report())
    };
    assert!(before.1.is_adjusted(), "{before:?}");
    drop(telemetry);
    // Twice, as a start in which nothing happens must not change anything.
    drop(monitor(&open(&folder)));
    let telemetry = open(&folder);
    let monitor = monitor(&telemetry);
    assert_eq!(both(&monitor.report()), before);
    assert_eq!(Story::read(folder.path()).unwrap().models[0].adjusted_accuracy(), Some(before.1));

    // Those of before get no label any more, and are not taken for answers whose labels are only late.
    world.due.clear();
    (0..WINDOW - 50).for_each(|i| ask(&monitor, [0.2, 0.9], 2_000_000 + i));
    world.window = 13;
    (0..3).for_each(|_| world.answer(&monitor));
    let (plain, after) = both(&monitor.report());
    let truth = world.truth();
    assert!((after.value - truth).abs() < 0.06 && (plain - truth).abs() > 0.15, "{plain}, {after:?}, truth {truth}");
    assert_eq!(Story::read(folder.path()).unwrap().models[0].adjusted_accuracy(), Some(after));
    // And a monitor that takes the place of one that lives.
    let another = self::monitor(&telemetry);
    assert_eq!(both(&another.report()), (plain, after));
}

#[test]
fn without_labels_nothing_is_adjusted_and_that_is_said() {
    let (folder, telemetry) = folder();
    let monitor = monitor(&telemetry);
    let mut world = World::new([0, 0], u64::MAX, -1.2);
    assert_eq!(monitor.report().adjusted_accuracy, None, "no window was closed");
    (0..6).for_each(|_| world.answer(&monitor));
    let report = monitor.report();
    let (plain, adjusted) = both(&report);
    assert!(!adjusted.is_adjusted());
    assert_eq!((adjusted.value, adjusted.offset, adjusted.right, adjusted.wrong), (plain, 0.0, 0, 0));
    let words = "too few labels: 0 right and 0 wrong of windows old enough, of 10 each";
    assert!(report.to_string().contains(words), "{report}");
    assert!(Story::read(folder.path()).unwrap().html().contains(words));
}

/// All of the last window are known, so that there is nothing left to estimate.
#[test]
fn labels_that_come_at_once_are_the_accuracy() {
    let (_folder, telemetry) = folder();
    let monitor = monitor(&telemetry);
    let mut noise = Noise(23);
    let mut right = 0;
    for id in 1..=4 * WINDOW {
        // The answer that fills a window closes it, and its label comes with the next one's.
        let is_right = id % 4 > 0;
        ask(&monitor, [noise.next(), 0.95], id);
        monitor.feedback(id, Label::Correct(is_right)).unwrap();
        right += u64::from(is_right && id > 3 * WINDOW);
    }
    let (plain, adjusted) = both(&monitor.report());
    let truth = right as f64 / WINDOW as f64;
    assert!((adjusted.value - truth).abs() < 1.5 / WINDOW as f64, "{adjusted:?}, truth {truth}");
    assert!(plain > truth + 0.15 && adjusted.labels + 1 >= adjusted.rows, "{plain}, {adjusted:?}");
}

/// Those who read the log know which answer a label is of: how sure it was, and in which window it is counted.
#[test]
fn a_label_in_the_log_says_of_which_answer_it_is() {
    let (_folder, telemetry) = folder();
    let monitor = monitor(&telemetry);
    (1..=WINDOW + 1).for_each(|id| ask(&monitor, [0.2, 0.9], id));
    [7, WINDOW + 1].iter().for_each(|id| _ = monitor.feedback(*id, Label::Class(1)).unwrap());
    let records = telemetry.read(Cursor::start(), usize::MAX);
    let labels = records.iter().filter_map(|(_, record)| match record {
        Record::Feedback(label) => Some((label.id, label.confidence, label.window)),
        _ => None,
    });
    assert_eq!(labels.collect::<Vec<_>>(), [(7, 230, 0), (WINDOW + 1, 230, 1)]);
}
