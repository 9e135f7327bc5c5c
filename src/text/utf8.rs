//! UTF-8: whole characters from the bytes of tokens.

/// Collects bytes and lets go of them as text, once the characters are whole.
///
/// What can never become UTF-8 is U+FFFD, one per maximal invalid part, as `String::from_utf8_lossy` does it.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    held: Vec<u8>,
}

impl Utf8 {
    /// Appends to `text` what is whole now; an unfinished character stays back (at most 3 bytes).
    pub(super) fn push(&mut self, bytes: &[u8], text: &mut String) {
        self.held.extend_from_slice(bytes);
        let mut done = 0;
        while done < self.held.len() {
            match std::str::from_utf8(&self.held[done..]) {
                Ok(valid) => {
                    text.push_str(valid);
                    done = self.held.len();
                }
                Err(e) => {
                    let valid = e.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.held[done..done + valid]));
                    done += valid;
                    match e.error_len() {
                        Some(invalid) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            done += invalid;
                        }
                        None => break,
                    }
                }
            }
        }
        self.held.drain(..done);
    }

    /// No more bytes come: an unfinished character is U+FFFD.
    pub(super) fn finish(&mut self, text: &mut String) {
        if !self.held.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            self.held.clear();
        }
    }
}
