//! Data that leaves the device: of alerts, classes, labels and learned profiles.

use super::ledger::reported;
use super::made::{Log, SECOND, T0, attribute, plain, rows, sums};
use crate::drift::{Bins, FeatureProfile, FeatureSource, Profile};
use crate::sync::otlp::{Data, ExponentialHistogramDataPoint, ExportMetricsServiceRequest, LogRecord, Value};
use crate::sync::request::Requests;
use crate::sync::{OutboxOptions, Privacy};
use crate::telemetry::{
    AlertCode, AlertRecord, FeedbackRecord, ModelSlot, Record, RolloutFinding, RolloutRecord, Window,
};

fn options(privacy: Privacy) -> OutboxOptions {
    OutboxOptions { privacy, ..plain() }
}

fn with(privacy: Privacy, seal: impl FnOnce(&mut Log)) -> Requests {
    let mut log = Log::new();
    log.anchor(T0);
    seal(&mut log);
    reported(&options(privacy), &mut log)
}

fn alert(privacy: Privacy, code: AlertCode, evidence: &[(&str, f64)]) -> LogRecord {
    let evidence: Vec<(String, f64)> = evidence.iter().map(|(name, n)| (name.to_string(), *n)).collect();
    let requests = with(privacy, |log| {
        log.model(1, "rain", None);
        log.now = SECOND;
        log.other(|stamp| {
            let (feature, action) = (Some("wind".into()), Some("check_pipeline".into()));
            let model_slot = ModelSlot(1);
            Record::Alert(AlertRecord {
                stamp,
                model_slot,
                code,
                feature,
                severity: 2,
                raised: true,
                evidence,
                action,
                ..Default::default()
            })
        });
    });
    requests.logs.resource_logs[0].scope_logs[0].log_records[0].clone()
}

fn evidence(log: &LogRecord) -> Vec<(&str, f64)> {
    let numbers = log.attributes.iter().filter_map(|a| Some((a.key.strip_prefix("selvedge.evidence.")?, a)));
    numbers
        .map(|(name, a)| match a.value.as_ref().unwrap().value {
            Some(Value::Double(n)) => (name, n),
            ref other => panic!("{other:?}"),
        })
        .collect()
}

fn what(log: &LogRecord) -> (&str, &str, Option<&str>) {
    (
        attribute(&log.attributes, "selvedge.alert.what").unwrap(),
        &log.severity_text,
        attribute(&log.attributes, "selvedge.alert.action"),
    )
}

#[test]
fn numbers_of_too_few_rows_stay() {
    let dead = [("rows", 64.0), ("p", 1.234_567e-9), ("psi", 3.217_91), ("missing", 0.015_625), ("out_of_range", 1.0)];
    let exact = alert(Privacy::NONE, AlertCode::DeadFeature, &dead);
    assert_eq!((evidence(&exact), what(&exact)), (dead.to_vec(), ("dead_feature", "ERROR", Some("check_pipeline"))));
    // One row of 64 was missing, and none was in the range.
    let sent = alert(Privacy::default(), AlertCode::DeadFeature, &dead);
    let digits = [("rows", 64.0), ("p", 1.2e-9), ("psi", 3.2), ("missing", 0.0), ("out_of_range", 1.0)];
    assert_eq!((evidence(&sent), what(&sent).0), (digits.to_vec(), "dead_feature"));
    let all_but_one =
        alert(Privacy::default(), AlertCode::OutOfRange, &[("rows", 64.0), ("out_of_range", 63.0 / 64.0)]);
    assert_eq!(evidence(&all_but_one)[1], ("out_of_range", 1.0), "the one that was not is one row");
    let together = alert(Privacy::default(), AlertCode::Shift, &[("rows", 640.0), ("strange", 3.0 / 640.0)]);
    assert_eq!(evidence(&together)[1], ("strange", 0.0), "three rows, of all windows together");
    for privacy in [Privacy::default().min_count(65), Privacy::NONE.epsilon(1.0)] {
        let held = alert(privacy, AlertCode::DeadFeature, &dead);
        assert_eq!((evidence(&held), what(&held)), (vec![], ("drift", "WARN", None)), "{privacy:?}");
        assert_eq!(attribute(&held.attributes, "selvedge.feature.name"), Some("wind"));
        let body = format!("{:?}", held.body);
        assert!(body.contains("drift of 'wind' raised") && !body.contains("3.2"), "{body}");
    }
    let unknown = alert(Privacy::default(), AlertCode::Other("own".into()), &[("value", 7.25)]);
    assert_eq!((evidence(&unknown), what(&unknown).0), (vec![], "own"), "of how many rows nobody says");
}

