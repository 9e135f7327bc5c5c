//! The places of `selvedge/crash.h` and `selvedge/store.h`, and of the options that ask for a crash record.

use super::callee::{Callee, as_place};
use super::cases::Most;
use super::places::{
    Array, INVALID_THEN, MISSING, NOT_FOUND, OK, Place, UNSUPPORTED, raw, read, result, some, spare, taken, texts,
};
use super::*;

const IO: selvedge_status = selvedge_status(7);
const CORRUPT: selvedge_status = selvedge_status(8);
const ID: &[u8] = &stores::ID;
/// A folder that cannot be made.
const NO_FOLDER: &[u8] = b"Cargo.toml/store";
/// Id, nothing, and NULL, where a version must be named.
const NAMED: [selvedge_status; 3] = [UNSUPPORTED, INVALID, INVALID];

pub(super) fn places() -> Vec<Place> {
    [options(), crash(), opened(), incoming(), staged(), serving(), files(), outs(), errors()]
        .into_iter()
        .flatten()
        .collect()
}

fn options() -> Vec<Place> {
    vec![
        some("selvedge_options.crash_folder", b"no/such", Most::Bounded, [NOT_FOUND; 3], |_, at, len| {
            with_options(&init!(selvedge_options { crash_folder: taken(at, len) }))
        }),
        some("selvedge_options.crash_app_version", b"1.2", Most::Bounded, [NOT_FOUND; 3], |_, at, len| {
            with_options(&init!(selvedge_options { crash_folder: text("no/such"), crash_app_version: taken(at, len) }))
        }),
        Place::Array(Array {
            name: "selvedge_options.crash_rungs",
            good: || [1u32, 2, 4].map(raw).to_vec(),
            call: |_, at, count| {
                with_options(&init!(selvedge_options {
                    crash_folder: text("no/such"),
                    crash_rungs: at.cast(),
                    crash_rung_count: count,
                }))
            },
            then: NOT_FOUND,
            empty: NOT_FOUND,
            null: NOT_FOUND,
            ..texts()
        }),
    ]
}

fn with_options(options: &selvedge_options) -> selvedge_status {
    // SAFETY: the places are as a case made them: what the library may touch of them is there.
    unsafe { selvedge_engine_open(MISSING.as_ptr().cast(), MISSING.len(), options, spare().cast(), ptr::null_mut()) }
}

fn crash() -> Vec<Place> {
    let folder = b"no/such";
    vec![
        some("selvedge_crash_entries.folder", folder, Most::Bounded, INVALID_THEN, |_, at, len| {
            entries(at, len, spare())
        }),
        some("selvedge_crash_clear.folder", folder, Most::Bounded, INVALID_THEN, |_, at, len| {
            clear(at, len, ptr::null_mut())
        }),
        some("selvedge_crash_clear_model.folder", folder, Most::Bounded, INVALID_THEN, |_, at, len| {
            clear_model(at, len, ID.as_ptr(), ID.len(), ptr::null_mut())
        }),
        some("selvedge_crash_clear_model.digest", ID, Most::Bounded, INVALID_THEN, |_, at, len| {
            clear_model(b"x".as_ptr(), 1, at, len, ptr::null_mut())
        }),
        some("selvedge_crash_explain.folder", folder, Most::Bounded, INVALID_THEN, |_, at, len| {
            explain(at, len, spare(), ptr::null_mut())
        }),
        result("selvedge_crash_explain.deaths", OK, INVALID, |_, at| explain(b"x".as_ptr(), 1, at, ptr::null_mut())),
        result("selvedge_crash_explain.err", INVALID, INVALID, |_, at| explain(ptr::null(), 1, spare(), at)),
        result("selvedge_crash_entries.out", OK, INVALID, |_, at| entries(b"x".as_ptr(), 1, at)),
        // SAFETY: as above.
        result("selvedge_crash_entries.err", INVALID, INVALID, |_, at| unsafe {
            selvedge_crash_entries(ptr::null(), 1, spare().cast(), at.cast())
        }),
        result("selvedge_crash_clear.err", INVALID, INVALID, |_, at| clear(ptr::null(), 1, at)),
        result("selvedge_crash_clear_model.err", INVALID, INVALID, |_, at| {
            clear_model(ptr::null(), 1, ptr::null(), 0, at)
        }),
    ]
}

