//! Errors: what can go wrong, in one type.
//!
//! Enters: nothing. Leaves: [`Error`], [`Code`], [`Result`]. May import: nothing of the crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of a failure. The numbers are the C codes: they are never changed and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Code {
    /// A name, dtype, shape or option is not what the engine takes.
    InvalidArgument = 1,
    /// A file, tensor or other named thing does not exist.
    NotFound = 2,
    /// The thing is well formed, but this engine or build cannot do it.
    Unsupported = 3,
    /// The memory limit, or the machine's memory, is too small.
    OutOfMemory = 4,
    /// The caller's cancel token was set.
    Cancelled = 5,
    /// The resource is in use and does not queue.
    Busy = 6,
    /// The operating system refused a read or a write.
    Io = 7,
    /// The bytes of a file break its format's rules.
    Corrupt = 8,
    /// A runtime below Selvedge failed for a reason of its own.
    Backend = 9,
    /// The call's deadline passed.
    DeadlineExceeded = 10,
    /// The request needs more tokens than the context holds.
    ContextFull = 11,
    /// A runtime library that is loaded at run time is absent or too old.
    MissingRuntime = 12,
    /// A C handle is closed, of another type, or was never one.
    BadHandle = 13,
    /// Selvedge broke a promise of its own: a defect, worth a report.
    Internal = 14,
    /// The model has ended the process before, in every way that the crash record lets it be opened; or the version has missed
    /// twice, and the store lets it serve no more.
    Quarantined = 15,
    /// Nobody who is trusted vouches for it: not signed by a trusted key, older than what was admitted before, or expired.
    Untrusted = 16,
    /// Code below a Selvedge call panicked; the panic was contained.
    Panic = 255,
}

impl Code {
    /// Every code.
    pub const ALL: [Code; 17] = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::Unsupported,
        Code::OutOfMemory,
        Code::Cancelled,
        Code::Busy,
        Code::Io,
        Code::Corrupt,
        Code::Backend,
        Code::DeadlineExceeded,
        Code::ContextFull,
        Code::MissingRuntime,
        Code::BadHandle,
        Code::Internal,
        Code::Quarantined,
        Code::Untrusted,
        Code::Panic,
    ];

    /// The code of a number, as C and telemetry have it; `None` for 0 and for codes of a later version.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as i32 == number)
    }

    /// Whether the failure says nothing of the engine: the request did not fit it, or whoever made it ended it.
    ///
    /// ```
    /// use selvedge::Code;
    /// assert!(Code::Cancelled.is_of_the_request() && !Code::DeadlineExceeded.is_of_the_request());
    /// assert_eq!(Code::from_number(5), Some(Code::Cancelled));
    /// ```
    pub const fn is_of_the_request(self) -> bool {
        matches!(self, Code::InvalidArgument | Code::NotFound | Code::Unsupported | Code::Cancelled | Code::ContextFull)
    }

    /// The code's name as the C header spells it, without the `SELVEDGE_ERR_` prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::NotFound => "NOT_FOUND",
            Code::Unsupported => "UNSUPPORTED",
            Code::OutOfMemory => "OUT_OF_MEMORY",
            Code::Cancelled => "CANCELLED",
            Code::Busy => "BUSY",
            Code::Io => "IO",
            Code::Corrupt => "CORRUPT",
            Code::Backend => "BACKEND",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::ContextFull => "CONTEXT_FULL",
            Code::MissingRuntime => "MISSING_RUNTIME",
            Code::BadHandle => "BAD_HANDLE",
            Code::Internal => "INTERNAL",
            Code::Quarantined => "QUARANTINED",
            Code::Untrusted => "UNTRUSTED",
            Code::Panic => "PANIC",
        }
    }
}