#[test]
fn what_was_wrong_with_a_feature_stays_if_few_rows_were() {
    for (code, share) in [
        (AlertCode::MissingValues, "missing"),
        (AlertCode::NewCategory, "new_category"),
        (AlertCode::OutOfRange, "out_of_range"),
    ] {
        for (count, name) in [(3.0, "drift"), (9.0, "drift"), (10.0, code.name()), (800.0, code.name())] {
            let log = alert(Privacy::default(), code.clone(), &[("rows", 1000.0), ("p", 0.5), (share, count / 1000.0)]);
            assert_eq!(what(&log).0, name, "{share}: {count} rows");
        }
    }
}

#[test]
fn operation_is_told_under_noise() {
    let broken = [("value", 0.251), ("bound", 0.1), ("cases", 200.0)];
    let sent = alert(Privacy::NONE.epsilon(0.5), AlertCode::BrokenPromise, &broken);
    assert_eq!(evidence(&sent), [("value", 0.25), ("bound", 0.1), ("cases", 200.0)]);
}

fn learned(features: Vec<(&str, Bins, Vec<u64>)>) -> Profile {
    let feature = |(name, bins, counts): (&str, Bins, Vec<u64>)| FeatureProfile {
        name: name.into(),
        source: FeatureSource::Input,
        bins,
        counts,
        moments: None,
        dependence: vec![],
        runs: None,
    };
    let features: Vec<FeatureProfile> = features.into_iter().map(feature).collect();
    let rows = features[0].counts.iter().sum();
    Profile { model: [9; 32], rows, learned: true, block: 1, features, embedding: None, reliability: None }
}

fn wind() -> Profile {
    let edges = vec![-17.5, -3.25, 0.25, 2.75, 5.5, 6.5, 913.0];
    let counts = vec![0, 20, 30, 30, 20, 40, 3, 0, 7];
    let sky = Bins::categories(vec!["clear".into(), "rain".into(), "hail".into()]).unwrap();
    learned(vec![("wind", Bins::numeric(edges).unwrap(), counts), ("sky", sky, vec![90, 50, 3, 0, 7])])
}

fn window(privacy: Privacy) -> Requests {
    with(privacy, |log| {
        log.model(1, "rain", Some(&wind()));
        log.now = 60 * SECOND;
        let features = vec![vec![15, 40, 30, 20, 10, 50, 60, 25, 11], vec![100, 80, 40, 30, 11]];
        log.window(60, Window { features, ..rows(261) });
    })
}

