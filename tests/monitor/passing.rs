//! Answers do not know that they are watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use selvedge::drift::FalseAlarm;
use selvedge::fake::Fake;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::{All, Columns, Probe, ProbeFeature, Rows, Tokens};
use selvedge::telemetry::{Cursor, Reason, Record};
use selvedge::{Answer, Ask, Call, Cancel, Code, Engine, Generate, Request, Step};

use crate::{COLUMNS, Noise, ask, echo, folder, profile, request};

#[test]
fn answers_are_the_same_but_for_the_route() {
    let (_folder, telemetry) = folder();
    let bare = Fake::text("one two three four").prompt_slices(2).build();
    let monitor = Monitor::builder(bare.clone(), telemetry, Tokens).build().unwrap();
    for ask in
        [Generate::text("a b"), Generate::text("").max_tokens(2).logprobs(true), Generate::text("x").stop(["ee f"])]
    {
        let mut a = bare.start(ask.clone().into(), Call::new().id(9)).unwrap();
        let mut b = monitor.start(ask.into(), Call::new().id(9)).unwrap();
        loop {
            match (a.step().unwrap(), b.step().unwrap()) {
                (Step::Working(a), Step::Working(b)) => assert_eq!(a, b),
                (Step::Event(a), Step::Event(b)) => assert_eq!(a, b),
                (Step::Done(a), Step::Done(b)) => {
                    assert_eq!(
                        (&a.text, &a.tokens, &a.finish, &a.outputs, a.id),
                        (&b.text, &b.tokens, &b.finish, &b.outputs, b.id)
                    );
                    assert_eq!(
                        (a.usage.input_tokens, a.usage.output_tokens),
                        (b.usage.input_tokens, b.usage.output_tokens)
                    );
                    assert_eq!((a.provenance.route.len(), &*b.provenance.route), (0, &["monitor".to_string()][..]));
                    break;
                }
                (a, b) => panic!("{a:?} became {b:?}"),
            }
        }
    }
    // A monitor of a monitor is named twice.
    let (_folder, telemetry) = crate::folder();
    let twice = Monitor::builder(Arc::new(monitor), telemetry, ()).build().unwrap();
    assert_eq!(twice.run(Generate::text("")).unwrap().provenance.route, ["monitor", "monitor"]);
}

#[test]
fn endings_are_recorded_with_their_code() {
    let (_folder, telemetry) = folder();
    let engine = Fake::text("a b c").build();
    let monitor = Monitor::builder(engine, telemetry.clone(), Tokens).window(8).learn(0).build().unwrap();
    let cancel = Cancel::new();
    drop(monitor.start(Generate::text("dropped").into(), Call::new()).unwrap());
    let mut run = monitor.start(Generate::text("cancelled").into(), Call::new().cancel(&cancel)).unwrap();
    run.step().unwrap();
    cancel.cancel();
    assert_eq!(run.step().unwrap_err().code(), Code::Cancelled);
    // It was recorded; neither a further step nor the drop is a second record.
    assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument);
    drop(run);
    assert!(monitor.run_with(Generate::text("late"), Call::new().timeout(std::time::Duration::ZERO)).is_err());
    assert_eq!(monitor.run(Generate::text("").top_p(7.0)).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(monitor.run(request([0.0, 0.0])).unwrap_err().code(), Code::Unsupported);
    monitor.run(Generate::text("one")).unwrap();
    monitor.run(Generate::text("two").max_tokens(1)).unwrap();
    monitor.run(Generate::text("three")).unwrap();
    let windows = monitor.windows();
    assert_eq!(windows.len(), 1, "eight calls fill a window of eight");
    let window = &windows[0].window;
    let by_code =
        |code: u8| window.outcomes.iter().filter(|(o, _)| o.code_number() == code).map(|(_, n)| n).sum::<u64>();
    assert_eq!([0, 1, 3, 5, 10].map(by_code), [3, 1, 1, 2, 1], "{:?}", window.outcomes);
    assert_eq!((window.rows, window.tokens_out, window.latency.count()), (3, 7, 3));
    assert!(window.first_token.count() == 3 && window.first_token.max <= window.latency.max.max(1));
    let sealed = telemetry.read(Cursor::start(), usize::MAX);
    assert!(sealed.iter().any(|(_, record)| matches!(record, Record::Window(w) if w.outcomes == window.outcomes)));
}

#[test]
fn eight_threads_lose_nothing_and_wait_for_nobody() {
    let (_folder, telemetry) = folder();
    let monitor = Monitor::builder(echo().build(), telemetry.clone(), Columns::of("x", COLUMNS))
        .profile(profile())
        .window(100)
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let monitor = &monitor;
            scope.spawn(move || {
                let mut noise = Noise(thread);
                for call in 0..1000 {
                    let row = noise.row();
                    let answer = monitor.run_with(request(row), Call::new().id(call)).unwrap();
                    assert_eq!((answer.output("y").unwrap().as_slice::<f32>().unwrap(), answer.id), (&row[..], call));
                }
            });
        }
    });
    monitor.tick();
    let report = monitor.report();
    let lost: u64 = report
        .telemetry
        .dropped
        .iter()
        .filter(|(r, _)| matches!(r, Reason::Overwritten | Reason::NoLane))
        .map(|(_, n)| n)
        .sum();
    assert_eq!(report.totals.rows + report.in_progress + lost, 8000);
    assert!(report.windows.iter().all(|w| w.window.rows == 100));
    for summary in &report.windows {
        assert!(summary.window.features.iter().all(|counts| counts.iter().sum::<u64>() == 100));
    }
    assert_eq!((report.other_panics, report.probe_panics, report.unclaimed), (0, 0, 0));
}

