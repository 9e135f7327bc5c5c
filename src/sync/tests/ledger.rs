use super::made::{Log, SECOND, T0, plain, rows, sums};
use crate::drift::{self, Bins, FeatureProfile, FeatureSource, Profile};
use crate::sync::ledger::Ledger;
use crate::sync::otlp::{Data, ExportMetricsServiceRequest, HistogramDataPoint, Number};
use crate::sync::privacy::Noise;
use crate::sync::request::Requests;
use crate::sync::state::State;
use crate::sync::{OutboxOptions, Privacy};
use crate::telemetry::{
    AlertCode, AlertRecord, Drops, Exponential, FeedbackRecord, ModelSlot, Outcome, Reason, Record, Window,
};

pub(super) const HOUR: u64 = 3600 * SECOND;

pub(super) fn reported(options: &OutboxOptions, log: &mut Log) -> Requests {
    add(options, &mut State::fresh().unwrap(), log)
}

/// Adds all records and keeps the state for those to come.
fn add(options: &OutboxOptions, state: &mut State, log: &mut Log) -> Requests {
    let mut noise = Noise::default();
    let mut ledger = Ledger::new(options, state.clone(), &mut noise);
    assert!(ledger.add(&log.take(), usize::MAX).unwrap());
    let requests = ledger.finish();
    *state = ledger.state;
    requests
}

fn profile() -> Profile {
    let feature = |name: &str, bins: Bins| {
        let mut counts = vec![0; bins.len()];
        counts[1] = 5;
        FeatureProfile {
            name: name.into(),
            source: FeatureSource::Input,
            counts,
            bins,
            moments: None,
            dependence: vec![],
            runs: None,
        }
    };
    Profile {
        model: [9; 32],
        rows: 5,
        learned: false,
        block: 1,
        features: vec![
            feature("wind", Bins::numeric(vec![0.5, 2.0, 4.25]).unwrap()),
            feature("sky", Bins::categories(vec!["clear".into(), "rain".into()]).unwrap()),
        ],
        embedding: None,
        reliability: None,
    }
}

fn histograms(request: &ExportMetricsServiceRequest, name: &str) -> Vec<HistogramDataPoint> {
    let metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    metrics
        .filter(|m| m.name == name)
        .flat_map(|m| match &m.data {
            Some(Data::Histogram(h)) => h.data_points.clone(),
            _ => panic!("{name} is no histogram"),
        })
        .collect()
}

#[test]
fn windows_become_totals_at_the_time_they_closed() {
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "rain", None);
    for (second, count) in [(60, 256), (120, 256), (180, 100)] {
        log.now = second * SECOND;
        log.window(60, rows(count));
    }
    let requests = reported(&plain(), &mut log);
    let at = |second: u64| T0 + second * SECOND;
    assert_eq!(sums(&requests.metrics, "selvedge.windows"), [(T0, at(60), 1), (T0, at(120), 2), (T0, at(180), 3)]);
    assert_eq!(
        sums(&requests.metrics, "selvedge.requests"),
        [(T0, at(60), 256), (T0, at(120), 512), (T0, at(180), 612)]
    );
    assert_eq!(requests.points, 9, "windows, requests and latency, three times");
    assert_eq!(requests.log_records, 0);
}

#[test]
fn features_have_the_bounds_of_the_profile() {
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "rain", Some(&profile()));
    for second in [60, 120] {
        log.now = second * SECOND;
        let features = vec![vec![1, 20, 30, 4, 5], vec![10, 0, 3, 47]];
        let classes = vec![(2, 50), (0, 10)];
        log.window(60, Window { features, classes, confidence: vec![0, 10, 20, 30], ..rows(60) });
    }
    let requests = reported(&plain(), &mut log);
    let wind = histograms(&requests.metrics, "selvedge.feature");
    assert_eq!(wind.len(), 2);
    assert_eq!((wind[1].count, wind[1].sum), (110, None));
    assert_eq!(wind[1].bucket_counts, [2, 40, 60, 8]);
    assert_eq!(wind[1].explicit_bounds, [0.5, 2.0, 4.25]);
    assert_eq!(super::made::attribute(&wind[1].attributes, "selvedge.feature.name"), Some("wind"));
    let values = |name| sums(&requests.metrics, name).into_iter().map(|(_, _, v)| v).collect::<Vec<_>>();
    assert_eq!(values("selvedge.feature.missing"), [5, 47, 10, 94]);
    assert_eq!(values("selvedge.feature.category"), [10, 3, 20, 6], "empty categories have no series");
    assert_eq!(values("selvedge.class"), [50, 10, 100, 20]);
    let confidence = histograms(&requests.metrics, "selvedge.confidence");
    assert_eq!(confidence[1].explicit_bounds, [0.25, 0.5, 0.75]);
    assert_eq!(confidence[1].bucket_counts, [0, 20, 40, 60]);
    assert!(sums(&requests.metrics, "selvedge.dropped").is_empty());
}

