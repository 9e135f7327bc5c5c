//! A registry in memory, as small as the distribution specification allows, with what goes wrong on the way to one.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// What goes wrong.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    /// Each body, of either direction, ends after so many bytes at most, at random.
    pub(crate) cut: Option<u64>,
    /// Only so many connections are cut.
    pub(crate) cuts: Option<u32>,
    /// A blob stands still after so many bytes.
    pub(crate) stall: Option<usize>,
    /// Whole blobs are sent, whatever part was asked for.
    pub(crate) no_ranges: bool,
    /// The first requests of blobs are answered 503.
    pub(crate) busy: u32,
    /// `Basic` or `Bearer` is demanded.
    pub(crate) demand: Option<&'static str>,
    /// Blobs are fetched from another address.
    pub(crate) redirect: bool,
}

#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) blobs: HashMap<String, Vec<u8>>,
    pub(crate) manifests: HashMap<String, Vec<u8>>,
    uploads: HashMap<String, Vec<u8>>,
    /// `METHOD path range`, in the order of arrival.
    pub(crate) log: Vec<String>,
    pub(crate) faults: Faults,
    random: u64,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    stored: Arc<Mutex<Stored>>,
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    /// Whether all of the body came.
    is_whole: bool,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Server {
    pub(crate) fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stored = Arc::new(Mutex::new(Stored { faults, random: 88_172_645_463_325_252, ..Stored::default() }));
        let shared = stored.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || serve(&stream, &shared, port));
            }
        });
        Self { port, stored }
    }

    pub(crate) fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap()
    }

    pub(crate) fn reference(&self, tag: &str) -> String {
        format!("127.0.0.1:{}/models/rain:{tag}", self.port)
    }

    /// Requests whose line in the log has this in it.
    pub(crate) fn asked(&self, what: &str) -> usize {
        self.stored().log.iter().filter(|line| line.contains(what)).count()
    }
}

impl Stored {
    /// A random number below `most`, of xorshift.
    fn below(&mut self, most: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % most.max(1)
    }

    /// Where this body is to be cut.
    fn cut(&mut self) -> Option<usize> {
        let most = self.faults.cut?;
        if let Some(cuts) = &mut self.faults.cuts {
            *cuts = cuts.checked_sub(1)?;
        }
        Some(self.below(most) as usize)
    }
}

fn serve(stream: &TcpStream, shared: &Mutex<Stored>, port: u16) {
    let Some(request) = read(stream, shared) else { return };
    let (answer, cut, stall) = {
        let mut stored = shared.lock().unwrap();
        let range = request.headers.get("range").cloned().unwrap_or_default();
        stored.log.push(format!("{} {} {range}", request.method, request.path));
        let answer = answer(&mut stored, &request, port);
        let is_blob = request.method == "GET" && request.path.contains("/blobs/sha256:") && !answer.body.is_empty();
        let cut = if is_blob { stored.cut() } else { None };
        (answer, cut, stored.faults.stall.filter(|_| is_blob))
    };
    let Some(answer) = request.is_whole.then_some(answer) else { return };
    write(stream, &request, &answer, cut, stall);
}

