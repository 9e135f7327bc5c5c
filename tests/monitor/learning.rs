//! A model without a profile learns one.

use selvedge::drift::AlertKind;
use selvedge::fake::Fake;
use selvedge::layer::monitor::{Monitor, Reference};
use selvedge::layer::probe::{All, Columns, Embeddings};
use selvedge::telemetry::{Cursor, Record};
use selvedge::{Ask, Embed};

use crate::{COLUMNS, Noise, ask, echo, folder, open};

#[test]
fn a_profile_is_learned_from_the_first_windows_and_found_again() {
    let (folder, telemetry) = folder();
    let learner = |telemetry| {
        Monitor::builder(echo().build(), telemetry, Columns::of("x", COLUMNS)).window(256).learn(4).build().unwrap()
    };
    let monitor = learner(telemetry.clone());
    let mut noise = Noise(4);
    assert_eq!(monitor.report().reference, Reference::Learning { left: 1024 });
    (0..1024).for_each(|_| ask(&monitor, noise.row(), 0));
    assert_eq!(monitor.report().reference, Reference::Learned);
    let profile = monitor.profile().expect("learned");
    assert!(profile.learned && profile.rows == 1024);
    (0..8 * 256).for_each(|_| ask(&monitor, noise.row(), 0));
    let report = monitor.report();
    assert!(report.alerts.is_empty(), "{report}");
    assert_eq!(report.windows.iter().filter(|w| w.verdict.is_some()).count(), 8);
    (0..2 * 256).for_each(|_| ask(&monitor, [noise.row()[0], 5.0], 0));
    assert_eq!(monitor.alerts().iter().map(|a| &*a.feature).collect::<Vec<_>>(), ["flow"]);

    // The log names the model twice: without a profile, and with it.
    let models = telemetry.read(Cursor::start(), usize::MAX).into_iter().filter_map(|(_, record)| match record {
        Record::Model(info) => Some(!info.profile.is_empty()),
        _ => None,
    });
    assert_eq!(models.collect::<Vec<_>>(), [false, true]);
    drop((monitor, telemetry));
    let again = learner(open(&folder));
    assert_eq!(again.report().reference, Reference::Learned);
    assert_eq!(again.profile().unwrap(), profile);
    assert_eq!(again.report().totals.rows, (8 + 2) * 256);
    assert_eq!(again.alerts().len(), 1, "the alert still stands");
}

#[test]
fn embeddings_are_compared_as_a_whole() {
    let (_folder, telemetry) = folder();
    let engine = Fake::embedding(16).drift(640, 0.5).build();
    let monitor = Monitor::builder(engine, telemetry, All::new().and(Embeddings::default()))
        .window(128)
        .learn(4)
        .build()
        .unwrap();
    let mut number = 0;
    let mut embed = |calls: u64| {
        for _ in 0..calls {
            number += 1;
            monitor.run(Embed::new([format!("text number {number}")])).unwrap();
        }
    };
    embed(640);
    assert_eq!(monitor.report().reference, Reference::Learned);
    let report = monitor.report();
    let judged = report.windows.last().unwrap().verdict.as_ref().expect("one window was judged");
    assert!(judged.embedding.is_some_and(|e| !e.rejected) && report.alerts.is_empty(), "{report}");
    embed(256);
    assert!(monitor.alerts().iter().any(|a| a.kind == AlertKind::Embedding), "{:#?}", monitor.alerts());
}
