//! Batches against a real VictoriaMetrics, whose own protocol is another one: what it makes of ours, to the last count.
//!
//! `tests/run --long` builds it (tests/tools/victoria-metrics) and names it in `SELVEDGE_VICTORIA_METRICS`. Without that
//! variable, and without a binary at target/victoria-metrics, the tests say so and pass.

mod samples;
mod server;
mod stored;

use std::collections::BTreeMap;

use selvedge::sync::Encoding;

use crate::device::{DAY, Device, HOUR, now};
use crate::exact;
use crate::otlp::Data;
use samples::{decode, of_batches, of_request};
use server::{KEEP, Server};
use stored::{Labels, Samples, check_features, parts};

/// Copies of a sample are one.
const DEDUP: &str = "-dedup.minScrapeInterval=1ms";

#[test]
fn every_count_arrives_in_every_encoding() {
    for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
        let folder = tempfile::tempdir().unwrap();
        let Some(server) = Server::start(folder.path(), &[KEEP]) else { return };
        let mut device = Device::new(11, now() - HOUR);
        (1..=40).for_each(|minute| device.full_window(minute * 60));
        let batches = server.drain(&mut device.outbox(exact().encoding(encoding)), 40_000);
        assert!(batches.len() > 3, "{} batches", batches.len());
        let stored = server.stored();
        check(&stored, &of_batches(&batches));
        check_features(&stored, device.expected());
        for name in [
            "selvedge.confidence_bucket",
            "selvedge.entropy_count",
            "gen_ai.client.token.usage_sum",
            "gen_ai.server.request.duration_bucket",
            "gen_ai.server.time_to_first_token_sum",
        ] {
            assert!(named(&stored, name).next().is_some(), "{name}");
        }
        let count = stored.values().map(Vec::len).sum::<usize>();
        println!("{encoding:?}: {count} samples of {} series in {} batches", stored.len(), batches.len());
    }
}

#[test]
fn late_data_keeps_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), &[KEEP]) else { return };
    let begun = now() - 30 * DAY;
    let mut device = Device::new(12, begun);
    let ages = [(60, "30 days ago"), (23 * 86_400, "7 days ago"), (30 * 86_400 - 5, "now")];
    ages.iter().for_each(|(seconds, _)| device.full_window(*seconds));
    let batches = server.drain(&mut device.outbox(exact()), 1 << 20);
    let stored = server.stored();
    check(&stored, &of_batches(&batches));
    check_features(&stored, device.expected());
    let windows = named(&stored, "selvedge.windows").next().unwrap();
    for ((seconds, age), point) in ages.iter().zip(windows) {
        let time = begun / 1_000_000 + seconds * 1000;
        assert_eq!(point.0, time, "{age}");
        assert_eq!(server.query("{__name__=\"selvedge.windows\"}", time)[0].1, point.1, "{age}");
    }
}

/// It answers 200 to what it does not keep: only its own counter tells.
#[test]
fn data_older_than_its_retention_is_lost_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), &["-retentionPeriod=14d"]) else { return };
    let mut device = Device::new(13, now() - 30 * DAY);
    [60, 23 * 86_400].into_iter().for_each(|seconds| device.window(seconds));
    let batches = server.drain(&mut device.outbox(exact()), 1 << 20);
    let mut expected = of_batches(&batches);
    let all = expected.values().map(Vec::len).sum::<usize>();
    expected.values_mut().for_each(|points| points.retain(|(ms, _)| *ms > (now() - 14 * DAY) / 1_000_000));
    expected.retain(|_, points| !points.is_empty());
    let kept = expected.values().map(Vec::len).sum::<usize>();
    check(&server.stored(), &expected);
    assert_eq!(server.metric("vm_rows_ignored_total{reason=\"small_timestamp\"}"), (all - kept) as f64);
}

#[test]
fn a_resend_changes_nothing_where_copies_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), &[KEEP, DEDUP]) else { return };
    let expected = resend(&server, &mut Device::new(14, now() - DAY));
    check(&server.stored(), &expected);
}

/// Without the flag the store keeps both copies. Whatever asks for a total or a growth gets the same; a count of
/// samples does not.
#[test]
fn a_resend_is_stored_twice_where_copies_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), &[KEEP]) else { return };
    let begun = now() - DAY;
    let once = resend(&server, &mut Device::new(15, begun));
    let resent = begun / 1_000_000 + 5 * 3_600_000;
    let twice: Samples = once
        .iter()
        .map(|(labels, points)| {
            let copies = points.iter().flat_map(|p| vec![*p; if p.0 <= resent { 2 } else { 1 }]);
            (labels.clone(), copies.collect())
        })
        .collect();
    let stored = server.stored();
    assert_ne!(stored, once);
    check(&stored, &twice);
    let (labels, points) =
        once.iter().find(|(labels, _)| labels["__name__"] == "selvedge.feature_count").expect("a feature");
    let series = format!(
        "{{__name__=\"selvedge.feature_count\", \"selvedge.feature.name\"=\"{}\"}}",
        labels["selvedge.feature.name"]
    );
    let last = points.last().unwrap();
    let ask = |what: &str| server.query(&format!("{what}({series}[1d])"), last.0)[0].1;
    assert_eq!(ask("last_over_time"), last.1);
    assert_eq!(ask("increase_pure"), last.1);
    assert_eq!(ask("count_over_time"), 11.0, "five windows twice, one once");
}