/// The counts of the embeddings are those of bins: what a fleet adds up is what the judge makes of all rows.
#[test]
fn embeddings_are_told_by_counts_that_a_fleet_adds_up() {
    let mut random = 9u64;
    let mut unit = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 40) as f32 / (1u64 << 24) as f32
    };
    let home: Vec<[f32; 2]> = (0..500).map(|_| [unit(), unit()]).collect();
    let fit = Profile::fit().embedding(2);
    let profile = fit.stream(|sink| home.iter().try_for_each(|r| sink(&drift::Row::default().embedding(r)))).unwrap();
    let reference = profile.embedding.clone().unwrap();
    let mut pooled = drift::WindowCounts::new(&profile);
    let mut added = [0u64; 129];
    for device in 0..2 {
        let mut log = Log::new();
        log.anchor(T0);
        log.model(1, "meaning", Some(&profile));
        for second in [60, 120] {
            let mut counts = drift::WindowCounts::new(&profile);
            for _ in 0..100 + 10 * device {
                counts.add_embedding(&reference.fourier.signs(&[0.2 + unit(), unit()]).unwrap());
            }
            log.now = second * SECOND;
            let (embedded, embedding) = (counts.embedded, counts.embedding.clone());
            log.window(60, Window { embedded, embedding, ..rows(counts.embedded) });
            pooled.merge(&counts);
        }
        let requests = reported(&plain(), &mut log);
        let signs = histograms(&requests.metrics, "selvedge.embedding").pop().unwrap();
        assert_eq!((signs.explicit_bounds.len(), &signs.explicit_bounds[..3]), (127, &[0.0, 1.0, 2.0][..]));
        assert_eq!(signs.count, signs.bucket_counts.iter().sum::<u64>());
        added.iter_mut().zip(&signs.bucket_counts).for_each(|(a, b)| *a += b);
        let (start, _, embedded) = *sums(&requests.metrics, "selvedge.embedding.rows").last().unwrap();
        assert_eq!(start, T0);
        added[128] += embedded as u64;
    }
    assert_eq!((&added[..128], added[128]), (&pooled.embedding[..], pooled.embedded));
    let apart = |(w, r): (&u64, &u64)| *w as f64 / added[128] as f64 - *r as f64 / reference.rows as f64;
    let mmd2 = 4.0 / 128.0 * added.iter().zip(&reference.positive).map(apart).map(|d| d * d).sum::<f64>();
    let mut judge = drift::Judge::new(std::sync::Arc::new(profile), drift::Policy::default()).unwrap();
    let judged = judge.judge(&pooled).unwrap().embedding.unwrap();
    assert!((mmd2 - judged.mmd2).abs() < 1e-15 && judged.p < 1e-6, "{mmd2} {judged:?}");

    // Signs of another profile are not added up.
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "meaning", Some(&self::profile()));
    let features = vec![vec![1, 20, 30, 4, 5], vec![10, 0, 3, 47]];
    log.window(60, Window { features, embedded: 60, embedding: vec![1; 128], ..rows(60) });
    let requests = reported(&plain(), &mut log);
    assert!(histograms(&requests.metrics, "selvedge.embedding").is_empty());
    assert_eq!(sums(&requests.metrics, "selvedge.dropped").last().map(|(_, _, n)| *n), Some(1));
}

#[test]
fn counts_that_do_not_fit_the_profile_are_left_out_and_counted() {
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "rain", Some(&profile()));
    log.now = 60 * SECOND;
    log.window(60, Window { features: vec![vec![1, 2, 3]], ..rows(6) });
    log.window(60, Window { model_slot: ModelSlot(4), ..rows(6) });
    let requests = reported(&plain(), &mut log);
    assert!(histograms(&requests.metrics, "selvedge.feature").is_empty());
    assert_eq!(sums(&requests.metrics, "selvedge.windows").last().unwrap().2, 1);
    let dropped: Vec<i64> = sums(&requests.metrics, "selvedge.dropped").iter().map(|s| s.2).collect();
    assert_eq!(dropped, [1, 1], "one window of another shape, one of an unknown model");
}

