//! Files of the Collector: OTLP in JSON, a request per line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::device::Device;
use crate::process;

/// A histogram's point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) start: u64,
    pub(crate) buckets: Vec<u64>,
    /// The edges are floats of 32 bits, which the reading of JSON keeps; the last bit of 64 it does not.
    pub(crate) bounds: Vec<f32>,
}

#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Points of `selvedge.feature`, by the feature's name and time.
    pub(crate) histograms: BTreeMap<(String, u64), Histogram>,
    /// All points, copies included.
    pub(crate) points: usize,
    /// Points that came twice and differ.
    pub(crate) conflicts: usize,
    /// `log.record.uid`s.
    pub(crate) logs: BTreeSet<String>,
    attributes: BTreeMap<String, String>,
    /// Time and value of `selvedge.windows`.
    windows: BTreeMap<u64, i64>,
}

impl Received {
    pub(crate) fn attribute(&self, key: &str) -> Option<&String> {
        self.attributes.get(key)
    }

    /// The last total of closed windows.
    pub(crate) fn windows(&self) -> i64 {
        self.windows.values().next_back().copied().unwrap_or(0)
    }
}

/// Reads the files of all Collectors that wrote into the folder. A line that is being written is left for later.
pub(crate) fn read(folder: &Path) -> Received {
    let mut received = Received::default();
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "jsonl") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for request in
            text.split_inclusive('\n').filter(|l| l.ends_with('\n')).map(|l| serde_json::from_str(l).unwrap())
        {
            received.metrics(&request, &mut seen);
            received.logs(&request);
        }
    }
    received
}

/// Waits until the files hold every point that the device reported, and compares each with what the test counted itself.
pub(crate) fn check<T>(device: &Device<T>, folder: &Path) -> Received {
    let expected = device.expected();
    let received = process::wait(|| {
        let received = read(folder);
        (received.histograms.len() >= expected.len() && received.logs.len() >= device.alerts).then_some(received)
    });
    if let Some((series, point)) =
        expected.iter().find(|(series, point)| received.histograms.get(*series) != Some(*point))
    {
        panic!("{series:?}: expected {point:?}, got {:?}", received.histograms.get(series));
    }
    assert_eq!(received.histograms.len(), expected.len());
    assert_eq!(received.logs.len(), device.alerts);
    assert_eq!(received.windows(), device.windows as i64);
    received
}

impl Received {
    fn metrics(&mut self, request: &Value, seen: &mut BTreeMap<String, Value>) {
        for resource in list(request, "resourceMetrics") {
            for attribute in list(&resource["resource"], "attributes") {
                self.attributes.insert(text(&attribute["key"]), text(&attribute["value"]["stringValue"]));
            }
            for metric in list(resource, "scopeMetrics").iter().flat_map(|s| list(s, "metrics")) {
                let name = text(&metric["name"]);
                let data =
                    ["sum", "histogram", "exponentialHistogram"].map(|k| &metric[k]).into_iter().find(|d| !d.is_null());
                let data = data.unwrap_or_else(|| panic!("{name}: no data that the test knows: {metric}"));
                assert_eq!(data["aggregationTemporality"], 2, "{name} is cumulative");
                for point in list(data, "dataPoints") {
                    self.point(&name, &resource["resource"], point, seen);
                }
            }
        }
    }

    fn point(&mut self, name: &str, resource: &Value, point: &Value, seen: &mut BTreeMap<String, Value>) {
        self.points += 1;
        let time = number(&point["timeUnixNano"]);
        let series = format!("{resource} {name} {} {time}", point["attributes"]);
        if seen.insert(series, point.clone()).is_some_and(|before| before != *point) {
            self.conflicts += 1;
        }
        let start = number(&point["startTimeUnixNano"]);
        assert!(start < time, "{name}: {point}");
        if name == "selvedge.windows" {
            self.windows.insert(time, number(&point["asInt"]) as i64);
        }
        if name == "selvedge.feature" {
            let buckets: Vec<u64> = list(point, "bucketCounts").iter().map(number).collect();
            let bounds = list(point, "explicitBounds").iter().map(|b| b.as_f64().unwrap() as f32).collect();
            assert_eq!(number(&point["count"]), buckets.iter().sum::<u64>());
            let feature = text(&point["attributes"][0]["value"]["stringValue"]);
            self.histograms.insert((feature, time), Histogram { start, buckets, bounds });
        }
    }

    fn logs(&mut self, request: &Value) {
        let resources = list(request, "resourceLogs").iter();
        for log in resources.flat_map(|r| list(r, "scopeLogs")).flat_map(|s| list(s, "logRecords")) {
            let attributes = list(log, "attributes");
            let uid = attributes.iter().find(|a| a["key"] == "log.record.uid").expect("a uid");
            self.logs.insert(text(&uid["value"]["stringValue"]));
        }
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

/// Numbers of 64 bits are texts in OTLP's JSON; zero may be left out.
fn number(value: &Value) -> u64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}
