//! NULL in the place of a result, a struct or an array, with all else in order.

use super::*;

/// The call must refuse NULL by the name of its place.
#[track_caller]
fn no(place: &str, f: impl FnOnce(*mut *mut selvedge_error) -> selvedge_status) {
    assert_eq!(refused(Code::InvalidArgument, f), format!("{place}: expected a pointer, got NULL"));
}

#[test]
fn the_places_of_outboxes_and_batches_are_checked() {
    let live = Live::new();
    let (telemetry, outbox, batch) = (live.get("telemetry"), live.get("outbox"), live.get("batch"));
    let (null, mut place) = (ptr::null_mut::<u8>, ptr::null_mut());
    let response = init!(selvedge_http_response { status: 200 });
    let (mut judgement, options) = (init!(selvedge_judgement {}), posting::options());
    let good = &raw mut judgement;
    // SAFETY: NULL is what is tested; all else lives during the calls.
    unsafe {
        let open = |at, options, out| move |err| selvedge_outbox_open(telemetry.cast(), at, 1, options, out, err);
        no("out", open(c"x".as_ptr(), &raw const options, ptr::null_mut()));
        no("folder", open(ptr::null(), &raw const options, &raw mut place));
        no("selvedge_outbox_options", open(c"x".as_ptr(), ptr::null(), &raw mut place));
        no("out", |err| selvedge_outbox_next_batch(outbox.cast(), 1 << 20, null().cast(), err));
        no("selvedge_judgement", |err| selvedge_outbox_begin(outbox.cast(), ptr::null(), 0, null().cast(), err));
        let judge = |response, out| {
            move |err| selvedge_outbox_judge(outbox.cast(), batch.cast(), 0, 1, ptr::null(), response, out, err)
        };
        no("selvedge_http_response", judge(ptr::null(), good));
        no("selvedge_judgement", judge(&raw const response, ptr::null_mut()));
        no("split", |err| selvedge_outbox_split(outbox.cast(), batch.cast(), null().cast(), err));
        no("split", |err| selvedge_outbox_bisect(outbox.cast(), batch.cast(), null().cast(), err));
        no("out", |err| selvedge_outbox_status_json(outbox.cast(), null().cast(), err));
        no("out", |err| selvedge_outbox_reset_install_id(outbox.cast(), null().cast(), err));
        no("count", |err| selvedge_batch_request_count(batch.cast(), null().cast(), err));
        no("selvedge_http_request", |err| selvedge_batch_request(batch.cast(), 0, null().cast(), err));
        no("out", |err| selvedge_batch_json(batch.cast(), null().cast(), err));
    }
    live.free();
}