#[test]
fn an_interval_thins_points_and_loses_no_count() {
    let options = OutboxOptions { interval: std::time::Duration::from_secs(3600), ..plain() };
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "rain", None);
    for quarter in 1..=10 {
        log.now = quarter * HOUR / 4;
        log.window(900, rows(100));
    }
    let requests = reported(&options, &mut log);
    // The quarters that end at 0:45, 1:45 and, as the last of the batch, 2:30.
    let quarters = |n: u64| T0 + n * HOUR / 4;
    assert_eq!(
        sums(&requests.metrics, "selvedge.windows"),
        [(T0, quarters(3), 3), (T0, quarters(7), 7), (T0, quarters(10), 10)]
    );
}

#[test]
fn totals_go_on_over_batches_and_boots() {
    let mut state = State::fresh().unwrap();
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "rain", None);
    log.now = 60 * SECOND;
    log.window(60, rows(10));
    add(&plain(), &mut state, &mut log);
    log.boot();
    // The slot stands for another model now, and a third one counts for itself.
    log.anchor(T0 + HOUR);
    log.model(1, "snow", None);
    log.model(2, "rain", None);
    log.now = 60 * SECOND;
    log.window(60, Window { model_slot: ModelSlot(2), ..rows(5) });
    log.window(60, Window { model_slot: ModelSlot(1), ..rows(3) });
    let requests = add(&plain(), &mut state, &mut log);
    let at = T0 + HOUR + 60 * SECOND;
    assert_eq!(sums(&requests.metrics, "selvedge.requests"), [(T0, at, 15), (T0 + HOUR, at, 3)]);
}

#[test]
fn times_of_a_model_rise_and_a_clock_set_far_back_begins_anew() {
    let mut state = State::fresh().unwrap();
    let mut log = Log::new();
    log.anchor(T0 + 10 * HOUR);
    log.model(1, "rain", None);
    log.now = 60 * SECOND;
    log.window(60, rows(10));
    // Two seconds back.
    log.now = 61 * SECOND;
    log.anchor(T0 + 10 * HOUR + 58 * SECOND);
    log.window(1, rows(10));
    let first = T0 + 10 * HOUR + 60 * SECOND;
    let requests = add(&plain(), &mut state, &mut log);
    let start = T0 + 10 * HOUR;
    assert_eq!(sums(&requests.metrics, "selvedge.requests"), [(start, first, 10), (start, first + 1, 20)]);
    // Ten hours back.
    log.now = 121 * SECOND;
    log.anchor(T0);
    log.now = 181 * SECOND;
    log.window(60, rows(7));
    let requests = add(&plain(), &mut state, &mut log);
    assert_eq!(sums(&requests.metrics, "selvedge.requests"), [(T0, T0 + 60 * SECOND, 7)]);
}

#[test]
fn what_has_no_time_yet_comes_with_the_next_that_has() {
    let mut log = Log::new();
    log.model(1, "rain", None);
    log.now = 60 * SECOND;
    log.window(60, rows(10));
    let mut state = State::fresh().unwrap();
    let requests = add(&plain(), &mut state, &mut log);
    assert_eq!(requests.points, 0);
    log.now = 120 * SECOND;
    log.anchor(T0);
    log.window(60, rows(5));
    let requests = add(&plain(), &mut state, &mut log);
    assert_eq!(sums(&requests.metrics, "selvedge.requests"), [(T0 - 60 * SECOND, T0, 15)]);
}

#[test]
fn a_batch_keeps_within_its_bytes_and_nothing_is_skipped() {
    for max_bytes in [1, 3_000, 10_000, 50_000] {
        let mut log = Log::new();
        log.anchor(T0);
        log.model(1, "rain", Some(&profile()));
        for minute in 1..=100 {
            log.now = minute * 60 * SECOND;
            log.window(60, Window { features: vec![vec![1, 2, 3, 4, 5], vec![5, 0, 5, 5]], ..rows(15) });
            if minute % 10 == 0 {
                log.other(|stamp| {
                    Record::Alert(AlertRecord { stamp, model_slot: ModelSlot(1), ..AlertRecord::default() })
                });
            }
        }
        let (all, mut state) = (log.take(), State::fresh().unwrap());
        let (mut at, mut last, mut alerts) = (0, 0, 0);
        while at < all.len() {
            let mut noise = Noise::default();
            let options = plain();
            let mut ledger = Ledger::new(&options, state.clone(), &mut noise);
            ledger.add(&all[at..], max_bytes).unwrap();
            let (taken, requests) = (ledger.records as usize, ledger.finish());
            let bytes = prost::Message::encoded_len(&requests.metrics) + prost::Message::encoded_len(&requests.logs);
            assert!(taken > 0);
            assert!(bytes <= max_bytes || taken == 1, "{bytes} of {max_bytes} bytes for {taken} records");
            for (_, _, windows) in sums(&requests.metrics, "selvedge.windows") {
                assert_eq!(windows, last + 1);
                last = windows;
            }
            (at, alerts, state) = (at + taken, alerts + requests.log_records, ledger.state);
            assert_eq!(state.position(), all[at - 1].0);
        }
        assert_eq!((last, alerts), (100, 10));
    }
}

