//! The places of `selvedge/sync.h`, `weights.h` and `pack.h`.

use std::sync::OnceLock;

use super::callee::as_place;
use super::cases::Most;
use super::places::*;
use super::*;
use crate::posting::{self, Post, folder};
use crate::{packing, tables};

/// What the calls are made on; it goes with the process.
struct Target {
    post: Post,
    batch: *mut selvedge_batch,
    table: *mut selvedge_table,
    folder: String,
}

// SAFETY: the handles are numbers.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

fn target() -> &'static Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let folder = folder(1);
        let post = Post::open(folder.path(), &posting::options());
        let batch = post.next(1 << 20).expect("something to post");
        let path = folder.keep();
        Target { post, batch, table: tables::small(), folder: path.to_str().unwrap().into() }
    })
}

const BUSY: selvedge_status = selvedge_status(6);
/// The width of the table, and an array of so many numbers.
const WIDTH: usize = 32;
const ROW: [f32; WIDTH] = [0.25; WIDTH];

pub(super) fn places() -> Vec<Place> {
    let blocks = structs().into_iter().chain(results()).map(Place::Block);
    blocks.chain(arrays().into_iter().map(Place::Array)).chain(bytes().into_iter().map(Place::Bytes)).collect()
}

fn outbox() -> *mut selvedge_outbox {
    target().post.outbox
}

/// Opens the outbox that is open: whatever is right is BUSY, and comes after all that can be wrong.
fn open_outbox(options: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    open_at(target().folder.as_ptr(), target().folder.len(), options, out, err)
}

fn open_at(folder: *const u8, len: usize, options: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: the places are as a case made them: what the library may touch of them is there. Here and below.
    unsafe { selvedge_outbox_open(target().post.telemetry, folder.cast(), len, options.cast(), out.cast(), err.cast()) }
}

fn with_options(options: &selvedge_outbox_options) -> selvedge_status {
    open_outbox(as_place(options), spare(), spare())
}

fn judge(retry: *const u8, response: *const u8, judgement: *mut u8, err: *mut u8) -> selvedge_status {
    let t = target();
    // SAFETY: as above.
    unsafe {
        selvedge_outbox_judge(t.post.outbox, t.batch, 0, 1, retry.cast(), response.cast(), judgement.cast(), err.cast())
    }
}

fn judge_response(response: &selvedge_http_response) -> selvedge_status {
    judge(ptr::null(), as_place(response), judged(), spare())
}

/// A place for a judgement that is not looked at.
fn judged() -> *mut u8 {
    ptr::from_mut(Box::leak(Box::new(init!(selvedge_judgement {})))).cast()
}

fn begin(retry: *const u8, judgement: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_outbox_begin(target().post.outbox, retry.cast(), 0, judgement.cast(), err.cast()) }
}

fn open_table(source: *const u8, name: *const u8, len: usize, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_table_open(source.cast(), name.cast(), len, 0, out.cast(), err.cast()) }
}

fn gather(ids: *const u8, count: usize, out: *mut u8, len: usize, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_table_gather(target().table, ids.cast(), count, out.cast(), len, err.cast()) }
}

fn pool(ids: *const u8, weights: *const u8, count: usize, out: *mut u8, len: usize, err: *mut u8) -> selvedge_status {
    let how = SELVEDGE_POOL_SUM;
    // SAFETY: as above.
    unsafe {
        selvedge_table_pool(target().table, ids.cast(), count, how, weights.cast(), 0, out.cast(), len, err.cast())
    }
}

fn search(query: *const u8, len: usize, k: usize, hits: *mut u8, found: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_table_search(target().table, query.cast(), len, k, hits.cast(), found.cast(), err.cast()) }
}

fn pack(
    source: *const u8,
    to: *const u8,
    len: usize,
    options: *const u8,
    out: *mut u8,
    err: *mut u8,
) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_pack(source.cast(), to.cast(), len, options.cast(), out.cast(), err.cast()) }
}

/// Packs a model that is not there.
fn with_packing(options: &selvedge_pack_options) -> selvedge_status {
    pack(as_place(&missing()), b"x".as_ptr(), 1, as_place(options), spare(), spare())
}

fn missing() -> selvedge_source {
    tables::at("no/such/file")
}

fn int8() -> selvedge_pack_options {
    packing::options(SELVEDGE_SCHEME_INT8)
}

fn retry() -> Vec<u8> {
    raw(init!(selvedge_retry { attempts: 3 }))
}

