//! The functions of the header, as calls of places that may be anything; the objects that they are called on.

use selvedge::fake::Fake;
use selvedge::{DType, Kind, Port, Tensor};

use super::*;

/// Objects to call.
pub(super) struct Callee {
    /// Takes any of `x0`, `x1`, `x2`, of f32, and gives `y0`, `y1`, `y2`.
    pub(super) tensors: *mut selvedge_engine,
    /// Gives its input `x`, of bool, back.
    pub(super) bools: *mut selvedge_engine,
    /// Gives its input `x`, of strings, back.
    pub(super) strings: *mut selvedge_engine,
    pub(super) text: *mut selvedge_engine,
    /// Has a tokenizer.
    pub(super) spells: *mut selvedge_engine,
    /// Takes any request for text.
    pub(super) takes: *mut selvedge_engine,
    pub(super) embedding: *mut selvedge_engine,
    pub(super) answer: *mut selvedge_answer,
    /// A store that is empty, and the same for reading.
    pub(super) store: *mut selvedge_store,
    pub(super) reader: *mut selvedge_store,
    pub(super) staged: *mut selvedge_staged,
    _folder: tempfile::TempDir,
}

impl Callee {
    pub(super) fn new() -> Self {
        let kind = Kind::Tensor { dtype: DType::F32, shape: None };
        let port = |name: String| {
            let mut port = Port::tensor(name, DType::F32, Vec::new());
            (port.kind, port.optional) = (kind.clone(), true);
            port
        };
        let ports = |letter: char| (0..3).map(|i| port(format!("{letter}{i}"))).collect();
        let one = |_: usize| Tensor::new(&[1], vec![1.0f32]);
        let tensors = Fake::tensors(ports('x'), ports('y'), move |_| (0..3).map(one).collect());
        let folder = tempfile::tempdir().unwrap();
        let store = stores::open(folder.path(), &stores::trust()).unwrap();
        let mut callee = Self {
            tensors: handle(tensors.build()),
            bools: handle(Fake::echo(DType::Bool).build()),
            strings: handle(Fake::echo(DType::String).build()),
            text: handle(Fake::text("so it goes").build()),
            spells: handle(Arc::new(super::super::engines::Spells::new())),
            takes: handle(Arc::new(super::super::engines::Takes::new())),
            embedding: handle(Fake::embedding(4).build()),
            answer: ptr::null_mut(),
            store,
            reader: stores::open_read_only(folder.path()).unwrap(),
            staged: stores::stage(store, &stores::ID, 1 << 20).unwrap(),
            _folder: folder,
        };
        let out = (&raw mut callee.answer).cast();
        assert_eq!(callee.run(as_place(&init!(selvedge_tensors {})), ptr::null(), out, ptr::null_mut()), SELVEDGE_OK);
        callee
    }

    pub(super) fn run(&self, request: *const u8, call: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
        // SAFETY: the places are as a case made them: what the library may touch of them is there.
        unsafe { selvedge_engine_run(self.tensors, request.cast(), call.cast(), out.cast(), err.cast()) }
    }

    pub(super) fn generate(&self, request: *const u8, call: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
        // SAFETY: as above.
        unsafe { selvedge_engine_generate(self.text, request.cast(), call.cast(), out.cast(), err.cast()) }
    }

    pub(super) fn embed(&self, request: *const u8, call: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
        // SAFETY: as above.
        unsafe { selvedge_engine_embed(self.embedding, request.cast(), call.cast(), out.cast(), err.cast()) }
    }

    /// Runs one input of two numbers, or of what is changed in it.
    pub(super) fn run_input(&self, engine: *mut selvedge_engine, input: &selvedge_tensor) -> selvedge_status {
        let request = init!(selvedge_tensors { inputs: input, input_count: 1 });
        let mut out = ptr::null_mut();
        // SAFETY: as above.
        unsafe { selvedge_engine_run(engine, &request, ptr::null(), &raw mut out, ptr::null_mut()) }
    }

    /// A run, done or not begun.
    pub(super) fn a_run(&self, done: bool) -> *mut selvedge_run {
        let mut run: *mut selvedge_run = ptr::null_mut();
        let started = self.generate(as_place(&prompt()), ptr::null(), (&raw mut run).cast(), ptr::null_mut());
        assert_eq!(started, SELVEDGE_OK);
        let mut event = init!(selvedge_event {});
        while done && event.kind != SELVEDGE_EVENT_DONE {
            assert_eq!(next(run, (&raw mut event).cast(), ptr::null_mut()), SELVEDGE_OK);
        }
        run
    }
}

pub(super) fn open(path: *const u8, len: usize, options: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as in `Callee::run`, here and below.
    unsafe { selvedge_engine_open(path.cast(), len, options.cast(), out.cast(), err.cast()) }
}

pub(super) fn next(run: *mut selvedge_run, event: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_run_next(run, event.cast(), err.cast()) }
}

pub(super) fn output(answer: *mut selvedge_answer, tensor: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_answer_output(answer, 0, tensor.cast(), err.cast()) }
}

pub(super) fn cancel_new(out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_cancel_new(out.cast(), err.cast()) }
}

pub(super) fn spec_json(engine: *mut selvedge_engine, json: *mut u8, len: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_spec_json(engine, json.cast(), len.cast(), err.cast()) }
}

pub(super) fn run_answer(run: *mut selvedge_run, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_run_answer(run, out.cast(), err.cast()) }
}

pub(super) fn output_count(answer: *mut selvedge_answer, count: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_answer_output_count(answer, count.cast(), err.cast()) }
}

pub(super) fn answer_json(answer: *mut selvedge_answer, json: *mut u8, len: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_answer_json(answer, json.cast(), len.cast(), err.cast()) }
}

/// OK if there is a message, as there is in every case.
pub(super) fn error_message(len: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    let message = unsafe { selvedge_error_message(ptr::null(), len.cast()) };
    if message.is_null() { INVALID } else { SELVEDGE_OK }
}

pub(super) fn prompt() -> selvedge_generate {
    init!(selvedge_generate { prompt: text("and then") })
}

pub(super) fn as_place<T>(value: &T) -> *const u8 {
    ptr::from_ref(value).cast()
}