/// Panics at every third request and every fifth answer.
struct Clumsy(AtomicU64);

impl Probe for Clumsy {
    fn features(&self) -> Vec<ProbeFeature> {
        vec![ProbeFeature::number("level")]
    }

    fn request(&self, _: &Request, rows: &mut Rows<'_>) {
        rows.set(0, 0, 0.5);
        assert!(!self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(3), "at a request");
    }

    fn answer(&self, _: &Answer, rows: &mut Rows<'_>) {
        rows.set(7, 7, 0.5);
        assert!(!self.0.load(Ordering::Relaxed).is_multiple_of(5), "at an answer");
    }
}

/// Hides the messages of panics that are meant.
fn quietly<T>(f: impl FnOnce() -> T) -> T {
    std::panic::set_hook(Box::new(|_| {}));
    let result = f();
    let _ = std::panic::take_hook();
    result
}

#[test]
fn a_panic_of_a_probe_or_a_callback_is_contained() {
    let (_folder, telemetry) = folder();
    let monitor =
        Monitor::builder(echo().build(), telemetry, Clumsy(AtomicU64::new(0))).window(64).learn(0).build().unwrap();
    quietly(|| (0..60).for_each(|call| ask(&monitor, [0.25, 0.75], call)));
    // Calls 0, 3, 6, … and those after which the counter reads 5, 10, 15, …
    assert_eq!((monitor.report().probe_panics, monitor.report().other_panics), (20 + 12, 0));

    let (_folder, telemetry) = crate::folder();
    let monitor = Monitor::builder(echo().build(), telemetry, Columns::of("x", COLUMNS))
        .profile(profile())
        .window(64)
        .on_alert(|_| panic!("at an alert"))
        .build()
        .unwrap();
    quietly(|| (0..256).for_each(|call| ask(&monitor, [9.0, 9.0], call)));
    let report = monitor.report();
    assert_eq!((report.alerts.len(), report.other_panics, report.totals.rows), (2, 2, 256));
}

#[test]
fn a_batch_is_many_rows_and_one_answer() {
    let (_folder, telemetry) = folder();
    let probe = All::new().and(Columns::of("x", COLUMNS));
    let monitor = Monitor::builder(echo().build(), telemetry, probe).profile(profile()).window(1000).build().unwrap();
    let mut noise = Noise(5);
    let rows: Vec<f32> = (0..2500).flat_map(|_| noise.row()).collect();
    let x = selvedge::Tensor::new(&[2500, 2], rows).unwrap();
    monitor.run(selvedge::Tensors::from([("x", x)])).unwrap();
    let report = monitor.report();
    assert_eq!((report.totals.windows, report.totals.rows, report.in_progress), (2, 2000, 500));
    assert_eq!((report.totals.requests, report.windows[0].window.latency.count()), (1, 1));
    assert_eq!(report.windows[1].window.outcomes, []);
    assert!(report.alerts.is_empty() && report.telemetry.dropped.is_empty(), "{report}");
    monitor.close_window();
    assert_eq!((monitor.report().totals.rows, monitor.report().in_progress), (2500, 0));
    monitor.close_window();
    assert_eq!(monitor.windows().len(), 3, "an empty window is not closed");
}

#[test]
fn what_does_not_fit_is_refused() {
    let (_folder, telemetry) = folder();
    let refused = |builder: selvedge::layer::monitor::MonitorBuilder| {
        let error = builder.build().unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        error.message().to_string()
    };
    let with = |probe: Columns| Monitor::builder(echo().build(), telemetry.clone(), probe).profile(profile());
    assert_eq!(
        refused(with(Columns::of("x", ["level"]))),
        r#"profile: feature 'flow': expected one that the probe gives, of ["level"]"#
    );
    assert_eq!(
        refused(with(Columns::of("x", ["level", "flow", "level"]))),
        "probe: expected features of different names, got 'level' twice"
    );
    assert_eq!(refused(with(Columns::of("x", COLUMNS)).window(7)), "window: expected 8 to 65536 rows, got 7");
    assert_eq!(
        refused(with(Columns::of("x", COLUMNS)).profile(None).false_alarm(FalseAlarm::Windows(2.0))),
        "false alarm: expected a mean time of 10 to 1e12 windows, got 2"
    );
    let mut foreign = profile();
    foreign.model = [7; 32];
    let message = refused(with(Columns::of("x", COLUMNS)).profile(foreign));
    assert!(message.starts_with("profile: expected one of the model "), "{message}");
    assert!(message.ends_with("07070707"), "{message}");
}

/// An entropy whose largest value is not known is not reported as the largest.
#[test]
fn an_entropy_without_its_most_is_not_known() {
    struct Entropy(f32);
    impl Probe for Entropy {
        fn features(&self) -> Vec<ProbeFeature> {
            Vec::new()
        }
        fn request(&self, _: &Request, _: &mut Rows<'_>) {}
        fn answer(&self, _: &Answer, rows: &mut Rows<'_>) {
            let prediction =
                selvedge::layer::probe::Prediction { entropy: 0.7, max_entropy: self.0, ..Default::default() };
            rows.set_prediction(0, prediction);
        }
    }
    for (most, known) in [(0.0, 0), (f32::NAN, 0), (1.4, 1)] {
        let (_folder, telemetry) = folder();
        let monitor = Monitor::builder(echo().build(), telemetry, Entropy(most)).learn(0).build().unwrap();
        ask(&monitor, [0.5, 0.5], 0);
        monitor.close_window();
        assert_eq!(monitor.windows()[0].window.entropy.iter().sum::<u64>(), known, "{most}");
    }
}