/// A failure: what kind, a message that names the thing, the expected and the got, what was being
/// done at the time (outermost last), and the error underneath, if any.
///
/// ```
/// use selvedge::{Code, Error};
/// let e = Error::new(Code::InvalidArgument, "input 'x': expected f32, got i64").during("running 'rain'");
/// assert_eq!(e.code(), Code::InvalidArgument);
/// assert_eq!(e.to_string(), "input 'x': expected f32, got i64 (while running 'rain')");
/// ```
///
/// Displayed, it does not say the error underneath, which a reporter finds in [`source`](StdError::source); the
/// alternate form does, and all that lie below:
///
/// ```
/// let e = selvedge::open("no.onnx", selvedge::Options::new()).err().unwrap();
/// assert_eq!(e.to_string(), "no.onnx: not found (while opening no.onnx)");
/// assert!(format!("{e:#}").starts_with("no.onnx: not found (while opening no.onnx): "));
/// ```
///
/// It is as large as a pointer, so that a call which gives a `Result` costs no more for the failure it does not have.
#[derive(Clone)]
pub struct Error(Box<Failure>);

#[derive(Clone)]
struct Failure {
    code: Code,
    message: Cow<'static, str>,
    context: Vec<Cow<'static, str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    retry_after: Option<Duration>,
}

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

impl Error {
    /// An error of the given kind. A runtime may have nothing to say of a failure: for a message of no words the name of the
    /// code stands.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let message = if message.trim().is_empty() { code.name().into() } else { message };
        Self(Box::new(Failure { code, message, context: Vec::new(), source: None, retry_after: None }))
    }

    /// Keeps the error underneath; it shows up in [`std::error::Error::source`].
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Adds what was being done when the error came up.
    #[must_use]
    pub fn during(mut self, context: impl Into<Cow<'static, str>>) -> Self {
        self.0.context.push(context.into());
        self
    }

    /// Says when the same call is worth another try.
    #[must_use]
    pub(crate) fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The same failure, seen as one of another kind.
    #[must_use]
    pub(crate) fn with_code(mut self, code: Code) -> Self {
        self.0.code = code;
        self
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The message: what failed, without context or source.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The time from now after which the same call is worth another try: an estimate, which a full queue gives with `Busy`.
    /// `None` where nothing is known of it.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The context: what was being done, innermost first.
    pub fn context(&self) -> impl Iterator<Item = &str> {
        self.0.context.iter().map(|c| &**c)
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(crate) fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unsupported, message)
    }

    pub(crate) fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Corrupt, message)
    }

    pub(crate) fn backend(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Backend, message)
    }

    /// A broken promise of our own.
    pub(crate) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// An I/O failure on `thing`: `NotFound` stays `NotFound`, the rest is `Io`.
    pub(crate) fn io(thing: impl fmt::Display, source: std::io::Error) -> Self {
        let (code, what) = match source.kind() {
            std::io::ErrorKind::NotFound => (Code::NotFound, "not found"),
            std::io::ErrorKind::OutOfMemory => (Code::OutOfMemory, "out of memory"),
            _ => (Code::Io, "I/O failed"),
        };
        let thing = thing.to_string();
        let thing = if thing.is_empty() { "an empty path" } else { &*thing };
        Self::new(code, format!("{thing}: {what}")).because(source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        self.0.context.iter().try_for_each(|context| write!(f, " (while {context})"))?;
        if !f.alternate() {
            return Ok(());
        }
        let (mut above, mut cause) = (self.0.message.to_string(), self.source());
        while let Some(error) = cause {
            let text = error.to_string();
            // Errors of other crates may have said their source already.
            if !above.contains(&text) {
                write!(f, ": {text}")?;
            }
            (above, cause) = (text, error.source());
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { code, message, context, source, retry_after } = &*self.0;
        f.debug_struct("Error")
            .field("code", code)
            .field("message", message)
            .field("context", context)
            .field("source", source)
            .field("retry_after", retry_after)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// A message of another library, which may hold a whole operator, or the shapes of all its inputs.
#[cfg(any(feature = "tract", feature = "rten"))]
pub(crate) fn shortened(mut text: String) -> String {
    const MAX_CHARACTERS: usize = 600;
    if let Some((end, _)) = text.char_indices().nth(MAX_CHARACTERS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