fn magnitudes(request: &ExportMetricsServiceRequest) -> Vec<ExponentialHistogramDataPoint> {
    let metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    assert!(metrics.clone().all(|m| m.name != "selvedge.feature"), "no bounds");
    metrics
        .filter(|m| m.name == "selvedge.feature.magnitude")
        .flat_map(|m| match &m.data {
            Some(Data::ExponentialHistogram(h)) => h.data_points.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_learned_profile_is_told_by_powers_of_two_and_ranks() {
    let values =
        |requests: &Requests, name: &str| sums(&requests.metrics, name).iter().map(|s| s.2).collect::<Vec<_>>();
    for (privacy, powers, other, categories) in [
        // Middles −10.375, −1.5, 1.5, 4.125, 6, 459.75.
        (Privacy::NONE, vec![20, 0, 60, 0, 0, 0, 0, 0, 60], 15 + 25, vec![100, 80, 40, 30]),
        // Of the last power, and of hail, three rows were learned.
        (Privacy::default(), vec![20, 0, 60], 15 + 25 + 60, vec![100, 80, 70]),
    ] {
        let requests = window(privacy);
        let [wind] = &magnitudes(&requests.metrics)[..] else { panic!() };
        let (positive, negative) = (wind.positive.as_ref().unwrap(), wind.negative.as_ref().unwrap());
        assert_eq!((wind.scale, wind.zero_count, wind.sum), (0, 0, None));
        assert_eq!((positive.offset, &positive.bucket_counts), (0, &powers), "1 to 2, 4 to 8, 256 to 512");
        assert_eq!((negative.offset, &negative.bucket_counts[..]), (0, &[30, 0, 0, 40][..]), "−2 to −1, −16 to −8");
        assert_eq!(wind.count, powers.iter().sum::<u64>() + 70);
        assert_eq!(values(&requests, "selvedge.feature.other"), [other]);
        assert_eq!(values(&requests, "selvedge.feature.category"), categories);
        assert_eq!(values(&requests, "selvedge.feature.missing"), [11, 11]);
    }
    // Noise covers the rows that are counted, and not those that the bins were made of.
    let requests = window(Privacy::NONE.epsilon(1.0));
    assert!(magnitudes(&requests.metrics).is_empty());
    assert!(values(&requests, "selvedge.feature.category").is_empty());
    assert_eq!(values(&requests, "selvedge.feature.missing").len(), 2);
}

#[test]
fn a_power_of_two_lies_in_the_bucket_below_it() {
    for (low, high, offset) in
        [(0.5f32, 1.5, -1), (1.5, 2.5, 0), (0.75, 1.75, 0), (6.0, 10.0, 2), (7.0, 10.0, 3), (1e-40, 3e-40, -132)]
    {
        let profile = learned(vec![("v", Bins::numeric(vec![low, high]).unwrap(), vec![0, 50, 0, 0])]);
        let requests = with(Privacy::NONE, |log| {
            log.model(1, "m", Some(&profile));
            log.now = SECOND;
            log.window(1, Window { features: vec![vec![0, 9, 0, 0]], ..rows(9) });
        });
        let point = magnitudes(&requests.metrics).pop().unwrap();
        let middle = (f64::from(low) + f64::from(high)) / 2.0;
        let buckets = point.positive.unwrap();
        assert_eq!((buckets.offset, &buckets.bucket_counts[..]), (offset, &[9][..]), "{middle}");
        assert!(f64::from(offset).exp2() < middle && middle <= f64::from(offset + 1).exp2(), "{middle}");
    }
}

/// One row more in a learned profile would change its digest: what stands for it follows from the install.
#[test]
fn the_digest_of_a_learned_profile_stays() {
    let digest = |requests: &Requests| {
        let resource = requests.metrics.resource_metrics[0].resource.clone().unwrap();
        assert_eq!(attribute(&resource.attributes, "selvedge.profile.learned"), Some("true"));
        attribute(&resource.attributes, "selvedge.profile.digest").unwrap().to_string()
    };
    let requests = window(Privacy::NONE);
    assert_ne!(digest(&requests), format!("{:02x}", wind().encode().len() as u8).repeat(32), "that of the record");
    assert_ne!(digest(&requests), digest(&window(Privacy::NONE)), "another install");
}

fn classes(request: &ExportMetricsServiceRequest) -> std::collections::BTreeMap<i64, i64> {
    let metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    let points = metrics.filter(|m| m.name == "selvedge.class").flat_map(|m| match &m.data {
        Some(Data::Sum(sum)) => sum.data_points.clone(),
        other => panic!("{other:?}"),
    });
    points
        .map(|p| match (p.attributes[0].value.as_ref().unwrap().value.clone(), p.value) {
            (Some(Value::Int(class)), Some(crate::sync::otlp::Number::Int(count))) => (class, count),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn classes_that_never_occurred_have_noise_too() {
    let sent = |privacy: Privacy, windows: u64, of: &[(u16, u64)]| {
        let requests = with(privacy, |log| {
            log.model(1, "m", None);
            for i in 1..=windows {
                log.now = i * SECOND;
                log.window(1, Window { classes: of.to_vec(), ..rows(10) });
            }
        });
        classes(&requests.metrics)
    };
    // At ε = 0.1 the noise of one class is above zero in 45 windows of 100.
    let blurred = sent(Privacy::NONE.epsilon(0.1), 100, &[(0, 1000), (700, 5)]);
    for class in 0..64 {
        assert!(blurred.contains_key(&class), "class {class} says that it never occurred");
    }
    assert!((blurred[&0] - 100_000).abs() < 2_000, "{}", blurred[&0]);
    assert!(!blurred.contains_key(&700), "5 rows are no more than noise");
    assert!(blurred.keys().filter(|class| **class >= 64).count() < 20, "noise alone rarely passes: {blurred:?}");
    let frequent = sent(Privacy::NONE.epsilon(1.0), 10, &[(700, 1000)]);
    assert!((frequent[&700] - 10_000).abs() < 100, "{}", frequent[&700]);
    assert!(sent(Privacy::NONE.epsilon(0.1), 100, &[]).is_empty(), "a model of text has no classes");
    assert_eq!(sent(Privacy::NONE, 2, &[(0, 3), (700, 5)]), [(0, 6), (700, 10)].into());
}

/// How often noise alone passes the threshold among ids that no row has: once in a hundred windows, in the mean.
#[test]
fn the_many_ids_that_never_occur_pass_as_rarely_as_they_should() {
    let privacy = Privacy::NONE.epsilon(0.5);
    let mut noise = crate::sync::privacy::Noise::default();
    let (windows, mut passed) = (20_000, 0);
    for _ in 0..windows {
        let (mut ids, mut given, mut held) = (vec![0], vec![], vec![]);
        privacy.classes(&[], &mut ids, [&mut given, &mut held], &mut noise).unwrap();
        passed += ids.iter().filter(|id| **id >= 64).count();
    }
    // P(X ≥ 32) · 65,472 = e^−16 / (1 + e^−0.5) · 65,472 = 0.00459 a window: 92 ± 6 standard errors of 9.6.
    assert!((34..=150).contains(&passed), "{passed} in {windows} windows");
}

#[test]
fn confidence_that_a_window_lacks_has_noise_too() {
    let requests = with(Privacy::NONE.epsilon(0.05), |log| {
        log.model(1, "m", None);
        for i in 1..=3 {
            log.now = i * SECOND;
            let confidence = if i == 1 { vec![50; 20] } else { vec![] };
            log.window(1, Window { confidence, ..rows(10) });
        }
    });
    let metrics = requests.metrics.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    let Some(Data::Histogram(h)) = metrics.filter(|m| m.name == "selvedge.confidence").find_map(|m| m.data.clone())
    else {
        panic!()
    };
    let counts: Vec<u64> = h.data_points.iter().map(|p| p.count).collect();
    assert!(counts[0] < counts[1] && counts[1] < counts[2], "20 bins at σ = 28 do not stand still: {counts:?}");
}

#[test]
fn labels_wait_until_they_are_enough() {
    let labelled = |privacy: Privacy, labels: u64, windows: u64| {
        let requests = with(privacy, |log| {
            log.model(1, "m", None);
            log.now = SECOND;
            for id in 0..labels {
                let model_slot = ModelSlot(1);
                let truth = u16::from(id % 20 == 0);
                log.other(|stamp| {
                    Record::Feedback(FeedbackRecord {
                        stamp,
                        model_slot,
                        id,
                        predicted: 0,
                        truth,
                        ..Default::default()
                    })
                });
            }
            for _ in 0..windows {
                log.now += SECOND;
                log.window(1, rows(10));
            }
        });
        let sent: Vec<i64> = sums(&requests.metrics, "selvedge.feedback").iter().map(|s| s.2).collect();
        sent.chunks(2).next_back().map(<[i64]>::to_vec)
    };
    assert_eq!(labelled(Privacy::NONE, 100, 0), Some(vec![95, 5]));
    assert_eq!(labelled(Privacy::default(), 100, 0), Some(vec![90, 0]), "five wrong ones are too few");
    assert_eq!(labelled(Privacy::default().min_count(96), 100, 1), None);
    assert_eq!(labelled(Privacy::NONE.epsilon(1.0), 100, 0), None, "noise comes with a window");
    let blurred = labelled(Privacy::NONE.epsilon(1.0), 100, 1).unwrap();
    assert!((blurred[0] - 95).abs() < 30 && (blurred[1] - 5).abs() < 30, "{blurred:?}");
}

/// The step and the verdict leave; the numbers that speak for it stay.
#[test]
fn steps_of_a_rollout_are_logs_without_numbers() {
    let finding = RolloutFinding { name: "errors".into(), words: "12 of 48".into(), ..RolloutFinding::default() };
    let requests = with(Privacy::NONE, |log| {
        log.other(|stamp| {
            Record::Rollout(RolloutRecord {
                stamp,
                version: "v2".into(),
                step: "rolled_back".into(),
                test: Some("autumn".into()),
                verdict: Some("roll_back".into()),
                evidence: vec![finding],
            })
        });
    });
    let [record] = &requests.logs.resource_logs[0].scope_logs[0].log_records[..] else { panic!() };
    assert_eq!((&*record.event_name, record.severity_number), ("selvedge.rollout", 13));
    let of = |key: &str| attribute(&record.attributes, key);
    let told = ["version", "step", "test", "verdict"].map(|key| of(&format!("selvedge.rollout.{key}")));
    assert_eq!(told, [Some("v2"), Some("rolled_back"), Some("autumn"), Some("roll_back")]);
    // Times and ids have digits of their own.
    assert!(of("log.record.uid").is_some() && !format!("{record:?}").contains(" of 48"));
}