/// What it took in its last seconds may not be on its disk yet, though it answered. Totals make up for it.
#[test]
fn a_killed_server_costs_resolution_and_no_count() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), &[KEEP]) else { return };
    let mut device = Device::new(21, now() - DAY);
    (1..=5).for_each(|hour| device.full_window(hour * 3600));
    let mut outbox = device.outbox(exact());
    server.drain(&mut outbox, 1 << 20);
    server.kill();
    let server = Server::start(folder.path(), &[KEEP]).unwrap();
    let survived = server.stored().values().map(Vec::len).sum::<usize>();
    device.full_window(6 * 3600);
    let expected = of_batches(&server.drain(&mut outbox, 1 << 20));
    let mut stored = server.stored();
    println!("{survived} samples survived");
    stored.values_mut().for_each(|points| drop(points.drain(..points.len() - 1)));
    check(&stored, &expected);
    let mut expected = device.expected();
    let last = expected.keys().map(|(_, time)| *time).max().unwrap();
    expected.retain(|(_, time), _| *time == last);
    check_features(&stored, expected);
}

/// A total is all that arrives: the kind of point that says so is not looked at.
#[test]
fn temporality_is_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), &[KEEP]) else { return };
    let mut device = Device::new(16, now() - HOUR);
    (1..=3).for_each(|minute| device.full_window(minute * 60));
    let batch = device.outbox(exact()).next_batch(1 << 20).unwrap().unwrap();
    let mut request = decode(&batch);
    let metrics = request.resource_metrics.iter_mut().flat_map(|r| &mut r.scope_metrics).flat_map(|s| &mut s.metrics);
    for metric in metrics {
        const DELTA: i32 = 1;
        match metric.data.as_mut().unwrap() {
            Data::Sum(data) => data.aggregation_temporality = DELTA,
            Data::Histogram(data) => data.aggregation_temporality = DELTA,
            Data::ExponentialHistogram(data) => data.aggregation_temporality = DELTA,
        }
    }
    assert_eq!(server.post_request(&request), 200);
    check(&server.stored(), &of_request(&request));
}

/// The growth of every bin in a week, over a fleet of which a device tells of itself twice a week: the difference of
/// last totals is exact. `increase` is not: it guesses what a series was before its first sample.
#[test]
fn a_query_gives_the_bins_of_a_fleet_by_week() {
    let folder = tempfile::tempdir().unwrap();
    let naming = "-opentelemetry.usePrometheusNaming";
    let Some(server) = Server::start(folder.path(), &[KEEP, DEDUP, naming]) else { return };
    // In whole seconds, so that the ends of the weeks are.
    let begun = (now() - 30 * DAY) / 1_000_000_000 * 1_000_000_000;
    let mut fleet: Vec<Device> = (0..3).map(|i| Device::new(17, begun + i)).collect();
    for (i, device) in fleet.iter_mut().enumerate() {
        // The first is silent in the second week.
        let days = [2, 5, 9, 12, 16, 19].into_iter().filter(|day| i > 0 || !(7..14).contains(day));
        days.for_each(|day| device.window(day * 86_400));
        server.drain(&mut device.outbox(exact()), 1 << 20);
    }
    for week in 1..=3 {
        let (from, to) = (begun + (week - 1) * 7 * DAY, begun + week * 7 * DAY);
        let last = |offset: &str| {
            format!("sum by (le, selvedge_feature_name) (last_over_time(selvedge_feature_bucket[90d]{offset}))")
        };
        let growth = format!("{} - ({} default 0)", last(""), last(" offset 1w"));
        let mut counted: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for device in &fleet {
            for (name, buckets) in growth_of(device, from, to) {
                let sum = counted.entry(name).or_insert_with(|| vec![0; buckets.len()]);
                sum.iter_mut().zip(buckets).for_each(|(sum, count)| *sum += count);
            }
        }
        assert_eq!(bins(&server, &growth, to), counted, "week {week}");
        let guess = "sum by (le, selvedge_feature_name) (increase(selvedge_feature_bucket[1w]))";
        assert_ne!(bins(&server, guess, to), counted, "week {week}");
    }
}

