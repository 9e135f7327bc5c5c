//! Failures of ONNX Runtime, and the codes that they become.

use crate::{Code, Error};

/// A status that is not OK: `OrtErrorCode` and the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub code: i32,
    pub message: String,
}

/// The numbers of `OrtErrorCode` in `onnxruntime_c_api.h`.
pub(super) mod code {
    pub(in super::super) const FAIL: i32 = 1;
    pub(in super::super) const INVALID_ARGUMENT: i32 = 2;
    pub(in super::super) const NO_SUCHFILE: i32 = 3;
    pub(in super::super) const NO_MODEL: i32 = 4;
    pub(in super::super) const RUNTIME_EXCEPTION: i32 = 6;
    pub(in super::super) const INVALID_PROTOBUF: i32 = 7;
    pub(in super::super) const NOT_IMPLEMENTED: i32 = 9;
    pub(in super::super) const INVALID_GRAPH: i32 = 10;
    pub(in super::super) const MODEL_LOAD_CANCELED: i32 = 12;
    pub(in super::super) const MODEL_REQUIRES_COMPILATION: i32 = 13;
    pub(in super::super) const NOT_FOUND: i32 = 14;
}

impl Failure {
    /// A failure while a session was made. `external` tells whether the model has external data, all of which
    /// was handed over; `barred` is the folder in which the runtime then looked for more.
    pub(super) fn on_load(self, external: bool, barred: &str) -> Error {
        let says = |words: &[&str]| words.iter().any(|words| self.message.contains(words));
        let code = match self.code {
            // It takes data from memory for tensors of the main graph, and not for those of sub-graphs.
            _ if says(&[barred]) && external => Code::Unsupported,
            // Our parser saw no external data where the runtime sees some.
            _ if says(&[barred]) => Code::Corrupt,
            code::FAIL | code::INVALID_GRAPH | code::INVALID_ARGUMENT if says(BEYOND) => Code::Unsupported,
            code::FAIL if says(INVALID) => Code::Corrupt,
            // What the file says is all there is to be wrong at this point.
            code::INVALID_ARGUMENT => Code::Corrupt,
            _ => self.meaning(),
        };
        self.with(code)
    }

    /// A failure of any other call.
    pub(super) fn on_call(self) -> Error {
        let code = self.meaning();
        self.with(code)
    }

    fn meaning(&self) -> Code {
        match self.code {
            code::INVALID_ARGUMENT => Code::InvalidArgument,
            code::NO_SUCHFILE | code::NOT_FOUND => Code::NotFound,
            code::NO_MODEL | code::INVALID_PROTOBUF | code::INVALID_GRAPH => Code::Corrupt,
            code::NOT_IMPLEMENTED | code::MODEL_REQUIRES_COMPILATION => Code::Unsupported,
            code::MODEL_LOAD_CANCELED => Code::Cancelled,
            code::FAIL | code::RUNTIME_EXCEPTION if is_no_memory(&self.message) => Code::OutOfMemory,
            _ => Code::Backend,
        }
    }

    fn with(self, code: Code) -> Error {
        Error::new(code, format!("ONNX Runtime: {} (its code {})", self.message, self.code))
    }
}

/// How the runtime speaks of what it cannot do where its code does not tell: an operator, operator set or IR version that
/// its own version does not know, a kernel without this case, a location of external data that is spelled with `./`.
const BEYOND: &[&str] = &[
    "is not a registered function/op",
    "No Op registered for",
    "under development and support for this is limited",
    "Unsupported model IR version",
    "not found from the table user provided",
    "not supported",
];
/// How it speaks of a file that breaks the rules, where its code does not tell.
const INVALID: &[&str] = &["This is an invalid model", "Type Error", "ShapeInferenceError", "TypeInferenceError"];

fn is_no_memory(message: &str) -> bool {
    ["Failed to allocate memory", "std::bad_alloc", "bad allocation"].iter().any(|words| message.contains(words))
}