#[test]
fn alerts_are_logs_with_their_evidence() {
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "rain", None);
    let since = log.stamp();
    log.now = 60 * SECOND;
    for raised in [true, false] {
        log.other(|stamp| {
            Record::Alert(AlertRecord {
                stamp,
                model_slot: ModelSlot(1),
                code: AlertCode::from_name("drift"),
                feature: Some("wind".into()),
                severity: 2,
                raised,
                since,
                evidence: vec![("chi2".into(), 91.5), ("p".into(), 1e-9)],
                action: Some("retrain".into()),
            })
        });
    }
    let requests = reported(&plain(), &mut log);
    let records = &requests.logs.resource_logs[0].scope_logs[0].log_records;
    assert_eq!((records.len(), requests.log_records, requests.points), (2, 2, 0));
    let raised = &records[0];
    assert_eq!((raised.severity_number, &*raised.severity_text), (17, "ERROR"));
    assert_eq!(records[1].severity_number, 9);
    assert_eq!(raised.time_unix_nano, T0 + 60 * SECOND);
    let body = raised.body.as_ref().unwrap().value.as_ref().unwrap();
    assert_eq!(format!("{body:?}"), r#"String("drift of 'wind' raised: chi2 91.5, p 0.000000001")"#);
    let uid = |i: usize| super::made::attribute(&records[i].attributes, "log.record.uid").unwrap().to_string();
    assert_eq!(uid(0).len(), 32);
    assert_ne!(uid(0), uid(1));
    for key in ["selvedge.evidence.chi2", "selvedge.alert.since", "selvedge.alert.action"] {
        assert!(raised.attributes.iter().any(|a| a.key == key), "{key}");
    }
}

#[test]
fn losses_and_labels_are_sums() {
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "rain", None);
    log.now = SECOND;
    for (predicted, truth) in [(1, 1), (1, 0), (2, 2)] {
        log.other(|stamp| {
            Record::Feedback(FeedbackRecord {
                stamp,
                model_slot: ModelSlot(1),
                id: 5,
                predicted,
                truth,
                ..Default::default()
            })
        });
    }
    for total in [3, 10] {
        let totals = vec![(Reason::Overwritten, total), (Reason::Limit, 1)];
        log.other(|stamp| Record::Drops(Drops { stamp, totals }));
    }
    let requests = reported(&plain(), &mut log);
    let last = |name| sums(&requests.metrics, name).iter().map(|s| s.2).rev().take(2).collect::<Vec<_>>();
    assert_eq!(last("selvedge.feedback"), [1, 2], "wrong, right");
    assert_eq!(last("selvedge.dropped"), [1, 10], "the later report holds the earlier one");
}

#[test]
fn microseconds_become_seconds_within_half_a_bucket() {
    for values in [vec![830u64, 1200, 950], vec![1, 5, 40_000_000], vec![0, 0, 7]] {
        let mut latency = Exponential::default();
        values.iter().for_each(|v| latency.record(*v));
        let mut log = Log::new();
        log.anchor(T0);
        log.model(1, "rain", None);
        log.now = SECOND;
        log.window(1, Window { latency: latency.clone(), ..rows(0) });
        let requests = reported(&plain(), &mut log);
        let metrics = &requests.metrics.resource_metrics[0].scope_metrics[0].metrics;
        let duration = metrics.iter().find(|m| m.name == "gen_ai.server.request.duration").unwrap();
        assert_eq!(duration.unit, "s");
        let Some(Data::ExponentialHistogram(histogram)) = &duration.data else { panic!() };
        let point = &histogram.data_points[0];
        let positive = point.positive.as_ref().unwrap();
        assert_eq!((point.count, point.scale), (values.len() as u64, latency.scale));
        assert_eq!(point.sum, Some(values.iter().sum::<u64>() as f64 / 1e6));
        assert_eq!(positive.bucket_counts, latency.buckets);
        // The lowest bound in seconds, reported and true.
        let bound = |index: i32| (f64::from(index) * (-f64::from(point.scale)).exp2()).exp2();
        let (reported, truth) = (bound(positive.offset), bound(latency.offset) / 1e6);
        let half_bucket = (0.5 * (-f64::from(point.scale)).exp2()).exp2();
        assert!(reported / truth <= half_bucket && truth / reported <= half_bucket, "{reported} for {truth}");
    }
}