fn answer(stored: &mut Stored, request: &Request, port: u16) -> Answer {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if path == "/token" {
        let is_known = request.headers.get("authorization").is_some_and(|value| value == "Basic bWU6c2VjcmV0");
        let is_asked = query.contains("scope=repository%3Amodels%2Frain%3Apull") && query.contains("service=tests");
        return if is_known && is_asked { body(200, br#"{"token":"t0k3n"}"#) } else { body(401, b"") };
    }
    if let Some(challenge) = challenge(stored, request, port) {
        return challenge;
    }
    if let Some(path) = path.strip_prefix("/elsewhere/") {
        // A part of the registry that never sees who asks.
        assert!(!request.headers.contains_key("authorization"), "credentials for a stranger");
        return blob(stored, path, request);
    }
    let Some(below) = path.strip_prefix("/v2/models/rain/") else { return body(404, b"{}") };
    match (&*request.method, below.split_once('/')) {
        ("GET", Some(("manifests", tag))) => match stored.manifests.get(tag) {
            Some(bytes) => {
                let kind = ("Content-Type".into(), "application/vnd.oci.image.manifest.v1+json".into());
                Answer { status: 200, headers: vec![kind], body: bytes.clone() }
            }
            None => body(404, br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such tag"}]}"#),
        },
        ("PUT", Some(("manifests", tag))) => {
            stored.manifests.insert(tag.into(), request.body.clone());
            body(201, b"")
        }
        ("POST", Some(("blobs", "uploads/"))) => {
            let id = stored.uploads.len().to_string();
            stored.uploads.insert(id.clone(), vec![]);
            at(202, &id, 0)
        }
        (method, Some(("blobs", name))) if name.starts_with("uploads/") => upload(stored, method, name, query, request),
        ("GET" | "HEAD", Some(("blobs", name))) if stored.faults.redirect => {
            let to = format!("http://localhost:{port}/elsewhere/{name}");
            Answer { status: 307, headers: vec![("Location".into(), to)], body: vec![] }
        }
        ("GET" | "HEAD", Some(("blobs", name))) => {
            if request.method == "GET" && stored.faults.busy > 0 {
                stored.faults.busy -= 1;
                return Answer { status: 503, headers: vec![("Retry-After".into(), "0".into())], body: vec![] };
            }
            blob(stored, name, request)
        }
        _ => body(405, b""),
    }
}

/// What is answered to who doesn't say who asks.
fn challenge(stored: &Stored, request: &Request, port: u16) -> Option<Answer> {
    let demand = stored.faults.demand?;
    let right = if demand == "Basic" { "Basic bWU6c2VjcmV0" } else { "Bearer t0k3n" };
    if request.path.starts_with("/elsewhere")
        || request.headers.get("authorization").is_some_and(|value| value == right)
    {
        return None;
    }
    let how = match demand {
        "Basic" => r#"Basic realm="tests""#.to_string(),
        _ => format!(r#"Bearer realm="http://127.0.0.1:{port}/token",service="tests""#),
    };
    Some(Answer { status: 401, headers: vec![("WWW-Authenticate".into(), how)], body: b"who are you?".to_vec() })
}

fn blob(stored: &Stored, name: &str, request: &Request) -> Answer {
    let Some(bytes) = stored.blobs.get(name) else { return body(404, b"{}") };
    let range = request.headers.get("range").filter(|_| !stored.faults.no_ranges);
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from {
        Some(from) if from < bytes.len() => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            Answer { status: 206, headers: vec![("Content-Range".into(), range)], body: bytes[from..].to_vec() }
        }
        Some(_) => body(416, b""),
        None => body(200, bytes),
    }
}

fn upload(stored: &mut Stored, method: &str, name: &str, query: &str, request: &Request) -> Answer {
    let id = name.trim_start_matches("uploads/").to_string();
    let Some(taken) = stored.uploads.get_mut(&id) else { return body(404, b"{}") };
    let range = request.headers.get("content-range").and_then(|range| range.split_once('-')?.0.parse().ok());
    if range.is_some_and(|from: usize| from != taken.len()) {
        return body(416, b"");
    }
    // What came of a body that broke off is kept, as registries do.
    taken.extend_from_slice(&request.body);
    let length = taken.len();
    match method {
        "GET" => at(204, &id, length),
        "PATCH" => at(202, &id, length),
        "PUT" if request.is_whole => {
            let bytes = stored.uploads.remove(&id).unwrap();
            stored.blobs.insert(query.trim_start_matches("digest=").into(), bytes);
            body(201, b"")
        }
        _ => body(400, b""),
    }
}

fn at(status: u16, id: &str, length: usize) -> Answer {
    let location = ("Location".into(), format!("/v2/models/rain/blobs/uploads/{id}"));
    let range = ("Range".into(), format!("0-{}", length.saturating_sub(1)));
    Answer { status, headers: vec![location, range], body: vec![] }
}

fn body(status: u16, bytes: &[u8]) -> Answer {
    Answer { status, headers: vec![], body: bytes.to_vec() }
}

/// A request, of whose body a part may be missing.
fn read(stream: &TcpStream, shared: &Mutex<Stored>) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
    }
    let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let cut = if path.contains("/uploads/") && length > 0 { shared.lock().unwrap().cut() } else { None };
    let mut body = vec![0; cut.map_or(length, |cut| cut.min(length))];
    reader.read_exact(&mut body).ok()?;
    let is_whole = body.len() == length;
    Some(Request { method, path, headers, body, is_whole })
}

fn write(mut stream: &TcpStream, request: &Request, answer: &Answer, cut: Option<usize>, stall: Option<usize>) {
    let Answer { status, headers, body } = answer;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Status\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    let sent = if request.method == "HEAD" || matches!(status, 204) { &[][..] } else { body };
    let end = cut.or(stall).map_or(sent.len(), |end| end.min(sent.len()));
    // Who has gone needs no answer.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&sent[..end]));
    if stall.is_some() && end < sent.len() {
        // For as long as the other one listens.
        let _ = stream.read(&mut [0]);
    }
}