#[test]
fn the_places_of_tables_and_packing_are_checked() {
    let live = Live::new();
    let (table, source) = (live.get("table"), tables::at("no/such"));
    let (null, mut place, mut packed) = (ptr::null_mut::<u8>, ptr::null_mut(), ptr::null_mut());
    let (mut numbers, mut ids, mut width, mut found) = ([0.5f32; 32], [0u32], 7u64, 7usize);
    let (mut hit, options) = (selvedge_hit::default(), packing::options(SELVEDGE_SCHEME_INT8));
    let (numbers, ids) = (numbers.as_mut_ptr(), ids.as_mut_ptr().cast_const());
    // SAFETY: NULL is what is tested; all else lives during the calls.
    unsafe {
        let open = |source, name, out| move |err| selvedge_table_open(source, name, 1, 0, out, err);
        no("selvedge_source", open(ptr::null(), c"x".as_ptr(), &raw mut place));
        no("tensor", open(&raw const source, ptr::null(), &raw mut place));
        no("out", open(&raw const source, c"x".as_ptr(), ptr::null_mut()));
        no("rows", |err| selvedge_table_shape(table.cast(), null().cast(), &raw mut width, err));
        assert_eq!(width, 0, "the other place is zeroed");
        no("width", |err| selvedge_table_shape(table.cast(), &raw mut width, null().cast(), err));
        let gather = |ids, out| move |err| selvedge_table_gather(table.cast(), ids, 1, out, 32, err);
        no("ids", gather(ptr::null(), numbers));
        no("out", gather(ids, ptr::null_mut()));
        let pool = |ids, out| move |err| selvedge_table_pool(table.cast(), ids, 1, 0, ptr::null(), 0, out, 32, err);
        no("ids", pool(ptr::null(), numbers));
        no("out", pool(ids, ptr::null_mut()));
        let search =
            |query, hits, found| move |err| selvedge_table_search(table.cast(), query, 32, 1, hits, found, err);
        no("query", search(ptr::null(), &raw mut hit, &raw mut found));
        no("hits", search(numbers.cast_const(), ptr::null_mut(), &raw mut found));
        no("found", search(numbers.cast_const(), &raw mut hit, ptr::null_mut()));
        let pack = |source, to, options, out| move |err| selvedge_pack(source, to, 1, options, out, err);
        no("selvedge_source", pack(ptr::null(), c"x".as_ptr(), &raw const options, &raw mut packed));
        no("to", pack(&raw const source, ptr::null(), &raw const options, &raw mut packed));
        no("selvedge_pack_options", pack(&raw const source, c"x".as_ptr(), ptr::null(), &raw mut packed));
        no("out", pack(&raw const source, c"x".as_ptr(), &raw const options, ptr::null_mut()));
    }
    live.free();
}

#[test]
fn the_places_of_stores_and_crash_records_are_checked() {
    let live = Live::new();
    let (store, staged, id) = (live.get("store"), live.get("staged"), stores::ID.as_ptr().cast());
    let (null, mut place, mut buffer, mut number) = (ptr::null_mut::<u8>, ptr::null_mut(), ptr::null_mut(), 7u64);
    let (trust, package) = (stores::trust(), stores::nowhere());
    // SAFETY: NULL is what is tested; all else lives during the calls.
    unsafe {
        let open = |at, trust, out| move |err| selvedge_store_open(at, 1, trust, out, err);
        no("folder", open(ptr::null(), &raw const trust, &raw mut place));
        no("selvedge_trust", open(c"x".as_ptr(), ptr::null(), &raw mut place));
        no("out", open(c"x".as_ptr(), &raw const trust, ptr::null_mut()));
        no("selvedge_repository", |err| selvedge_store_refresh(store.cast(), ptr::null(), err));
        no("selvedge_package", |err| {
            selvedge_store_import(store.cast(), ptr::null(), ptr::null(), &raw mut buffer, err)
        });
        no("out", |err| selvedge_store_import(store.cast(), &raw const package, ptr::null(), null().cast(), err));
        no("manifest", |err| selvedge_manifest_json(ptr::null(), 1, &raw mut buffer, err));
        no("id", |err| selvedge_store_activate(store.cast(), ptr::null(), 64, err));
        no("why", |err| selvedge_store_quarantine(store.cast(), id, 64, ptr::null(), 1, err));
        no("name", |err| selvedge_store_file(store.cast(), id, 64, ptr::null(), 1, &raw mut buffer, err));
        no("bytes", |err| selvedge_staged_write(staged.cast(), ptr::null(), 1, err));
        no("offset", |err| selvedge_staged_offset(staged.cast(), null().cast(), &raw mut number, err));
        assert_eq!(number, 0, "the other place is zeroed");
        no("size", |err| selvedge_staged_offset(staged.cast(), &raw mut number, null().cast(), err));
        no("out", |err| selvedge_crash_entries(c"x".as_ptr(), 1, null().cast(), err));
        no("digest", |err| selvedge_crash_clear_model(c"x".as_ptr(), 1, ptr::null(), 64, err));
        no("deaths", |err| selvedge_crash_explain(c"x".as_ptr(), 1, 1, SELVEDGE_EXIT_OTHERWISE, 0, null().cast(), err));
    }
    live.free();
}