fn entries(folder: *const u8, len: usize, out: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_crash_entries(folder.cast(), len, out.cast(), ptr::null_mut()) }
}

fn clear(folder: *const u8, len: usize, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_crash_clear(folder.cast(), len, err.cast()) }
}

fn clear_model(folder: *const u8, len: usize, digest: *const u8, digest_len: usize, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_crash_clear_model(folder.cast(), len, digest.cast(), digest_len, err.cast()) }
}

fn explain(folder: *const u8, len: usize, deaths: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_crash_explain(folder.cast(), len, 1, SELVEDGE_EXIT_OTHERWISE, 0, deaths.cast(), err.cast()) }
}

fn opened() -> Vec<Place> {
    vec![
        some("selvedge_store_open.folder", NO_FOLDER, Most::Bounded, [IO, INVALID, INVALID], |_, at, len| {
            open(at, len, as_place(&stores::trust()), spare(), ptr::null_mut())
        }),
        read("selvedge_store_open.trust", || raw(stores::trust()), |_, at| with_trust(at), IO, INVALID),
        result("selvedge_store_open.out", IO, INVALID, |_, at| {
            open(NO_FOLDER.as_ptr(), NO_FOLDER.len(), as_place(&stores::trust()), at, ptr::null_mut())
        }),
        result("selvedge_store_open.err", INVALID, INVALID, |_, at| open(ptr::null(), 1, ptr::null(), spare(), at)),
        Place::Array(Array {
            name: "selvedge_trust.keys",
            good: || {
                // SAFETY: a trust has one key, which is static.
                let key = unsafe { *stores::trust().keys };
                vec![raw(key); 3]
            },
            call: |_, at, count| with_trust(as_place(&init!(selvedge_trust { keys: at.cast(), key_count: count }))),
            then: IO,
            empty: IO,
            null: IO,
            ..texts()
        }),
        some("selvedge_trust.keys of a text", b"no PEM", Most::Memory, [INVALID; 3], |_, at, len| {
            let key = taken(at, len);
            with_trust(as_place(&init!(selvedge_trust { keys: &raw const key, key_count: 1 })))
        }),
        Place::Array(Array {
            name: "selvedge_trust.authorities",
            good: || vec![raw(text("no PEM")); 3],
            call: |_, at, count| {
                with_trust(as_place(&init!(selvedge_trust { authorities: at.cast(), authority_count: count })))
            },
            then: CERTIFIED,
            empty: IO,
            null: IO,
            ..texts()
        }),
        Place::Array(Array {
            name: "selvedge_trust.identities",
            good: || vec![raw(text("")); 3],
            call: |_, at, count| with_identities(at, [text(""); 3].as_ptr().cast(), count),
            then: CERTIFIED,
            empty: IO,
            null: IO,
            ..texts()
        }),
        Place::Array(Array {
            name: "selvedge_trust.issuers",
            good: || vec![raw(text("")); 3],
            call: |_, at, count| with_identities([text("x"); 3].as_ptr().cast(), at, count),
            then: CERTIFIED,
            empty: IO,
            null: IO,
            ..texts()
        }),
        some("selvedge_trust.sigstore", b"{}", Most::Memory, [SIGSTORE, IO, IO], |_, at, len| {
            with_trust(as_place(&init!(selvedge_trust { sigstore: taken(at, len) })))
        }),
        some("selvedge_trust.root", b"{}", Most::Memory, [CORRUPT, IO, IO], |_, at, len| {
            with_trust(as_place(&init!(selvedge_trust { root: taken(at, len) })))
        }),
        some(
            "selvedge_store_open_read_only.folder",
            b"no/such",
            Most::Bounded,
            [NOT_FOUND, INVALID, INVALID],
            |_, at, len| open_read_only(at, len, spare(), ptr::null_mut()),
        ),
        result("selvedge_store_open_read_only.out", NOT_FOUND, INVALID, |_, at| {
            open_read_only(MISSING.as_ptr(), MISSING.len(), at, ptr::null_mut())
        }),
        result("selvedge_store_open_read_only.err", INVALID, INVALID, |_, at| {
            open_read_only(ptr::null(), 1, spare(), at)
        }),
    ]
}

