//! Configuration of a monitor: JSON becomes a probe and the options of a builder.

use std::sync::Arc;
use std::time::Duration;

use selvedge::drift::{Detector, FalseAlarm, FeatureSource, Persistence, Slo};
use selvedge::layer::monitor::{Monitor, MonitorBuilder, MonitoredStream};
use selvedge::layer::probe::{All, Audio, Classes, Columns, Embeddings, Image, Layout, Probe, Tokens};
use selvedge::telemetry::Telemetry;
use selvedge::{Dim, Embed, Engine, Kind, Port, Result, Spec};

use crate::fields::{Field, Fields};
use crate::memory::invalid;

/// What a configuration makes.
pub(crate) struct Config {
    pub(crate) monitor: MonitorBuilder,
    /// Whether the probe sees classes.
    pub(crate) has_classes: bool,
}

/// Numbers that no configuration needs to exceed, so that none is beyond all memory or time.
const MAX_UNLABELLED: u64 = 1 << 24;
const MAX_WINDOWS: u64 = 1 << 32;
const MAX_SECONDS: f64 = 1e12;

impl Config {
    pub(crate) fn read(text: &str, engine: Arc<dyn Engine>, telemetry: Telemetry) -> Result<Self> {
        Self::of(Fields::of_text("config", text)?, engine, telemetry)
    }

    pub(crate) fn of(mut fields: Fields, engine: Arc<dyn Engine>, telemetry: Telemetry) -> Result<Self> {
        let probe = probes(fields.require("probe")?, engine.spec())?;
        let has_classes = probe.features().iter().any(|feature| feature.source == FeatureSource::Class);
        let mut monitor = Monitor::builder(engine, telemetry, probe);
        if let Some(rows) = fields.read("window", |f| f.whole(u64::MAX))? {
            monitor = monitor.window(rows);
        }
        if let Some(age) = fields.read("time_cap_s", seconds)? {
            monitor = monitor.time_cap(age);
        }
        if let Some(windows) = fields.read("learn", |f| f.whole(MAX_WINDOWS))? {
            monitor = monitor.learn(windows);
        }
        if let Some(rate) = fields.read("false_alarm", false_alarm)? {
            monitor = monitor.false_alarm(rate);
        }
        if let Some(persistence) = fields.read("persistence", persistence)? {
            monitor = monitor.persistence(persistence);
        }
        if let Some(windows) = fields.read("calm", |f| f.whole(u32::MAX.into()))? {
            monitor = monitor.calm(windows as u32);
        }
        if let Some(answers) = fields.read("unlabelled", |f| f.whole(MAX_UNLABELLED))? {
            monitor = monitor.unlabelled(answers as usize);
        }
        if let Some(slo) = fields.read("slo", slo)? {
            monitor = monitor.slo(slo);
        }
        for (stream, detector) in fields.read("detectors", detectors)?.unwrap_or_default() {
            monitor = monitor.detector(stream, detector);
        }
        fields.end()?;
        Ok(Self { monitor, has_classes })
    }
}

/// One probe, or a list of them.
pub(crate) fn probes(field: Field, spec: &Spec) -> Result<All> {
    if !field.value.is_array() {
        return probe(All::new(), field, spec);
    }
    field.list()?.into_iter().try_fold(All::new(), |all, field| probe(all, field, spec))
}

#[derive(Clone, Copy)]
enum ProbeKind {
    Columns,
    Classes,
    Image,
    Audio,
    Embeddings,
    Tokens,
}

fn probe(all: All, field: Field, spec: &Spec) -> Result<All> {
    let mut fields = field.object()?;
    let kind = fields.require("kind")?.one_of(&[
        ("columns", ProbeKind::Columns),
        ("classes", ProbeKind::Classes),
        ("image", ProbeKind::Image),
        ("audio", ProbeKind::Audio),
        ("embeddings", ProbeKind::Embeddings),
        ("tokens", ProbeKind::Tokens),
    ])?;
    let all = match kind {
        ProbeKind::Columns => all.and(columns(&mut fields, spec)?),
        ProbeKind::Classes => all.and(classes(&mut fields, spec)?),
        ProbeKind::Image => all.and(image(&mut fields, spec)?),
        ProbeKind::Audio => all.and(audio(&mut fields, spec)?),
        ProbeKind::Embeddings => all.and(embeddings(&mut fields, spec)?),
        ProbeKind::Tokens => all.and(Tokens),
    };
    fields.end()?;
    Ok(all)
}

