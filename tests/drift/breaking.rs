//! Features that break are seen, whichever way and in whatever order rows come; what does not break is left in peace. A
//! short run of the tables that `cargo bench -p selvedge-benches --bench drift` makes in full.

use std::sync::Arc;

use selvedge::drift::{Finding, Profile, RowDependence, compare};

use crate::broken::{Break, Calm, Delay, Raised, Table, calm, delay, delays};

/// Tables, each with the rows that a reference is made from.
fn tables() -> Vec<(Table, usize)> {
    vec![
        (Table::weather("Seattle"), 1096),
        (Table::weather("New York"), 1096),
        (Table::hourly(9000, 1), 4096),
        (Table::ar1(6000, 0.9, 3), 4096),
    ]
}

fn profiles(table: &Table, rows: usize, dependence: RowDependence) -> [(Arc<Profile>, usize); 2] {
    let learned = rows.min(2048) / 2;
    [(table.given(&table.rows[..rows], dependence), rows), (table.learned(&table.rows[..learned]), learned)]
}

#[test]
fn no_break_is_never_seen() {
    let (mut never, mut cells, mut same) = (Vec::new(), 0, 0);
    for shuffled in [false, true] {
        for (table, rows) in tables() {
            let table = if shuffled { table.shuffled(5) } else { table };
            let dependence = if shuffled { RowDependence::Independent } else { RowDependence::Estimate };
            for (profile, reference) in profiles(&table, rows, dependence) {
                assert_eq!(profile.block > 1, !shuffled, "{}", table.name);
                for window in [24, 256] {
                    let (lines, unseen) = delays(&table, &profile, reference, window);
                    never.extend(unseen);
                    cells += Break::ALL.len() * table.columns.len();
                    same += lines.matches('=').count();
                }
            }
        }
    }
    assert_eq!(never, Vec::<String>::new(), "of {cells}");
    // A normal feature and a rounded one are their mirror images, with rows in two orders, two profiles and two windows.
    assert_eq!(same, 2 * 8, "of {cells} breaks that are none");
}

/// A control: what is called no change is none, in a sample as long as it takes, and what is one is not called so.
#[test]
fn only_what_changes_nothing_is_called_no_change() {
    let long = Table::ar1(400_000, 0.0, 7);
    let (early, late) = long.rows.split_at(200_000);
    let profile = long.given(early, RowDependence::Independent);
    for (feature, column) in profile.features.iter().enumerate() {
        let mut mirrored = vec![0; column.counts.len()];
        late.iter().for_each(|row| mirrored[usize::from(column.bin(-row[feature]))] += 1);
        let p = compare(column, &mirrored).expect("counts of the profile").p;
        assert_eq!(p > 0.001, long.symmetric.contains(&&*column.name), "{}: p {p}", column.name);
    }
    let table = Table::ar1(6000, 0.9, 3);
    let profile = table.given(&table.rows[..4096], RowDependence::Estimate);
    let of = |feature, how| delay(&table, &profile, 4096, feature, how, 256);
    assert!(matches!(of(0, Break::Sign), Delay::NoChange));
    assert!(matches!(of(3, Break::Sign), Delay::Rows(_, Finding::OutOfRange | Finding::DeadFeature)));
    assert!(matches!(of(0, Break::Stuck), Delay::Rows(_, Finding::DeadFeature)));
    assert!(matches!(of(0, Break::Scale), Delay::Rows(_, Finding::OutOfRange | Finding::Shift)));
}

/// As many alarms as chance gives: each stream is as long as the mean time to the first that was asked for, so 63 of 100
/// have one. Windows together may raise a tenth of them; references of few blocks are poor, so a fifth passes here.
fn as_asked(table: &Table, calm_stream: &Calm) -> Raised {
    let raised = calm(table, calm_stream);
    let streams = calm_stream.streams as f64;
    let most = |share: f64| share * streams + 2.0 * (share * (1.0 - share) * streams).sqrt();
    let (all, together) = (most(1.0 - (-1f64).exp()), most(1.0 - (-0.2f64).exp()));
    assert!(raised.streams as f64 <= all, "{}: {raised:?}, at most {all}", table.name);
    assert!(raised.streams_together as f64 <= together, "{}: {raised:?}, at most {together}", table.name);
    raised
}

#[test]
fn what_does_not_break_is_left_in_peace() {
    let windows = 400;
    let base = Calm {
        reference: 1096,
        window: 24,
        block: 30,
        windows,
        streams: 30,
        asked: windows as f64,
        dependence: RowDependence::Estimate,
    };
    for city in ["Seattle", "New York"] {
        as_asked(&Table::weather(city), &base);
        let alone = Calm { block: 1, dependence: RowDependence::Independent, ..base };
        as_asked(&Table::weather(city).shuffled(1), &alone);
    }
    let long = Calm { reference: 4096, block: 1000, ..base };
    as_asked(&Table::ar1(100_000, 0.9, 3), &long);
    as_asked(&Table::hourly(14_000, 1), &Calm { block: 240, ..long });
    // The control: who forgets that rows depend on each other hears wolf in every stream.
    let forgetful = Calm { dependence: RowDependence::Independent, streams: 10, ..long };
    let raised = calm(&Table::ar1(100_000, 0.9, 3), &forgetful);
    assert_eq!(raised.streams, 10, "{raised:?}");
}