/// What certificates that are none come to, and a trusted root that is none; also in a library that has neither.
const CERTIFIED: selvedge_status = if cfg!(feature = "keyless") { INVALID } else { UNSUPPORTED };
const SIGSTORE: selvedge_status = if cfg!(feature = "keyless") { CORRUPT } else { UNSUPPORTED };

fn with_identities(identities: *const u8, issuers: *const u8, count: usize) -> selvedge_status {
    let trust = init!(selvedge_trust { identities: identities.cast(), issuers: issuers.cast(), identity_count: count });
    with_trust(as_place(&trust))
}

fn with_trust(trust: *const u8) -> selvedge_status {
    open(NO_FOLDER.as_ptr(), NO_FOLDER.len(), trust, spare(), ptr::null_mut())
}

fn open(folder: *const u8, len: usize, trust: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_open(folder.cast(), len, trust.cast(), out.cast(), err.cast()) }
}

fn open_read_only(folder: *const u8, len: usize, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_open_read_only(folder.cast(), len, out.cast(), err.cast()) }
}

fn incoming() -> Vec<Place> {
    // The store has no root, whatever the metadata are.
    let metadata = |name, call| some(name, b"{}", Most::Memory, [INVALID; 3], call);
    vec![
        read("selvedge_store_refresh.repository", || raw(init!(selvedge_repository {})), refresh_at, INVALID, INVALID),
        metadata("selvedge_repository.timestamp", |c, at, len| {
            refresh(c, &init!(selvedge_repository { timestamp: taken(at, len) }))
        }),
        metadata("selvedge_repository.snapshot", |c, at, len| {
            refresh(c, &init!(selvedge_repository { snapshot: taken(at, len) }))
        }),
        metadata("selvedge_repository.targets", |c, at, len| {
            refresh(c, &init!(selvedge_repository { targets: taken(at, len) }))
        }),
        Place::Array(Array {
            name: "selvedge_repository.roots",
            call: |c, at, count| refresh(c, &init!(selvedge_repository { roots: at.cast(), root_count: count })),
            then: INVALID,
            empty: INVALID,
            null: INVALID,
            ..texts()
        }),
        read(
            "selvedge_store_import.package",
            || raw(stores::nowhere()),
            |c, at| import(c, at, ptr::null(), spare(), ptr::null_mut()),
            NOT_FOUND,
            INVALID,
        ),
        read(
            "selvedge_store_import.options",
            || raw(init!(selvedge_import_options {})),
            |c, at| import(c, as_place(&stores::nowhere()), at, spare(), ptr::null_mut()),
            NOT_FOUND,
            NOT_FOUND,
        ),
        result("selvedge_store_import.out", NOT_FOUND, INVALID, |c, at| {
            import(c, as_place(&stores::nowhere()), ptr::null(), at, ptr::null_mut())
        }),
        result("selvedge_store_import.err", INVALID, INVALID, |c, at| import(c, ptr::null(), ptr::null(), spare(), at)),
        some("selvedge_package.path", MISSING, Most::Bounded, [NOT_FOUND, INVALID, INVALID], |c, at, len| {
            let package = init!(selvedge_package { path: taken(at, len) });
            import(c, as_place(&package), ptr::null(), spare(), ptr::null_mut())
        }),
        some("selvedge_package.tag", b"1.0", Most::Bounded, [NOT_FOUND; 3], |c, at, len| {
            let package = selvedge_package { tag: taken(at, len), ..stores::nowhere() };
            import(c, as_place(&package), ptr::null(), spare(), ptr::null_mut())
        }),
        some("selvedge_store_import_staged.manifest", b"{}", Most::Memory, [CORRUPT; 3], |c, at, len| {
            import_staged(c, at, len, ptr::null(), ptr::null_mut())
        }),
        read(
            "selvedge_store_import_staged.options",
            || raw(init!(selvedge_import_options {})),
            |c, at| import_staged(c, b"{}".as_ptr(), 2, at, ptr::null_mut()),
            CORRUPT,
            CORRUPT,
        ),
        result("selvedge_store_import_staged.err", INVALID, INVALID, |c, at| {
            import_staged(c, ptr::null(), 1, ptr::null(), at)
        }),
        some("selvedge_manifest_json.manifest", b"{}", Most::Memory, [CORRUPT; 3], |_, at, len| {
            manifest(at, len, spare(), ptr::null_mut())
        }),
        result("selvedge_manifest_json.out", CORRUPT, INVALID, |_, at| {
            manifest(b"{}".as_ptr(), 2, at, ptr::null_mut())
        }),
        result("selvedge_manifest_json.err", INVALID, INVALID, |_, at| manifest(ptr::null(), 1, spare(), at)),
    ]
}