fn columns(fields: &mut Fields, spec: &Spec) -> Result<Columns> {
    let path = fields.path().to_owned();
    let (input, output) = (fields.take("input"), fields.take("output"));
    let names = fields.require("names")?;
    let names_path = names.path.clone();
    let names = names.list()?.into_iter().map(Field::text).collect::<Result<Vec<_>>>()?;
    if names.is_empty() {
        return Err(invalid(format!("{names_path}: expected at least one name, got none")));
    }
    let (port, mut columns) = match (input, output) {
        (Some(_), Some(_)) => return Err(invalid(format!("{path}: expected \"input\" or \"output\", got both"))),
        (input, None) => {
            let (name, port) = tensor(input, &path, Side::Input, spec)?;
            (port, Columns::of(name, &names))
        }
        (None, output) => {
            let (name, port) = tensor(output, &path, Side::Output, spec)?;
            (port, Columns::of_output(name, &names))
        }
    };
    check_width(&names_path, names.len(), port)?;
    for category in fields.read("categories", Field::list)?.unwrap_or_default() {
        let unknown = category.expected("one of \"names\"");
        let name = category.text()?;
        if !names.contains(&name) {
            return Err(unknown);
        }
        columns = columns.category(&name);
    }
    Ok(columns)
}

fn classes(fields: &mut Fields, spec: &Spec) -> Result<Classes> {
    let path = fields.path().to_owned();
    let mut classes = Classes::of(tensor(fields.take("output"), &path, Side::Output, spec)?.0);
    if fields.read("softmax", Field::flag)?.unwrap_or(false) {
        classes = classes.softmax();
    }
    if fields.read("binary", Field::flag)?.unwrap_or(false) {
        classes = classes.binary();
    }
    Ok(classes)
}

fn image(fields: &mut Fields, spec: &Spec) -> Result<Image> {
    let path = fields.path().to_owned();
    let image = Image::of(tensor(fields.take("input"), &path, Side::Input, spec)?.0);
    let layout = fields.read("layout", |f| f.one_of(&[("chw", Layout::Chw), ("hwc", Layout::Hwc)]))?;
    Ok(layout.map_or(image.clone(), |layout| image.layout(layout)))
}

fn audio(fields: &mut Fields, spec: &Spec) -> Result<Audio> {
    let path = fields.path().to_owned();
    let input = tensor(fields.take("input"), &path, Side::Input, spec)?.0;
    let rate = fields.require("sample_rate")?;
    let wrong = rate.expected("a whole number of hertz, at least 1");
    match rate.whole(u32::MAX.into())? {
        0 => Err(wrong),
        rate => Ok(Audio::of(input, rate as u32)),
    }
}

fn embeddings(fields: &mut Fields, spec: &Spec) -> Result<Embeddings> {
    let path = fields.path().to_owned();
    match fields.take("output") {
        // That of a request for embeddings, which is no tensor of the model.
        None if spec.abilities.embed => Ok(Embeddings::default()),
        Some(field) if spec.abilities.embed && field.value == Embed::OUTPUT => Ok(Embeddings::default()),
        output => Ok(Embeddings::of(tensor(output, &path, Side::Output, spec)?.0)),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Input,
    Output,
}

/// The name of a tensor, and what the model says of it; left out, it is the first one.
fn tensor<'s>(field: Option<Field>, probe: &str, side: Side, spec: &'s Spec) -> Result<(String, Option<&'s Port>)> {
    let (what, ports) = match side {
        Side::Input => ("input", &spec.inputs),
        Side::Output => ("output", &spec.outputs),
    };
    let path = field.as_ref().map_or(format!("{probe}.{what}"), |field| field.path.clone());
    let name = field.map(Field::text).transpose()?.unwrap_or_default();
    let port = ports.iter().find(|port| name.is_empty() || port.name == name);
    // A model that takes tensors and lists none says nothing of them.
    let is_silent = ports.is_empty() && spec.abilities.tensors;
    if port.is_none() && !is_silent {
        let known: Vec<&str> = ports.iter().map(|port| &*port.name).collect();
        return Err(invalid(format!("{path}: expected an {what} of the model, one of {known:?}, got {name:?}")));
    }
    Ok((name, port))
}

