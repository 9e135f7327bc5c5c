//! HTTP/1.1 as far as a test needs it.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A request of which a part is on the wire.
pub(crate) struct Begun {
    stream: TcpStream,
    rest: Vec<u8>,
}

pub(crate) fn post(port: u16, path: &str, encoding: Option<&str>, body: &[u8]) -> Result<Answer> {
    let mut stream = open(port, path, encoding, body.len())?;
    stream.write_all(body)?;
    answer(stream)
}

/// In HTTP/1.0, which has no chunks.
pub(crate) fn get(port: u16, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())?;
    answer(stream)
}

/// Sends only the first bytes of the body.
pub(crate) fn begin(port: u16, path: &str, encoding: Option<&str>, body: &[u8], first: usize) -> Begun {
    let mut stream = open(port, path, encoding, body.len()).unwrap();
    stream.write_all(&body[..first]).unwrap();
    Begun { stream, rest: body[first..].to_vec() }
}

impl Begun {
    pub(crate) fn finish(mut self) -> Result<Answer> {
        self.stream.write_all(&self.rest)?;
        answer(self.stream)
    }
}

fn open(port: u16, path: &str, encoding: Option<&str>, length: usize) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let encoding = encoding.map_or_else(String::new, |e| format!("Content-Encoding: {e}\r\n"));
    let kind = selvedge::sync::Batch::CONTENT_TYPE;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: {kind}\r\n{encoding}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

fn answer(mut stream: TcpStream) -> Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_string();
    status.map(|status| Answer { status, body }).ok_or_else(|| Error::new(ErrorKind::UnexpectedEof, "no answer"))
}