fn refresh(c: &Callee, repository: &selvedge_repository) -> selvedge_status {
    refresh_at(c, as_place(repository).cast_mut())
}

fn refresh_at(c: &Callee, repository: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_refresh(c.store, repository.cast(), ptr::null_mut()) }
}

fn import(c: &Callee, package: *const u8, options: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_import(c.store, package.cast(), options.cast(), out.cast(), err.cast()) }
}

fn import_staged(c: &Callee, manifest: *const u8, len: usize, options: *const u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_import_staged(c.store, manifest.cast(), len, options.cast(), spare().cast(), err.cast()) }
}

fn manifest(manifest: *const u8, len: usize, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_manifest_json(manifest.cast(), len, out.cast(), err.cast()) }
}

fn staged() -> Vec<Place> {
    vec![
        some("selvedge_store_stage.digest", ID, Most::Bounded, NAMED, |c, at, len| {
            stage(c, at, len, spare(), ptr::null_mut())
        }),
        result("selvedge_store_stage.out", UNSUPPORTED, INVALID, |c, at| {
            stage(c, ID.as_ptr(), ID.len(), at, ptr::null_mut())
        }),
        result("selvedge_store_stage.err", INVALID, INVALID, |c, at| stage(c, ptr::null(), 1, spare(), at)),
        result("selvedge_staged_offset.offset", OK, INVALID, |c, at| offset(c, at, spare(), ptr::null_mut())),
        result("selvedge_staged_offset.size", OK, INVALID, |c, at| offset(c, spare(), at, ptr::null_mut())),
        result("selvedge_staged_offset.err", INVALID, INVALID, |c, at| offset(c, ptr::null_mut(), spare(), at)),
        // SAFETY: as above, here and below.
        some("selvedge_staged_write.bytes", b"warp", Most::Memory, [OK; 3], |c, at, len| unsafe {
            selvedge_staged_write(c.staged, at.cast(), len, ptr::null_mut())
        }),
        // SAFETY: as above.
        result("selvedge_staged_write.err", INVALID, INVALID, |c, at| unsafe {
            selvedge_staged_write(c.staged, ptr::null(), 1, at.cast())
        }),
        // Bytes are missing.
        // SAFETY: as above.
        result("selvedge_staged_finish.err", INVALID, INVALID, |c, at| unsafe {
            selvedge_staged_finish(c.staged, at.cast())
        }),
    ]
}

fn stage(c: &Callee, digest: *const u8, len: usize, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_stage(c.reader, digest.cast(), len, 7, out.cast(), err.cast()) }
}

fn offset(c: &Callee, offset: *mut u8, size: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_staged_offset(c.staged, offset.cast(), size.cast(), err.cast()) }
}

/// An id, and nothing but a status.
macro_rules! by_id {
    ($($name:ident $then:expr;)*) => {
        vec![$(
            // SAFETY: as above.
            some(concat!(stringify!($name), ".id"), ID, Most::Bounded, [$then, INVALID, INVALID], |c, at, len| unsafe {
                $name(c.reader, at.cast(), len, ptr::null_mut())
            }),
            // SAFETY: as above.
            result(concat!(stringify!($name), ".err"), INVALID, INVALID, |c, at| unsafe {
                $name(c.reader, ptr::null(), 1, at.cast())
            }),
        )*]
    };
}