/// The structs that a function takes or fills.
fn structs() -> Vec<Block> {
    let read = |name, good, call, then, null| Block { name, grows: true, written: false, good, call, then, null };
    let filled = |name, good, call| Block { name, grows: true, written: true, good, call, then: OK, null: INVALID };
    let judgement = || raw(init!(selvedge_judgement {}));
    vec![
        read(
            "selvedge_outbox_open.options",
            || raw(posting::options()),
            |_, at| open_outbox(at, spare(), spare()),
            BUSY,
            INVALID,
        ),
        read("selvedge_outbox_begin.retry", retry, |_, at| begin(at, judged(), spare()), OK, OK),
        read(
            "selvedge_outbox_judge.retry",
            retry,
            |_, at| judge(at, as_place(&init!(selvedge_http_response {})), judged(), spare()),
            OK,
            OK,
        ),
        read(
            "selvedge_outbox_judge.response",
            || raw(init!(selvedge_http_response { status: 200 })),
            |_, at| judge(ptr::null(), at, judged(), spare()),
            OK,
            INVALID,
        ),
        filled("selvedge_outbox_begin.judgement", judgement, |_, at| begin(ptr::null(), at, spare())),
        filled("selvedge_outbox_judge.judgement", judgement, |_, at| {
            judge(ptr::null(), as_place(&init!(selvedge_http_response {})), at, spare())
        }),
        filled(
            "selvedge_batch_request.request",
            || raw(init!(selvedge_http_request {})),
            // SAFETY: as above.
            |_, at| unsafe { selvedge_batch_request(target().batch, 1, at.cast(), ptr::null_mut()) },
        ),
        read(
            "selvedge_table_open.source",
            || raw(missing()),
            |_, at| open_table(at, b"x".as_ptr(), 1, spare(), spare()),
            NOT_FOUND,
            INVALID,
        ),
        read(
            "selvedge_pack.source",
            || raw(missing()),
            |_, at| pack(at, b"x".as_ptr(), 1, as_place(&int8()), spare(), spare()),
            NOT_FOUND,
            INVALID,
        ),
        read(
            "selvedge_pack.options",
            || raw(int8()),
            |_, at| pack(as_place(&missing()), b"x".as_ptr(), 1, at, spare(), spare()),
            NOT_FOUND,
            INVALID,
        ),
    ]
}

