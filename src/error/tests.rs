use std::error::Error as _;
use std::io;

use super::{Code, Error};

/// The numbers and names that the C header has published. A line here is never changed, only added.
const PUBLISHED: [(Code, i32, &str); 14] = [
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
    (Code::Panic, 255, "PANIC"),
];

#[test]
fn numbers_and_names_are_pinned() {
    for (code, number, name) in PUBLISHED {
        assert_eq!((code as i32, code.name()), (number, name));
        assert_eq!(Code::from_number(number), Some(code));
    }
    assert_eq!(Code::ALL, PUBLISHED.map(|(code, ..)| code));
    assert_eq!((Code::from_number(0), Code::from_number(14)), (None, None));
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
    for (kind, code) in [
        (io::ErrorKind::NotFound, Code::NotFound),
        (io::ErrorKind::OutOfMemory, Code::OutOfMemory),
        (io::ErrorKind::PermissionDenied, Code::Io),
        (io::ErrorKind::UnexpectedEof, Code::Io),
    ] {
        let error = Error::io("model.onnx", io::Error::new(kind, "the disk said so"));
        assert_eq!((error.code(), error.to_string()), (code, "model.onnx: the disk said so".into()));
        let source = error.source().and_then(|s| s.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(kind));
    }
}

#[test]
fn an_error_crosses_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Error>();
}