fn serving() -> Vec<Place> {
    let mut all = by_id! {
        selvedge_store_activate NOT_FOUND;
        selvedge_store_pardon UNSUPPORTED;
        selvedge_store_remove UNSUPPORTED;
    };
    all.extend([
        some("selvedge_store_quarantine.id", ID, Most::Bounded, NAMED, |c, at, len| {
            quarantine(c, at, len, b"why".as_ptr(), 3)
        }),
        some("selvedge_store_quarantine.why", b"why", Most::Bounded, [UNSUPPORTED; 3], |c, at, len| {
            quarantine(c, ID.as_ptr(), ID.len(), at, len)
        }),
        some("selvedge_store_miss.id", ID, Most::Bounded, NAMED, |c, at, len| miss(c, at, len, b"why".as_ptr(), 3)),
        some("selvedge_store_miss.why", b"why", Most::Bounded, [UNSUPPORTED; 3], |c, at, len| {
            miss(c, ID.as_ptr(), ID.len(), at, len)
        }),
    ]);
    all
}

fn quarantine(c: &Callee, id: *const u8, id_len: usize, why: *const u8, why_len: usize) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_quarantine(c.reader, id.cast(), id_len, why.cast(), why_len, ptr::null_mut()) }
}

fn miss(c: &Callee, id: *const u8, id_len: usize, why: *const u8, why_len: usize) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_miss(c.reader, id.cast(), id_len, why.cast(), why_len, spare().cast(), ptr::null_mut()) }
}

fn files() -> Vec<Place> {
    let id = |name, call| some(name, ID, Most::Bounded, [NOT_FOUND; 3], call);
    vec![
        // SAFETY: as above.
        some("selvedge_store_standing_json.id", ID, Most::Bounded, INVALID_THEN, |c, at, len| unsafe {
            selvedge_store_standing_json(c.reader, at.cast(), len, spare().cast(), ptr::null_mut())
        }),
        id("selvedge_store_open_engine.id", |c, at, len| open_engine(c, at, len, ptr::null())),
        read(
            "selvedge_store_open_engine.options",
            || raw(init!(selvedge_options {})),
            |c, at| open_engine(c, ID.as_ptr(), ID.len(), at),
            NOT_FOUND,
            NOT_FOUND,
        ),
        id("selvedge_store_path.id", |c, at, len| path(c, at, len, ptr::null(), 0)),
        some("selvedge_store_path.name", b"rain", Most::Bounded, [NOT_FOUND; 3], |c, at, len| {
            path(c, ptr::null(), 0, at, len)
        }),
        id("selvedge_store_file.id", |c, at, len| file(c, at, len, b"rain".as_ptr(), 4)),
        some("selvedge_store_file.name", b"rain", Most::Bounded, [NOT_FOUND; 3], |c, at, len| {
            file(c, ptr::null(), 0, at, len)
        }),
        // SAFETY: as above.
        id("selvedge_store_verify.id", |c, at, len| unsafe {
            selvedge_store_verify(c.reader, at.cast(), len, ptr::null(), ptr::null_mut())
        }),
    ]
}

fn open_engine(c: &Callee, id: *const u8, len: usize, options: *const u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_open_engine(c.reader, id.cast(), len, options.cast(), spare().cast(), ptr::null_mut()) }
}

fn path(c: &Callee, id: *const u8, id_len: usize, name: *const u8, name_len: usize) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_path(c.reader, id.cast(), id_len, name.cast(), name_len, spare().cast(), ptr::null_mut()) }
}

fn file(c: &Callee, id: *const u8, id_len: usize, name: *const u8, name_len: usize) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_store_file(c.reader, id.cast(), id_len, name.cast(), name_len, spare().cast(), ptr::null_mut()) }
}