/// The places that a function writes a number or a pointer to, and the arrays of a table, whose length another one says.
fn results() -> Vec<Block> {
    type Call = fn(&Callee, *mut u8) -> selvedge_status;
    let sized = |name: &'static str, good: fn() -> Vec<u8>, then, null, call: Call| Block {
        name,
        grows: false,
        written: true,
        good,
        call,
        then,
        null,
    };
    let place = |name, then, null, call: Call| sized(name, || vec![0xff; 8], then, null, call);
    let out = |name, call: Call| place(name, OK, INVALID, call);
    let err = |name, call: Call| place(name, INVALID, INVALID, call);
    let half = |name, call: Call| sized(name, || vec![0xff; 4], INVALID, INVALID, call);
    let row = |name, call: Call| sized(name, || raw(ROW), OK, INVALID, call);
    // SAFETY: as above, in every call.
    unsafe {
        vec![
            place("selvedge_outbox_open.out", BUSY, INVALID, |_, at| {
                open_outbox(as_place(&posting::options()), at, spare())
            }),
            err("selvedge_outbox_open.err", |_, at| open_outbox(ptr::null(), spare(), at)),
            out("selvedge_outbox_next_batch.out", |_, at| {
                selvedge_outbox_next_batch(outbox(), 1, at.cast(), ptr::null_mut())
            }),
            err("selvedge_outbox_next_batch.err", |_, at| {
                selvedge_outbox_next_batch(ptr::null_mut(), 1, spare().cast(), at.cast())
            }),
            err("selvedge_outbox_begin.err", |_, at| begin(ptr::null(), ptr::null_mut(), at)),
            err("selvedge_outbox_judge.err", |_, at| judge(ptr::null(), ptr::null(), judged(), at)),
            err("selvedge_outbox_ack.err", |_, at| selvedge_outbox_ack(outbox(), ptr::null(), at.cast())),
            err("selvedge_outbox_refuse.err", |_, at| selvedge_outbox_refuse(outbox(), ptr::null(), 1, at.cast())),
            // A batch can be split once: here there is none.
            half("selvedge_outbox_split.split", |_, at| {
                selvedge_outbox_split(outbox(), ptr::null(), at.cast(), ptr::null_mut())
            }),
            err("selvedge_outbox_split.err", |_, at| {
                selvedge_outbox_split(outbox(), ptr::null(), spare().cast(), at.cast())
            }),
            half("selvedge_outbox_bisect.split", |_, at| {
                selvedge_outbox_bisect(outbox(), ptr::null(), at.cast(), ptr::null_mut())
            }),
            err("selvedge_outbox_bisect.err", |_, at| {
                selvedge_outbox_bisect(outbox(), ptr::null(), spare().cast(), at.cast())
            }),
            out("selvedge_outbox_status_json.out", |_, at| {
                selvedge_outbox_status_json(outbox(), at.cast(), ptr::null_mut())
            }),
            err("selvedge_outbox_status_json.err", |_, at| {
                selvedge_outbox_status_json(ptr::null_mut(), spare().cast(), at.cast())
            }),
            out("selvedge_outbox_reset_install_id.out", |_, at| {
                selvedge_outbox_reset_install_id(outbox(), at.cast(), ptr::null_mut())
            }),
            err("selvedge_outbox_reset_install_id.err", |_, at| {
                selvedge_outbox_reset_install_id(ptr::null_mut(), spare().cast(), at.cast())
            }),
            out("selvedge_batch_request_count.count", |_, at| {
                selvedge_batch_request_count(target().batch, at.cast(), ptr::null_mut())
            }),
            err("selvedge_batch_request_count.err", |_, at| {
                selvedge_batch_request_count(ptr::null(), spare().cast(), at.cast())
            }),
            err("selvedge_batch_request.err", |_, at| {
                selvedge_batch_request(target().batch, 0, ptr::null_mut(), at.cast())
            }),
            out("selvedge_batch_json.out", |_, at| selvedge_batch_json(target().batch, at.cast(), ptr::null_mut())),
            err("selvedge_batch_json.err", |_, at| selvedge_batch_json(ptr::null(), spare().cast(), at.cast())),
            place("selvedge_table_open.out", NOT_FOUND, INVALID, |_, at| {
                open_table(as_place(&missing()), b"x".as_ptr(), 1, at, spare())
            }),
            err("selvedge_table_open.err", |_, at| open_table(ptr::null(), ptr::null(), 0, spare(), at)),
            out("selvedge_table_shape.rows", |_, at| {
                selvedge_table_shape(target().table, at.cast(), spare().cast(), ptr::null_mut())
            }),
            out("selvedge_table_shape.width", |_, at| {
                selvedge_table_shape(target().table, spare().cast(), at.cast(), ptr::null_mut())
            }),
            err("selvedge_table_shape.err", |_, at| {
                selvedge_table_shape(ptr::null(), spare().cast(), spare().cast(), at.cast())
            }),
            row("selvedge_table_gather.out", |_, at| gather(as_place(&0u32), 1, at, WIDTH, spare())),
            err("selvedge_table_gather.err", |_, at| gather(ptr::null(), 1, spare(), WIDTH, at)),
            sized(
                "selvedge_table_pool.weights",
                || raw(0.5f32),
                OK,
                OK,
                |_, at| pool(as_place(&0u32), at, 1, room(), WIDTH, spare()),
            ),
            row("selvedge_table_pool.out", |_, at| pool(as_place(&0u32), ptr::null(), 1, at, WIDTH, spare())),
            err("selvedge_table_pool.err", |_, at| pool(ptr::null(), ptr::null(), 1, room(), WIDTH, at)),
            row("selvedge_table_search.query", |_, at| search(at, WIDTH, 2, room(), spare(), spare())),
            sized(
                "selvedge_table_search.hits",
                || raw([selvedge_hit::default(); 2]),
                OK,
                INVALID,
                |_, at| search(as_place(&ROW), WIDTH, 2, at, spare(), spare()),
            ),
            out("selvedge_table_search.found", |_, at| search(as_place(&ROW), WIDTH, 2, room(), at, spare())),
            err("selvedge_table_search.err", |_, at| search(ptr::null(), WIDTH, 2, room(), spare(), at)),
            place("selvedge_pack.out", NOT_FOUND, INVALID, |_, at| {
                pack(as_place(&missing()), b"x".as_ptr(), 1, as_place(&int8()), at, spare())
            }),
            err("selvedge_pack.err", |_, at| pack(ptr::null(), ptr::null(), 0, ptr::null(), spare(), at)),
        ]
    }
}

/// Room for a few rows that are not looked at.
fn room() -> *mut u8 {
    Box::leak(Box::new([[0.0f32; WIDTH]; 4])).as_mut_ptr().cast()
}

