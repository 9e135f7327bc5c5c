use std::error::Error as _;
use std::io;

use super::{Code, Error};

/// The numbers and names that the C header has published. A line here is never changed, only added.
const PUBLISHED: [(Code, i32, &str); 17] = [
    (Code::InvalidArgument, 1, "INVALID_ARGUMENT"),
    (Code::NotFound, 2, "NOT_FOUND"),
    (Code::Unsupported, 3, "UNSUPPORTED"),
    (Code::OutOfMemory, 4, "OUT_OF_MEMORY"),
    (Code::Cancelled, 5, "CANCELLED"),
    (Code::Busy, 6, "BUSY"),
    (Code::Io, 7, "IO"),
    (Code::Corrupt, 8, "CORRUPT"),
    (Code::Backend, 9, "BACKEND"),
    (Code::DeadlineExceeded, 10, "DEADLINE_EXCEEDED"),
    (Code::ContextFull, 11, "CONTEXT_FULL"),
    (Code::MissingRuntime, 12, "MISSING_RUNTIME"),
    (Code::BadHandle, 13, "BAD_HANDLE"),
    (Code::Internal, 14, "INTERNAL"),
    (Code::Quarantined, 15, "QUARANTINED"),
    (Code::Untrusted, 16, "UNTRUSTED"),
    (Code::Panic, 255, "PANIC"),
];

#[test]
fn numbers_and_names_are_pinned() {
    for (code, number, name) in PUBLISHED {
        assert_eq!((code as i32, code.name()), (number, name));
        assert_eq!(Code::from_number(number), Some(code));
    }
    assert_eq!(Code::ALL, PUBLISHED.map(|(code, ..)| code));
    assert_eq!((Code::from_number(0), Code::from_number(17)), (None, None));
}

#[test]
fn context_is_told_from_the_inside_out() {
    let error = Error::invalid("x is 1").during("reading").during("opening");
    assert_eq!(error.to_string(), "x is 1 (while reading) (while opening)");
    assert_eq!(error.message(), "x is 1");
    assert_eq!(error.context().collect::<Vec<_>>(), ["reading", "opening"]);
    assert!(error.source().is_none());
}

#[test]
fn io_errors_keep_their_kind_and_their_source() {
    for (kind, code, what) in [
        (io::ErrorKind::NotFound, Code::NotFound, "not found"),
        (io::ErrorKind::OutOfMemory, Code::OutOfMemory, "out of memory"),
        (io::ErrorKind::PermissionDenied, Code::Io, "I/O failed"),
        (io::ErrorKind::UnexpectedEof, Code::Io, "I/O failed"),
    ] {
        let error = Error::io("model.onnx", io::Error::new(kind, "the disk said so"));
        assert_eq!((error.code(), error.to_string()), (code, format!("model.onnx: {what}")));
        assert_eq!(format!("{error:#}"), format!("model.onnx: {what}: the disk said so"));
        let source = error.source().and_then(|s| s.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(kind));
    }
}

#[test]
fn the_chain_is_said_once() {
    #[derive(Debug)]
    struct Wordy(io::Error);
    impl std::fmt::Display for Wordy {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "line 3: {}", self.0)
        }
    }
    impl std::error::Error for Wordy {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let inner = Error::corrupt("no table").because(Wordy(io::Error::other("too short"))).during("reading");
    let outer = Error::invalid("no model").because(inner).during("opening");
    assert_eq!(outer.to_string(), "no model (while opening)");
    assert_eq!(format!("{outer:#}"), "no model (while opening): no table (while reading): line 3: too short");
}

#[test]
fn a_copy_has_code_context_and_source() {
    let error = Error::io("model.onnx", io::Error::other("the disk said so")).during("opening");
    let copy = error.clone();
    assert_eq!((copy.code(), format!("{copy:#}")), (error.code(), format!("{error:#}")));
    assert!(copy.source().is_some_and(|source| source.is::<io::Error>()));
    let recoded = error.with_code(Code::Busy);
    assert_eq!((recoded.code(), recoded.to_string()), (Code::Busy, copy.to_string()));
}

#[test]
fn an_error_crosses_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Error>();
}

#[test]
fn no_error_is_without_words() {
    for message in ["", " ", "\n"] {
        let error = Error::new(Code::Backend, message).because("");
        assert_eq!((error.message(), format!("{error:#}")), ("BACKEND", "BACKEND".to_owned()));
    }
    let error = Error::io("", io::Error::from(io::ErrorKind::NotFound));
    assert_eq!(error.to_string(), "an empty path: not found");
}