#[test]
fn tokens_and_outcomes_have_the_names_of_the_conventions() {
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "chat", None);
    log.now = SECOND;
    let outcomes = [(0, 5), (2 << 8, 1), (10, 2)].map(|(bits, n)| (Outcome::from_bits(bits), n)).to_vec();
    log.window(1, Window { outcomes, tokens_in: 900, tokens_out: 120, ..rows(8) });
    let requests = reported(&plain(), &mut log);
    let usage = histograms(&requests.metrics, "gen_ai.client.token.usage");
    assert_eq!(usage.iter().map(|p| (p.count, p.sum)).collect::<Vec<_>>(), [(8, Some(900.0)), (8, Some(120.0))]);
    assert_eq!(super::made::attribute(&usage[1].attributes, "gen_ai.token.type"), Some("output"));
    let metrics = &requests.metrics.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::Sum(sum)) = metrics.iter().find(|m| m.name == "selvedge.requests").unwrap().data.clone() else {
        panic!()
    };
    let errors: Vec<_> = sum
        .data_points
        .iter()
        .map(|p| (p.value, super::made::attribute(&p.attributes, "error.type").map(str::to_string)))
        .collect();
    let n = |n| Some(Number::Int(n));
    assert_eq!(errors, [(n(5), None), (n(1), None), (n(2), Some("deadline_exceeded".into()))]);
}

#[test]
fn small_counts_wait_until_they_are_enough() {
    let options = OutboxOptions { privacy: Privacy::default(), ..plain() };
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "rain", Some(&profile()));
    for minute in 1..=3 {
        log.now = minute * 60 * SECOND;
        log.window(60, Window { features: vec![vec![0, 4, 30, 0, 0], vec![1, 20, 0, 0]], ..rows(34) });
    }
    let requests = reported(&options, &mut log);
    let buckets: Vec<u64> =
        histograms(&requests.metrics, "selvedge.feature").iter().map(|p| p.bucket_counts[1]).collect();
    assert_eq!(buckets, [0, 0, 12]);
    assert_eq!(sums(&requests.metrics, "selvedge.requests").last().unwrap().2, 102, "operation is exact");
}

#[test]
fn models_are_forgotten_when_there_are_too_many() {
    let mut state = State::fresh().unwrap();
    let mut log = Log::new();
    log.anchor(T0);
    for i in 0..40 {
        log.now += SECOND;
        log.model(1, &format!("model {i}"), None);
        log.window(1, Window { model_slot: ModelSlot(1), ..rows(1) });
    }
    add(&plain(), &mut state, &mut log);
    assert_eq!(state.models.len(), 40, "all are in the batch");
    log.now += SECOND;
    log.model(1, "one more", None);
    add(&plain(), &mut state, &mut log);
    assert_eq!(state.models.len(), 32);
    assert!(state.models.iter().any(|m| m.name == "model 39"));
    assert!(!state.models.iter().any(|m| m.name == "model 0"), "the one that was silent longest");
}

#[test]
fn marks_of_an_outcome_are_attributes_of_their_own() {
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "chat", None);
    log.now = SECOND;
    let outcomes = [(3 << 8, 4), (3 << 8 | 1 << 12, 2), (1 << 8 | 3 << 12, 5), (1 << 8 | 1 << 11, 1)];
    let outcomes = outcomes.map(|(bits, n)| (Outcome::from_bits(bits), n)).to_vec();
    log.window(1, Window { outcomes, ..rows(12) });
    let requests = reported(&plain(), &mut log);
    let metrics = &requests.metrics.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::Sum(sum)) = metrics.iter().find(|m| m.name == "selvedge.requests").unwrap().data.clone() else {
        panic!()
    };
    let reported: Vec<Vec<(String, String)>> = sum
        .data_points
        .iter()
        .map(|p| {
            let value =
                |a: &crate::sync::otlp::KeyValue| format!("{:?}", a.value.as_ref().unwrap().value.as_ref().unwrap());
            p.attributes.iter().map(|a| (a.key.clone(), value(a))).collect()
        })
        .collect();
    let mark = |name: &str, value: &str| (format!("selvedge.{name}"), format!("String({value:?})"));
    let finish = |name: &str| mark("finish", name);
    assert_eq!(
        reported,
        [
            vec![finish("stop")],
            vec![finish("stop"), mark("schema_valid", "false")],
            vec![finish("complete"), mark("schema_valid", "true")],
            vec![finish("complete"), mark("refused", "true")],
        ]
    );
}