fn arrays() -> Vec<Array> {
    let patterns = |name, call| Array { name, call, then: NOT_FOUND, empty: NOT_FOUND, null: NOT_FOUND, ..texts() };
    vec![
        Array {
            name: "selvedge_outbox_options.attributes",
            good: || {
                let pair = |name| raw(selvedge_pair { name: text(name), value: text("loom") });
                ["warp", "weft", "loom"].map(pair).to_vec()
            },
            call: |_, at, count| {
                let attributes = at.cast();
                with_options(&selvedge_outbox_options { attributes, attribute_count: count, ..posting::options() })
            },
            then: BUSY,
            empty: BUSY,
            null: BUSY,
            ..texts()
        },
        patterns("selvedge_pack_options.only", |_, at, count| {
            with_packing(&selvedge_pack_options { only: at.cast(), only_count: count, ..int8() })
        }),
        patterns("selvedge_pack_options.keep", |_, at, count| {
            with_packing(&selvedge_pack_options { keep: at.cast(), keep_count: count, ..int8() })
        }),
        patterns("selvedge_pack_options.finer", |_, at, count| {
            with_packing(&selvedge_pack_options { finer: at.cast(), finer_count: count, ..int8() })
        }),
    ]
}

fn bytes() -> Vec<Bytes> {
    type Call = fn(&Callee, *const u8, usize) -> selvedge_status;
    let bytes = |name, good: &'static str, most, [then, empty, null]: [selvedge_status; 3], call: Call| {
        let good = good.as_bytes();
        Bytes { name, good, call, most, then, empty, null }
    };
    let response = |name, call| bytes(name, "loom", Most::Memory, [OK; 3], call);
    // Two ids, and as many as so many bytes may be of.
    let ids = |name, call| bytes(name, "\x01\0\0\0\x02\0\0\0", Most::Memory, [OK; 3], call);
    let option = |name, expected, call| bytes(name, "loom", Most::Bounded, expected, call);
    vec![
        bytes("selvedge_outbox_open.folder", "no/such", Most::Bounded, [NOT_FOUND, INVALID, INVALID], |_, at, len| {
            open_at(at, len, as_place(&posting::options()), spare(), spare())
        }),
        option("selvedge_outbox_options.app", [BUSY, INVALID, INVALID], |_, at, len| {
            with_options(&selvedge_outbox_options { app: taken(at, len), ..posting::options() })
        }),
        option("selvedge_outbox_options.app_version", [BUSY; 3], |_, at, len| {
            with_options(&selvedge_outbox_options { app_version: taken(at, len), ..posting::options() })
        }),
        option("selvedge_outbox_options.attributes of a name", [BUSY, INVALID, INVALID], |_, at, len| {
            with_attribute(selvedge_pair { name: taken(at, len), value: text("loom") })
        }),
        option("selvedge_outbox_options.attributes of a value", [BUSY; 3], |_, at, len| {
            with_attribute(selvedge_pair { name: text("loom"), value: taken(at, len) })
        }),
        response("selvedge_http_response.content_type", |_, at, len| {
            judge_response(&init!(selvedge_http_response { status: 200, content_type: taken(at, len) }))
        }),
        response("selvedge_http_response.retry_after", |_, at, len| {
            judge_response(&init!(selvedge_http_response { status: 429, retry_after: taken(at, len) }))
        }),
        response("selvedge_http_response.body", |_, at, len| {
            judge_response(&init!(selvedge_http_response { status: 400, body: at.cast(), body_len: len }))
        }),
        bytes("selvedge_table_open.tensor", "loom", Most::Bounded, [NOT_FOUND; 3], |_, at, len| {
            open_table(as_place(&missing()), at, len, spare(), spare())
        }),
        ids("selvedge_table_gather.ids", |_, at, len| {
            let count = len.div_ceil(size_of::<u32>());
            gather(at, count, room(), count.wrapping_mul(WIDTH), spare())
        }),
        ids("selvedge_table_pool.ids", |_, at, len| {
            pool(at, ptr::null(), len.div_ceil(size_of::<u32>()), room(), WIDTH, spare())
        }),
        bytes("selvedge_pack.to", "loom", Most::Bounded, [NOT_FOUND, INVALID, INVALID], |_, at, len| {
            pack(as_place(&missing()), at, len, as_place(&int8()), spare(), spare())
        }),
        option("selvedge_pack_options.only of a pattern", [NOT_FOUND; 3], |_, at, len| {
            let only = taken(at, len);
            with_packing(&selvedge_pack_options { only: &raw const only, only_count: 1, ..int8() })
        }),
    ]
}

fn with_attribute(pair: selvedge_pair) -> selvedge_status {
    let attributes = &raw const pair;
    with_options(&selvedge_outbox_options { attributes, attribute_count: 1, ..posting::options() })
}
