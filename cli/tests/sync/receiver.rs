//! A receiver over HTTP that answers as the test says, and keeps what it took.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use prost::Message;

use crate::otlp::{Data, ExportLogsServiceRequest, ExportMetricsServiceRequest, Number, Value};

pub(crate) struct Request {
    pub(crate) target: String,
    /// By their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn metrics(&self) -> ExportMetricsServiceRequest {
        if self.target.contains("/v1/metrics") {
            ExportMetricsServiceRequest::decode(&self.body[..]).unwrap()
        } else {
            Default::default()
        }
    }

    pub(crate) fn logs(&self) -> ExportLogsServiceRequest {
        if self.target.contains("/v1/logs") {
            ExportLogsServiceRequest::decode(&self.body[..]).unwrap()
        } else {
            Default::default()
        }
    }

    /// Names of the metrics in it, and of the features that they are of.
    pub(crate) fn names(&self) -> Vec<String> {
        let request = self.metrics();
        let metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
        metrics
            .flat_map(|metric| {
                let attributes: Vec<_> = match metric.data.as_ref().unwrap() {
                    Data::Sum(sum) => sum.data_points.iter().map(|p| &p.attributes).collect(),
                    Data::Histogram(h) => h.data_points.iter().map(|p| &p.attributes).collect(),
                    Data::ExponentialHistogram(h) => h.data_points.iter().map(|p| &p.attributes).collect(),
                };
                let text = |value: &Option<crate::otlp::AnyValue>| match value.as_ref().and_then(|v| v.value.as_ref()) {
                    Some(Value::String(text)) => text.clone(),
                    _ => String::new(),
                };
                let first =
                    move |a: &Vec<crate::otlp::KeyValue>| a.first().map_or_else(String::new, |a| text(&a.value));
                attributes.into_iter().map(move |a| format!("{} {}", metric.name, first(a))).collect::<Vec<_>>()
            })
            .collect()
    }
}

#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) headers: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, kind: "application/x-protobuf", headers: "", body: vec![] }
    }
}

pub(crate) struct Receiver {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<(Request, u16)>>>,
}

impl Receiver {
    /// Answers each request, one after the other, for as long as the process lives.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let taken = seen.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(request) = read(&stream) else { continue };
                let answer = answer(&request);
                // Before the answer, so that whoever has it finds the request.
                taken.lock().unwrap().push((request, answer.status));
                write(stream, &answer);
            }
        });
        Self { port, seen }
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn first<T>(&self, of: impl FnOnce(&Request) -> T) -> T {
        of(&self.seen.lock().unwrap()[0].0)
    }

    pub(crate) fn all<T>(&self, mut of: impl FnMut(&Request) -> T) -> Vec<T> {
        self.seen.lock().unwrap().iter().map(|(request, _)| of(request)).collect()
    }

    /// Bytes of the bodies that were taken.
    pub(crate) fn taken(&self) -> Vec<usize> {
        self.seen.lock().unwrap().iter().filter(|(_, status)| *status == 200).map(|(r, _)| r.body.len()).collect()
    }

    /// Of what was taken: the largest value of a sum by its name, over all its points; by reason for what was lost.
    pub(crate) fn totals(&self) -> BTreeMap<String, i64> {
        let mut totals: BTreeMap<String, i64> = BTreeMap::new();
        for (request, _) in self.seen.lock().unwrap().iter().filter(|(_, status)| *status == 200) {
            let request = request.metrics();
            let metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
            for metric in metrics {
                let Some(Data::Sum(sum)) = &metric.data else { continue };
                for point in &sum.data_points {
                    let Some(Number::Int(value)) = point.value else { panic!("{point:?}") };
                    let total = totals.entry(metric.name.clone()).or_default();
                    *total = value.max(*total);
                }
            }
        }
        totals
    }

    /// Points and log records that were taken, copies included.
    pub(crate) fn points(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        let taken = seen.iter().filter(|(_, status)| *status == 200).map(|(request, _)| request);
        taken
            .map(|r| {
                r.names().len()
                    + r.logs().resource_logs.iter().flat_map(|l| &l.scope_logs).flat_map(|s| &s.log_records).count()
            })
            .sum()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_string();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
    }
    let length: usize = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { target, headers, body })
}

fn write(mut stream: TcpStream, answer: &Answer) {
    let Answer { status, kind, headers, body } = answer;
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} Status\r\n{kind}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    // Who has gone needs no answer.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}
