//! Numbers of lines in bytes that pass by, which a reader of records skips empty ones of.

use std::collections::VecDeque;
use std::io::{self, Read};

/// A source that remembers where its lines begin, as far as nobody has asked for them.
pub(super) struct Lines<R> {
    source: R,
    offset: u64,
    line: u64,
    is_begin: bool,
    after_cr: bool,
    /// Offset of the first byte and number of each line that holds something.
    begins: VecDeque<(u64, u64)>,
}

impl<R> Lines<R> {
    /// The number of the first line is `line`.
    pub(super) fn new(source: R, line: u64) -> Self {
        Self { source, offset: 0, line, is_begin: true, after_cr: false, begins: VecDeque::new() }
    }

    /// The number of the first line that begins at an offset or behind it, which no earlier call has gone beyond.
    pub(super) fn line_from(&mut self, offset: u64) -> u64 {
        while self.begins.front().is_some_and(|(begin, _)| *begin < offset) {
            self.begins.pop_front();
        }
        self.begins.front().map_or(self.line, |(_, line)| *line)
    }

    fn pass(&mut self, byte: u8) {
        match byte {
            b'\n' if self.after_cr => {}
            b'\n' | b'\r' => (self.line, self.is_begin) = (self.line + 1, true),
            _ if self.is_begin => {
                self.begins.push_back((self.offset, self.line));
                self.is_begin = false;
            }
            _ => {}
        }
        self.after_cr = byte == b'\r';
        self.offset += 1;
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(into)?;
        into[..n].iter().for_each(|byte| self.pass(*byte));
        Ok(n)
    }
}