/// Places of functions that give something: the call with all in order, and what comes of it.
macro_rules! outs {
    ($($name:ident $then:expr, |$c:ident, $at:ident| $call:expr;)*) => {
        vec![$(
            // SAFETY: as above.
            result(concat!(stringify!($name), ".out"), $then, INVALID, |$c, $at| unsafe { $call }),
        )*]
    };
}

fn outs() -> Vec<Place> {
    outs! {
        selvedge_store_versions_json OK, |c, at| selvedge_store_versions_json(c.store, at.cast(), ptr::null_mut());
        selvedge_store_current_json OK, |c, at| selvedge_store_current_json(c.store, at.cast(), ptr::null_mut());
        selvedge_store_standing_json OK, |c, at|
            selvedge_store_standing_json(c.store, ID.as_ptr().cast(), ID.len(), at.cast(), ptr::null_mut());
        selvedge_store_import_staged CORRUPT, |c, at|
            selvedge_store_import_staged(c.store, c"{}".as_ptr(), 2, ptr::null(), at.cast(), ptr::null_mut());
        selvedge_store_rollback NOT_FOUND, |c, at| selvedge_store_rollback(c.store, at.cast(), ptr::null_mut());
        selvedge_store_miss UNSUPPORTED, |c, at|
            selvedge_store_miss(c.reader, ID.as_ptr().cast(), ID.len(), ptr::null(), 0, at.cast(), ptr::null_mut());
        selvedge_store_gc OK, |c, at| selvedge_store_gc(c.store, 1, at.cast(), ptr::null_mut());
        selvedge_store_open_engine NOT_FOUND, |c, at|
            selvedge_store_open_engine(c.store, ptr::null(), 0, ptr::null(), at.cast(), ptr::null_mut());
        selvedge_store_path NOT_FOUND, |c, at|
            selvedge_store_path(c.store, ptr::null(), 0, ptr::null(), 0, at.cast(), ptr::null_mut());
        selvedge_store_file NOT_FOUND, |c, at|
            selvedge_store_file(c.store, ptr::null(), 0, c"x".as_ptr(), 1, at.cast(), ptr::null_mut());
    }
}

/// The same, with something wrong, and a place for the error.
macro_rules! errors {
    ($($name:ident |$c:ident, $at:ident| $call:expr;)*) => {
        vec![$(
            // SAFETY: as above.
            result(concat!(stringify!($name), ".err"), INVALID, INVALID, |$c, $at| unsafe { $call }),
        )*]
    };
}

fn errors() -> Vec<Place> {
    errors! {
        selvedge_store_refresh |c, at| selvedge_store_refresh(c.store, ptr::null(), at.cast());
        selvedge_store_versions_json |c, at| selvedge_store_versions_json(c.store, ptr::null_mut(), at.cast());
        selvedge_store_current_json |c, at| selvedge_store_current_json(c.store, ptr::null_mut(), at.cast());
        selvedge_store_standing_json |c, at|
            selvedge_store_standing_json(c.store, ptr::null(), 0, spare().cast(), at.cast());
        selvedge_store_rollback |c, at| selvedge_store_rollback(c.store, ptr::null_mut(), at.cast());
        selvedge_store_quarantine |c, at|
            selvedge_store_quarantine(c.store, ptr::null(), 0, ptr::null(), 0, at.cast());
        selvedge_store_miss |c, at|
            selvedge_store_miss(c.store, ptr::null(), 0, ptr::null(), 0, spare().cast(), at.cast());
        selvedge_store_gc |c, at| selvedge_store_gc(c.store, 1, ptr::null_mut(), at.cast());
        selvedge_store_open_engine |c, at|
            selvedge_store_open_engine(c.store, ptr::null(), 1, ptr::null(), spare().cast(), at.cast());
        selvedge_store_path |c, at|
            selvedge_store_path(c.store, ptr::null(), 1, ptr::null(), 0, spare().cast(), at.cast());
        selvedge_store_file |c, at|
            selvedge_store_file(c.store, ptr::null(), 1, ptr::null(), 0, spare().cast(), at.cast());
        selvedge_store_verify |c, at| selvedge_store_verify(c.store, ptr::null(), 1, ptr::null(), at.cast());
    }
}
