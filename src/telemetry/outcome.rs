//! The outcome of a request, in the sixteen bits that a record has for it.
//!
//! ```text
//!   bit  15        14  13       12       11       10..8          7..0
//!      ┌─────────┬────┬────────┬────────┬────────┬──────────────┬─────────────────────────────┐
//!      │ further │ 0  │ valid  │checked │refused │ finish       │ number of the Code, or 0    │
//!      └─────────┴────┴────────┴────────┴────────┴──────────────┴─────────────────────────────┘
//! ```
//!
//! `finish` is 0 where no reason is known, as for a failure. `further` marks the second and later rows of one answer: they
//! bring bins and a class, while outcome, latency and tokens of the answer are those of its first row.

use crate::Code;

const FINISH_SHIFT: u32 = 8;
const FINISH_MASK: u16 = 7;
const REFUSED: u16 = 1 << 11;
const CHECKED: u16 = 1 << 12;
const VALID: u16 = 1 << 13;
const FURTHER: u16 = 1 << 15;

/// The names of the finish reasons, from number 1 on. The numbers stand in the files, and are those of the engine and of
/// the C header: never changed and never reused.
const FINISH_NAMES: [&str; 5] = ["complete", "end_of_text", "stop", "length", "context_full"];
const LENGTH: u8 = 4;

/// The outcome of a request: an answer, how it finished and what was said of it; or the code of a failure. The default is
/// an answer of which nothing more is known.
///
/// ```
/// use selvedge::{Code, telemetry::Outcome};
/// let cut = Outcome::answered(4).checked(false);
/// assert_eq!((cut.finish_name(), cut.schema_valid()), (Some("length"), Some(false)));
/// assert!(cut.is_answer() && cut.is_length_stop());
/// assert!(Outcome::failed(Code::Backend).is_fault() && !Outcome::failed(Code::Cancelled).is_fault());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome(u16);

impl Outcome {
    /// An answer with the number of its finish reason: 1 complete, 2 end of text, 3 stop text, 4 length, 5 context full;
    /// 0 where none is known. What is above 7 becomes 7.
    #[must_use]
    pub fn answered(finish: u8) -> Self {
        Self(u16::from(finish).min(FINISH_MASK) << FINISH_SHIFT)
    }

    /// A failure.
    #[must_use]
    pub fn failed(code: Code) -> Self {
        // The numbers of the codes end at 255.
        Self(u8::try_from(code as i32).unwrap_or(u8::MAX).into())
    }

    /// The outcome whose bits these are.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits, as they stand in the files.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The same, with the mark of a refusal: the model declined to answer.
    #[must_use]
    pub const fn refused(self) -> Self {
        Self(self.0 | REFUSED)
    }

    /// The same, of an answer that was checked against its schema.
    #[must_use]
    pub const fn checked(self, valid: bool) -> Self {
        Self(self.0 | CHECKED | if valid { VALID } else { 0 })
    }

    /// The same, of the second or a later row of one answer.
    #[must_use]
    pub const fn further(self) -> Self {
        Self(self.0 | FURTHER)
    }

    /// Whether it is an answer, and no failure.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        self.code_number() == 0
    }

    /// Whether it is a failure of the engine's own: not a request that did not fit, and not one that its caller ended
    /// ([`Code::is_of_the_request`]).
    #[must_use]
    pub fn is_fault(self) -> bool {
        !self.is_answer() && !self.code().is_some_and(Code::is_of_the_request)
    }

    /// The number of the failure's code; 0 for an answer.
    #[must_use]
    pub const fn code_number(self) -> u8 {
        self.0 as u8
    }

    /// The code of a failure. `None` for an answer, and for a code of a later version.
    #[must_use]
    pub fn code(self) -> Option<Code> {
        Code::from_number(self.code_number().into())
    }

    /// The number of the finish reason, as [`Outcome::answered`] has it; 0 where none is known.
    #[must_use]
    pub const fn finish(self) -> u8 {
        (self.0 >> FINISH_SHIFT & FINISH_MASK) as u8
    }

    /// A stable name of the finish reason: `complete`, `end_of_text`, `stop`, `length` or `context_full`. `None` where
    /// none is known, and for one of a later version.
    #[must_use]
    pub fn finish_name(self) -> Option<&'static str> {
        FINISH_NAMES.get(usize::from(self.finish()).checked_sub(1)?).copied()
    }

    /// Whether it is an answer that was cut by its length limit.
    #[must_use]
    pub const fn is_length_stop(self) -> bool {
        self.is_answer() && self.finish() == LENGTH
    }

    /// Whether the model refused.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        self.0 & REFUSED != 0
    }

    /// Whether the answer was valid under its schema, where it was checked.
    #[must_use]
    pub fn schema_valid(self) -> Option<bool> {
        (self.0 & (CHECKED | VALID) != 0).then_some(self.0 & VALID != 0)
    }

    /// Whether it is of the second or a later row of one answer, and so of no request of its own.
    #[must_use]
    pub const fn is_further(self) -> bool {
        self.0 & FURTHER != 0
    }
}
