//! Outboxes, batches, tables and packing, misused: handles that are NULL, freed, of another type or never one, and NULL in
//! the place of everything else.

use std::path::PathBuf;

use selvedge::Code;

use super::posting::{Post, folder};
use super::*;

type Entry = Box<dyn Fn(*mut *mut selvedge_error) -> selvedge_status>;

/// One live handle of each type of interest, as numbers, and a folder for them.
struct Live {
    post: Post,
    batch: *mut selvedge_batch,
    table: *mut selvedge_table,
    cancel: *mut selvedge_cancel,
    folder: tempfile::TempDir,
}

impl Live {
    fn new() -> Self {
        let folder = folder(1);
        let post = Post::open(folder.path(), &posting::options());
        let (batch, table) = (post.next(1 << 20).unwrap(), tables::small());
        let mut cancel = ptr::null_mut();
        // SAFETY: `cancel` may be written.
        call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
        Self { post, batch, table, cancel, folder }
    }

    fn all(&self) -> [(&'static str, *mut u8); 5] {
        [
            ("telemetry", self.post.telemetry.cast()),
            ("outbox", self.post.outbox.cast()),
            ("batch", self.batch.cast()),
            ("table", self.table.cast()),
            ("cancel", self.cancel.cast()),
        ]
    }
}

type Free = fn(*mut u8) -> selvedge_status;

const FREES: [(&str, Free); 5] = [
    ("telemetry", |h| selvedge_telemetry_free(h.cast())),
    ("outbox", |h| selvedge_outbox_free(h.cast())),
    ("batch", |h| selvedge_batch_free(h.cast())),
    ("table", |h| selvedge_table_free(h.cast())),
    ("cancel", |h| selvedge_cancel_free(h.cast())),
];

/// The pointers that a call takes beside its handles; a test puts NULL in the place of each.
#[derive(Clone, Copy)]
struct Places {
    out: *mut u8,
    other: *mut u8,
    source: *const u8,
    name: &'static str,
    name_at: *const u8,
    numbers: *const u8,
}

impl Places {
    fn good() -> Self {
        let room = Box::leak(Box::new([0u64; 64]));
        let name = "embeddings";
        Self {
            out: room.as_mut_ptr().cast(),
            other: room[32..].as_mut_ptr().cast(),
            source: leak(tables::at("no/such/file")),
            name,
            name_at: name.as_ptr(),
            numbers: leak([0.0f32; 32]),
        }
    }
}

/// Something that lives as long as the process.
fn leak<T>(value: T) -> *const u8 {
    ptr::from_ref(Box::leak(Box::new(value))).cast()
}

/// Every call of these nouns: what kind of handle stands at `h`, and the call, with `live` for the other handles.
fn entries(
    h: *mut u8,
    live: [(&'static str, *mut u8); 5],
    p: Places,
    path: &str,
) -> Vec<(&'static str, &'static str, Entry)> {
    macro_rules! table {
        ($($kind:literal $name:ident |$err:ident| $call:expr;)*) => {
            // SAFETY: every pointer is to something that lives, or what is there is what is tested.
            vec![$(($kind, stringify!($name), Box::new(move |$err| unsafe { $call }) as Entry),)*]
        };
    }
    let (outbox, batch) = (live[1].1, live[2].1);
    let path: &'static str = String::leak(path.to_owned());
    let options = leak(posting::options());
    let response = leak(init!(selvedge_http_response { status: 200 }));
    let judgement = leak(init!(selvedge_judgement {})).cast_mut();
    let request = leak(init!(selvedge_http_request {})).cast_mut();
    let packing = leak(selvedge_pack_options { cancel: h.cast(), ..packing::options(SELVEDGE_SCHEME_INT8) });
    table! {
        "telemetry" selvedge_outbox_open |err|
            selvedge_outbox_open(h.cast(), path.as_ptr().cast(), path.len(), options.cast(), p.out.cast(), err);
        "outbox" selvedge_outbox_next_batch |err| selvedge_outbox_next_batch(h.cast(), 1 << 20, p.out.cast(), err);
        "outbox" selvedge_outbox_begin |err|
            selvedge_outbox_begin(h.cast(), ptr::null(), 0, judgement.cast(), err);
        "outbox" selvedge_outbox_judge |err| selvedge_outbox_judge(
            h.cast(), batch.cast(), 0, 1, ptr::null(), response.cast(), judgement.cast(), err);
        "batch" selvedge_outbox_judge |err| selvedge_outbox_judge(
            outbox.cast(), h.cast(), 0, 1, ptr::null(), response.cast(), judgement.cast(), err);
        "outbox" selvedge_outbox_ack |err| selvedge_outbox_ack(h.cast(), batch.cast(), err);
        "batch" selvedge_outbox_ack |err| selvedge_outbox_ack(outbox.cast(), h.cast(), err);
        "outbox" selvedge_outbox_refuse |err| selvedge_outbox_refuse(h.cast(), batch.cast(), 1, err);
        "batch" selvedge_outbox_refuse |err| selvedge_outbox_refuse(outbox.cast(), h.cast(), 1, err);
        "outbox" selvedge_outbox_split |err| selvedge_outbox_split(h.cast(), batch.cast(), p.out.cast(), err);
        "batch" selvedge_outbox_split |err| selvedge_outbox_split(outbox.cast(), h.cast(), p.out.cast(), err);
        "outbox" selvedge_outbox_bisect |err| selvedge_outbox_bisect(h.cast(), batch.cast(), p.out.cast(), err);
        "batch" selvedge_outbox_bisect |err| selvedge_outbox_bisect(outbox.cast(), h.cast(), p.out.cast(), err);
        "outbox" selvedge_outbox_status_json |err| selvedge_outbox_status_json(h.cast(), p.out.cast(), err);
        "outbox" selvedge_outbox_reset_install_id |err|
            selvedge_outbox_reset_install_id(h.cast(), p.out.cast(), err);
        "batch" selvedge_batch_request_count |err| selvedge_batch_request_count(h.cast(), p.out.cast(), err);
        "batch" selvedge_batch_request |err| selvedge_batch_request(h.cast(), 0, request.cast(), err);
        "batch" selvedge_batch_json |err| selvedge_batch_json(h.cast(), p.out.cast(), err);
        "table" selvedge_table_shape |err| selvedge_table_shape(h.cast(), p.out.cast(), p.other.cast(), err);
        "table" selvedge_table_gather |err|
            selvedge_table_gather(h.cast(), p.numbers.cast(), 1, p.out.cast(), 32, err);
        "table" selvedge_table_pool |err|
            selvedge_table_pool(h.cast(), p.numbers.cast(), 1, 0, ptr::null(), 0, p.out.cast(), 32, err);
        "table" selvedge_table_search |err|
            selvedge_table_search(h.cast(), p.numbers.cast(), 32, 1, p.out.cast(), p.other.cast(), err);
        // Within a struct, NULL means none; anything else is a handle.
        "option" selvedge_pack |err|
            selvedge_pack(p.source.cast(), p.name_at.cast(), p.name.len(), packing.cast(), p.out.cast(), err);
    }
}

#[test]
fn null_is_an_argument_error_except_to_free() {
    let live = Live::new();
    for (kind, name, entry) in entries(ptr::null_mut(), live.all(), Places::good(), "x") {
        if kind != "option" {
            let message = refused(Code::InvalidArgument, entry);
            assert_eq!(message, format!("selvedge_{kind}: expected a handle, got NULL"), "{name}");
        }
    }
    for (kind, free) in FREES {
        assert_eq!(free(ptr::null_mut()), SELVEDGE_OK, "{kind}");
    }
    live.close();
}

#[test]
fn a_handle_of_another_type_is_named() {
    let live = Live::new();
    for (is, h) in live.all() {
        for (wants, name, entry) in entries(h, live.all(), Places::good(), "x") {
            let wants = if wants == "option" { "cancel" } else { wants };
            if wants != is {
                let message = refused(Code::BadHandle, entry);
                assert_eq!(message, format!("expected a selvedge_{wants}, got a selvedge_{is}"), "{name}");
            }
        }
        for (frees, free) in FREES {
            if frees != is {
                assert_eq!(free(h), BAD_HANDLE, "a {is} freed as a {frees}");
            }
        }
    }
    live.close();
}

#[test]
fn freed_handles_and_numbers_that_never_were_one_are_refused() {
    let (old, live) = (Live::new(), Live::new());
    let stale = old.all();
    old.close();
    for (is, h) in stale {
        for (wants, name, entry) in entries(h, live.all(), Places::good(), "x") {
            let wants = if wants == "option" { "cancel" } else { wants };
            let message = refused(Code::BadHandle, entry);
            if wants == is {
                let expected = format!("selvedge_{is}: expected a live handle, got one that was freed");
                assert_eq!(message, expected, "{name}");
            }
        }
        for (frees, free) in FREES {
            assert_eq!(free(h), BAD_HANDLE, "a freed {is}, freed as a {frees}");
        }
    }
    let local = 0u64;
    let wild = [1, 8, usize::MAX, usize::MAX / 2].map(ptr::without_provenance_mut);
    for h in wild.into_iter().chain([ptr::from_ref(&local).cast_mut().cast()]) {
        for (_, name, entry) in entries(h, live.all(), Places::good(), "x") {
            let message = refused(Code::BadHandle, entry);
            assert!(message.ends_with("got something that was never a handle"), "{name}: {message}");
        }
    }
    live.close();
}

#[test]
fn every_place_is_checked_for_null() {
    let live = Live::new();
    let all = live.all();
    let good = Places::good();
    // What has one place less.
    let cases: [(&str, Places, &[&str]); 3] = [
        (
            "out",
            Places { out: ptr::null_mut(), ..good },
            &[
                "open",
                "next_batch",
                "split",
                "bisect",
                "status_json",
                "reset_install_id",
                "request_count",
                "batch_json",
                "gather",
                "pool",
                "pack",
            ],
        ),
        ("numbers", Places { numbers: ptr::null(), ..good }, &["gather", "pool", "search"]),
        ("source", Places { source: ptr::null(), name_at: ptr::null(), ..good }, &["pack"]),
    ];
    for (what, places, functions) in cases {
        let mut tried = 0;
        for (kind, h) in all {
            for (wants, name, entry) in entries(h, all, places, "x") {
                let wants = if wants == "option" { "cancel" } else { wants };
                if wants == kind && functions.iter().any(|function| name.ends_with(function)) {
                    let message = refused(Code::InvalidArgument, entry);
                    assert!(message.ends_with("expected a pointer, got NULL"), "{name} without {what}: {message}");
                    tried += 1;
                }
            }
        }
        assert!(tried >= functions.len(), "{what}");
    }
    // SAFETY: NULL is what is tested; all else lives during the calls.
    unsafe {
        let (outbox, batch, table) = (live.post.outbox, live.batch, live.table);
        let (mut number, mut width) = (0u64, 0u64);
        let response = init!(selvedge_http_response { status: 200 });
        let mut judgement = init!(selvedge_judgement {});
        let no = |message: String, what: &str| assert_eq!(message, format!("{what}: expected a pointer, got NULL"));
        let invalid = Code::InvalidArgument;
        let null = ptr::null_mut;
        no(
            refused(invalid, |err| {
                selvedge_outbox_open(live.post.telemetry, ptr::null(), 1, ptr::null(), (&raw mut number).cast(), err)
            }),
            "folder",
        );
        let path = PathBuf::from(live.folder.path());
        let path = path.to_str().unwrap();
        no(
            refused(invalid, |err| {
                let (at, len) = (path.as_ptr().cast(), path.len());
                selvedge_outbox_open(live.post.telemetry, at, len, ptr::null(), (&raw mut number).cast(), err)
            }),
            "selvedge_outbox_options",
        );
        no(
            refused(invalid, |err| {
                selvedge_outbox_judge(outbox, batch, 0, 1, ptr::null(), ptr::null(), &raw mut judgement, err)
            }),
            "selvedge_http_response",
        );
        no(
            refused(invalid, |err| {
                selvedge_outbox_judge(outbox, batch, 0, 1, ptr::null(), &response, ptr::null_mut(), err)
            }),
            "selvedge_judgement",
        );
        no(
            refused(invalid, |err| selvedge_outbox_begin(outbox, ptr::null(), 0, ptr::null_mut(), err)),
            "selvedge_judgement",
        );
        no(refused(invalid, |err| selvedge_batch_request(batch, 0, ptr::null_mut(), err)), "selvedge_http_request");
        no(refused(invalid, |err| selvedge_table_shape(table, null(), &raw mut width, err)), "rows");
        assert_eq!(width, 0);
        no(refused(invalid, |err| selvedge_table_shape(table, &raw mut width, null(), err)), "width");
        let query = [0.5f32; 32];
        let mut hit = selvedge_hit::default();
        no(
            refused(invalid, |err| {
                selvedge_table_search(table, query.as_ptr(), 32, 1, ptr::null_mut(), (&raw mut number).cast(), err)
            }),
            "hits",
        );
        no(
            refused(invalid, |err| {
                selvedge_table_search(table, query.as_ptr(), 32, 1, &raw mut hit, ptr::null_mut(), err)
            }),
            "found",
        );
        let mut out = ptr::null_mut();
        no(
            refused(invalid, |err| selvedge_table_open(ptr::null(), c"x".as_ptr(), 1, 0, &raw mut out, err)),
            "selvedge_source",
        );
        let source = tables::at("no/such");
        no(refused(invalid, |err| selvedge_table_open(&source, ptr::null(), 1, 0, &raw mut out, err)), "tensor");
        no(refused(invalid, |err| selvedge_table_open(&source, c"x".as_ptr(), 1, 0, ptr::null_mut(), err)), "out");
        let mut out = ptr::null_mut();
        no(
            refused(invalid, |err| selvedge_pack(&source, c"x".as_ptr(), 1, ptr::null(), &raw mut out, err)),
            "selvedge_pack_options",
        );
    }
    live.close();
}

impl Live {
    fn close(self) {
        for (kind, h) in self.all() {
            let free = FREES.iter().find(|(k, _)| *k == kind).expect("every type has its free").1;
            assert_eq!(free(h), SELVEDGE_OK, "{kind}");
        }
    }
}