#[test]
fn the_median_of_an_exponential_histogram_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), &[KEEP]) else { return };
    let mut device = Device::new(18, now() - HOUR);
    device.full_window(60);
    let batches = server.drain(&mut device.outbox(exact()), 1 << 20);
    let request = decode(&batches[0]);
    let mut metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    let metric = metrics.find(|m| m.name == "gen_ai.server.time_to_first_token").unwrap();
    let Some(Data::ExponentialHistogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    let point = &histogram.data_points[0];
    let buckets = point.positive.as_ref().unwrap();
    let mut below = point.zero_count;
    let at = buckets.bucket_counts.iter().position(|count| {
        below += count;
        below * 2 >= point.count
    });
    let base = f64::from(-point.scale).exp2().exp2();
    let low = base.powi(buckets.offset + at.unwrap() as i32);
    let query = "histogram_quantile(0.5, sum by (vmrange) ({__name__=\"gen_ai.server.time_to_first_token_bucket\"}))";
    let median = server.query(query, point.time_unix_nano / 1_000_000)[0].1;
    // The ranges have four digits.
    assert!((low * 0.999..=low * base * 1.001).contains(&median), "{median} s is not in [{low}, {}]", low * base);
}

#[test]
fn the_check_sees_a_bucket_that_is_off_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), &[KEEP]) else { return };
    let mut device = Device::new(19, now() - HOUR);
    device.full_window(60);
    let batches = server.drain(&mut device.outbox(exact()), 1 << 20);
    let (stored, expected) = (server.stored(), of_batches(&batches));
    check(&stored, &expected);
    for name in ["selvedge.feature_bucket", "gen_ai.server.request.duration_bucket", "gen_ai.client.token.usage_sum"] {
        let mut wrong = expected.clone();
        wrong.iter_mut().find(|(labels, _)| labels["__name__"] == name).unwrap().1[0].1 += 1.0;
        assert_eq!(different(&stored, &wrong).len(), 1, "{name}");
    }
}

/// The answer is lost and the app ends; more is sealed before it comes back. Gives what there is, each sample once.
fn resend(server: &Server, device: &mut Device) -> Samples {
    (1..=5).for_each(|hour| device.full_window(hour * 3600));
    let mut outbox = device.outbox(exact());
    let batch = outbox.next_batch(1 << 20).unwrap().unwrap();
    assert_eq!(server.post(&batch), 200);
    drop(outbox);
    device.full_window(6 * 3600);
    let mut outbox = device.outbox(exact());
    let batches = server.drain(&mut outbox, 1 << 20);
    assert_eq!(batches.len(), 2);
    assert_eq!(batches[0], batch, "byte for byte");
    let count = |samples: &Samples| samples.values().map(Vec::len).sum::<usize>();
    let once = of_batches(&batches);
    let copies = count(&of_batches([&batch]));
    let inserted = server.metric("vm_rows_inserted_total{type=\"opentelemetry\"}");
    assert_eq!(inserted, (count(&once) + copies) as f64, "the copies did arrive");
    once
}

fn check(stored: &Samples, expected: &Samples) {
    let different = different(stored, expected);
    if let Some(labels) = different.first() {
        let (stored, expected) = (stored.get(*labels), expected.get(*labels));
        panic!("{} series differ; {labels:?}: expected {expected:?}, got {stored:?}", different.len());
    }
}

fn different<'a>(stored: &'a Samples, expected: &'a Samples) -> Vec<&'a Labels> {
    let more = stored.keys().filter(|labels| !expected.contains_key(*labels));
    expected.keys().filter(|labels| stored.get(*labels) != expected.get(*labels)).chain(more).collect()
}

fn named<'a>(stored: &'a Samples, name: &str) -> impl Iterator<Item = &'a Vec<(u64, f64)>> {
    stored.iter().filter(move |(labels, _)| labels["__name__"] == name).map(|(_, points)| points)
}

/// The answer to a query by bound and feature, as counts per bucket.
fn bins(server: &Server, query: &str, time: u64) -> BTreeMap<String, Vec<u64>> {
    let mut totals: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (labels, value) in server.query(query, time / 1_000_000) {
        let name = labels["selvedge_feature_name"].as_str().unwrap();
        totals.entry(name.into()).or_default().push((labels["le"].as_str().unwrap().parse().unwrap(), value));
    }
    totals.values_mut().for_each(|buckets| buckets.sort_by(|a, b| a.0.total_cmp(&b.0)));
    totals.into_iter().map(|(name, buckets)| (name, parts(buckets.into_iter().map(|(_, total)| total)))).collect()
}

/// What a device counted of each feature after one time and until another.
fn growth_of(device: &Device, from: u64, to: u64) -> BTreeMap<String, Vec<u64>> {
    let expected = device.expected();
    let totals = |name: &str, until: u64| {
        let points = expected.iter().filter(|((feature, time), _)| feature == name && *time <= until);
        points.max_by_key(|((_, time), _)| *time).map(|(_, point)| point.buckets.clone())
    };
    let names: std::collections::BTreeSet<&String> = expected.keys().map(|(name, _)| name).collect();
    let growth = |name: &&String| {
        let after = totals(name, to).unwrap();
        let before = totals(name, from).unwrap_or_else(|| vec![0; after.len()]);
        after.iter().zip(before).map(|(after, before)| after - before).collect()
    };
    names.iter().map(|name| ((*name).clone(), growth(name))).collect()
}