/// A tensor of another number of columns would never be looked at.
fn check_width(path: &str, names: usize, port: Option<&Port>) -> Result<()> {
    if let Some(port) = port
        && let Kind::Tensor { shape: Some(dims), .. } = &port.kind
        && let (Some(Dim::Fixed(width)), false) = (dims.last(), names == 1 && dims.len() < 2)
        && *width != names
    {
        let has = format!("as many as '{}' has columns", port.name);
        return Err(invalid(format!("{path}: expected {width} names, {has}, got {names}")));
    }
    Ok(())
}

fn seconds(field: Field) -> Result<Duration> {
    let wrong = field.expected("a number of seconds above 0");
    let seconds = field.number(0.0, MAX_SECONDS)?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or(wrong)
}

fn false_alarm(field: Field) -> Result<FalseAlarm> {
    let wrong = field.expected("{\"windows\"}, or {\"every_s\", \"rows_per_s\"}");
    let mut fields = field.object()?;
    let windows = fields.read("windows", |f| f.number(0.0, f64::MAX))?;
    let every = fields.read("every_s", seconds)?;
    let rate = fields.read("rows_per_s", |f| f.number(0.0, f64::MAX))?;
    fields.end()?;
    match (windows, every, rate) {
        (Some(windows), None, None) => Ok(FalseAlarm::windows(windows)),
        (None, Some(every), Some(rate)) => Ok(FalseAlarm::every(every, rate)),
        _ => Err(wrong),
    }
}

fn persistence(field: Field) -> Result<Persistence> {
    let (path, wrong) = (field.path.clone(), field.expected("two whole numbers, such as [2, 3]"));
    let numbers = field.list()?.into_iter().map(|f| f.whole(u8::MAX.into())).collect::<Result<Vec<_>>>()?;
    let [k, n] = numbers[..] else { return Err(wrong) };
    Persistence::new(k as u8, n as u8).map_err(|e| e.during(format!("reading {path}")))
}

fn slo(field: Field) -> Result<Slo> {
    let mut fields = field.object()?;
    let mut slo = Slo::new();
    let time = |f: Field| f.number(0.0, f64::MAX);
    let share = |f: Field| f.number(0.0, 1.0);
    slo.p50_ms = fields.read("p50_ms", time)?;
    slo.p95_ms = fields.read("p95_ms", time)?;
    slo.p99_ms = fields.read("p99_ms", time)?;
    slo.errors = fields.read("errors", share)?;
    slo.refusals = fields.read("refusals", share)?;
    slo.length_stops = fields.read("length_stops", share)?;
    slo.schema_valid = fields.read("schema_valid", share)?;
    slo.min_cases = fields.read("min_cases", |f| f.whole(u64::MAX))?.unwrap_or(0);
    fields.end()?;
    Ok(slo)
}

fn detectors(field: Field) -> Result<Vec<(MonitoredStream, Detector)>> {
    field.list()?.into_iter().map(detector).collect()
}

fn detector(field: Field) -> Result<(MonitoredStream, Detector)> {
    let mut fields = field.object()?;
    let stream = fields.require("stream")?.one_of(&[
        ("latency", MonitoredStream::Latency),
        ("errors", MonitoredStream::Errors),
        ("confidence", MonitoredStream::Confidence),
    ])?;
    let kind = fields.require("kind")?.one_of(&[
        ("adwin", Detector::adwin()),
        ("page_hinkley", Detector::page_hinkley()),
        ("kswin", Detector::kswin()),
        ("ddm", Detector::Ddm),
    ])?;
    // Ranges are the detector's own; its errors name the parameter.
    let number = |f: Field| f.number(f64::MIN, f64::MAX);
    let detector = match kind {
        Detector::Adwin { delta, clock } => Detector::Adwin {
            delta: fields.read("delta", number)?.unwrap_or(delta),
            clock: fields.read("clock", |f| f.whole(u64::MAX))?.unwrap_or(clock),
        },
        Detector::PageHinkley { delta, threshold, forgetting } => Detector::PageHinkley {
            delta: fields.read("delta", number)?.unwrap_or(delta),
            threshold: fields.read("threshold", number)?.unwrap_or(threshold),
            forgetting: fields.read("forgetting", number)?.unwrap_or(forgetting),
        },
        Detector::Kswin { alpha, window, latest } => Detector::Kswin {
            alpha: fields.read("alpha", number)?.unwrap_or(alpha),
            window: fields.read("window", |f| f.whole(u32::MAX.into()))?.map_or(window, |n| n as usize),
            latest: fields.read("latest", |f| f.whole(u32::MAX.into()))?.map_or(latest, |n| n as usize),
        },
        other => other,
    };
    fields.end()?;
    Ok((stream, detector))
}
