//! Every function that takes a handle, with all else in order: each must judge the handle alone.

use super::*;

/// A call with a handle that is to be judged.
pub(super) struct Call {
    /// The type that it takes.
    pub(super) wants: &'static str,
    pub(super) name: &'static str,
    /// Whether the handle stands in a struct, where NULL means none.
    pub(super) is_option: bool,
    pub(super) entry: Box<Entry>,
}

type Entry = dyn Fn(*mut *mut selvedge_error) -> selvedge_status;

/// The rest of a call lives as long as the process, or during the call.
macro_rules! table {
    ($($wants:literal $name:ident $($option:literal)? |$out:ident, $err:ident| $call:expr;)*) => {
        vec![$(Call {
            wants: $wants,
            name: stringify!($name),
            is_option: false $(| $option)?,
            entry: Box::new(move |$err: *mut *mut selvedge_error| {
                let mut place = ptr::without_provenance_mut::<u8>(0x5eed);
                let $out = &raw mut place;
                // SAFETY: every pointer is to something that lives during the call.
                let status = unsafe { $call };
                assert!(place.is_null() || place.addr() == 0x5eed, "written on failure");
                status
            }),
        },)*]
    };
}

/// Those calls, with `h` where a handle stands, and `live` for those beside it.
pub(super) fn calls(h: *mut u8, live: &Live) -> Vec<Call> {
    let layers = [layers(h, live), deployments(h, live)].into_iter().flatten();
    let all = [engines(h), monitors(h, live), posting(h, live), tables(h), stores_of(h, live)].into_iter().flatten();
    all.chain(layers).collect()
}

fn engines(h: *mut u8) -> Vec<Call> {
    let generate = || init!(selvedge_generate { prompt: text("warp") });
    table! {
        "engine" selvedge_engine_spec_json |out, err|
            selvedge_engine_spec_json(h.cast(), out.cast(), &mut 0, err);
        "engine" selvedge_engine_run |out, err|
            selvedge_engine_run(h.cast(), &init!(selvedge_tensors {}), ptr::null(), out.cast(), err);
        "engine" selvedge_engine_start |out, err|
            selvedge_engine_start(h.cast(), &init!(selvedge_tensors {}), ptr::null(), out.cast(), err);
        "engine" selvedge_engine_generate |out, err|
            selvedge_engine_generate(h.cast(), &generate(), ptr::null(), out.cast(), err);
        "engine" selvedge_engine_embed |out, err| {
            let texts = [text("warp")];
            let request = init!(selvedge_embed { texts: texts.as_ptr(), text_count: 1 });
            selvedge_engine_embed(h.cast(), &request, ptr::null(), out.cast(), err)
        };
        "engine" selvedge_engine_score |out, err|
            selvedge_engine_score(h.cast(), &init!(selvedge_score {}), ptr::null(), out.cast(), err);
        "engine" selvedge_engine_rerank |out, err|
            selvedge_engine_rerank(h.cast(), &init!(selvedge_rerank {}), ptr::null(), out.cast(), err);
        "engine" selvedge_engine_save_prefixes |_out, err|
            selvedge_engine_save_prefixes(h.cast(), c"x".as_ptr(), 1, &mut init!(selvedge_prefixes {}), err);
        "engine" selvedge_engine_restore_prefixes |_out, err|
            selvedge_engine_restore_prefixes(h.cast(), c"x".as_ptr(), 1, &mut init!(selvedge_prefixes {}), err);
        "engine" selvedge_engine_trim |out, err|
            selvedge_engine_trim(h.cast(), SELVEDGE_TRIM_CACHES, out.cast(), err);
        "engine" selvedge_engine_tokenize |out, err|
            selvedge_engine_tokenize(h.cast(), &generate(), out.cast(), err);
        "engine" selvedge_engine_detokenize |out, err|
            selvedge_engine_detokenize(h.cast(), [1].as_ptr(), 1, out.cast(), err);
        "engine" selvedge_engine_render |out, err| selvedge_engine_render(h.cast(), &generate(), out.cast(), err);
        "run" selvedge_run_next |_out, err| selvedge_run_next(h.cast(), &mut init!(selvedge_event {}), err);
        "run" selvedge_run_answer |out, err| selvedge_run_answer(h.cast(), out.cast(), err);
        "answer" selvedge_answer_output_count |out, err| selvedge_answer_output_count(h.cast(), out.cast(), err);
        "answer" selvedge_answer_output |_out, err|
            selvedge_answer_output(h.cast(), 0, &mut init!(selvedge_tensor {}), err);
        "answer" selvedge_answer_json |out, err| selvedge_answer_json(h.cast(), out.cast(), &mut 0, err);
        "cancel" selvedge_engine_open true |out, err| {
            let options = init!(selvedge_options { cancel: h.cast() });
            selvedge_engine_open(c"no/such/file".as_ptr(), 12, &options, out.cast(), err)
        };
    }
}

fn monitors(h: *mut u8, live: &Live) -> Vec<Call> {
    let (engine, telemetry) = (live.get("engine"), live.get("telemetry"));
    let options = || init!(selvedge_monitor_options { config: text(r#"{"probe": []}"#) });
    table! {
        "telemetry" selvedge_telemetry_status_json |out, err|
            selvedge_telemetry_status_json(h.cast(), out.cast(), err);
        "profile" selvedge_profile_encode |out, err| selvedge_profile_encode(h.cast(), out.cast(), err);
        "profile" selvedge_profile_json |out, err| selvedge_profile_json(h.cast(), out.cast(), err);
        "profile" selvedge_profile_compare |out, err| {
            let columns = [column("wind", SELVEDGE_F32, &[1.0f32, 2.0])];
            selvedge_profile_compare(h.cast(), &rows_of(&columns, 2), out.cast(), err)
        };
        "engine" selvedge_monitor_new |out, err|
            selvedge_monitor_new(h.cast(), telemetry.cast(), &options(), out.cast(), err);
        "telemetry" selvedge_monitor_new |out, err|
            selvedge_monitor_new(engine.cast(), h.cast(), &options(), out.cast(), err);
        "profile" selvedge_monitor_new true |out, err| {
            let options = selvedge_monitor_options { profile: h.cast(), ..options() };
            selvedge_monitor_new(engine.cast(), telemetry.cast(), &options, out.cast(), err)
        };
        "monitor" selvedge_monitor_engine |out, err| selvedge_monitor_engine(h.cast(), out.cast(), err);
        "monitor" selvedge_monitor_next_alert |_out, err|
            selvedge_monitor_next_alert(h.cast(), &mut init!(selvedge_alert {}), err);
        "monitor" selvedge_monitor_feedback |_out, err| {
            let mut verdict = 7;
            let status = selvedge_monitor_feedback(h.cast(), 1, SELVEDGE_LABEL_CORRECT, 1, &raw mut verdict, err);
            assert_eq!(verdict, SELVEDGE_VERDICT_NONE);
            status
        };
        "monitor" selvedge_monitor_tick |_out, err| selvedge_monitor_tick(h.cast(), err);
        "monitor" selvedge_monitor_close_window |_out, err| selvedge_monitor_close_window(h.cast(), err);
        "monitor" selvedge_monitor_report_json |out, err| selvedge_monitor_report_json(h.cast(), out.cast(), err);
        "monitor" selvedge_monitor_profile |out, err| selvedge_monitor_profile(h.cast(), out.cast(), err);
    }
}

fn posting(h: *mut u8, live: &Live) -> Vec<Call> {
    let (outbox, batch) = (live.get("outbox"), live.get("batch"));
    let response = || init!(selvedge_http_response { status: 200 });
    let judgement = || init!(selvedge_judgement {});
    let split = 5;
    table! {
        "telemetry" selvedge_outbox_open |out, err|
            selvedge_outbox_open(h.cast(), c"x".as_ptr(), 1, &posting::options(), out.cast(), err);
        "outbox" selvedge_outbox_next_batch |out, err|
            selvedge_outbox_next_batch(h.cast(), 1 << 20, out.cast(), err);
        "outbox" selvedge_outbox_begin |_out, err|
            selvedge_outbox_begin(h.cast(), ptr::null(), 0, &mut judgement(), err);
        "outbox" selvedge_outbox_judge |_out, err| selvedge_outbox_judge(
            h.cast(), batch.cast(), 0, 1, ptr::null(), &response(), &mut judgement(), err);
        "batch" selvedge_outbox_judge |_out, err| selvedge_outbox_judge(
            outbox.cast(), h.cast(), 0, 1, ptr::null(), &response(), &mut judgement(), err);
        "outbox" selvedge_outbox_ack |_out, err| selvedge_outbox_ack(h.cast(), batch.cast(), err);
        "batch" selvedge_outbox_ack |_out, err| selvedge_outbox_ack(outbox.cast(), h.cast(), err);
        "outbox" selvedge_outbox_refuse |_out, err| selvedge_outbox_refuse(h.cast(), batch.cast(), 1, err);
        "batch" selvedge_outbox_refuse |_out, err| selvedge_outbox_refuse(outbox.cast(), h.cast(), 1, err);
        "outbox" selvedge_outbox_split |_out, err|
            selvedge_outbox_split(h.cast(), batch.cast(), &mut { split }, err);
        "batch" selvedge_outbox_split |_out, err|
            selvedge_outbox_split(outbox.cast(), h.cast(), &mut { split }, err);
        "outbox" selvedge_outbox_bisect |_out, err|
            selvedge_outbox_bisect(h.cast(), batch.cast(), &mut { split }, err);
        "batch" selvedge_outbox_bisect |_out, err|
            selvedge_outbox_bisect(outbox.cast(), h.cast(), &mut { split }, err);
        "outbox" selvedge_outbox_status_json |out, err| selvedge_outbox_status_json(h.cast(), out.cast(), err);
        "outbox" selvedge_outbox_reset_install_id |out, err|
            selvedge_outbox_reset_install_id(h.cast(), out.cast(), err);
        "batch" selvedge_batch_request_count |out, err| selvedge_batch_request_count(h.cast(), out.cast(), err);
        "batch" selvedge_batch_request |_out, err|
            selvedge_batch_request(h.cast(), 0, &mut init!(selvedge_http_request {}), err);
        "batch" selvedge_batch_json |out, err| selvedge_batch_json(h.cast(), out.cast(), err);
    }
}

fn tables(h: *mut u8) -> Vec<Call> {
    let numbers = [0.0f32; 32];
    table! {
        "table" selvedge_table_shape |out, err| selvedge_table_shape(h.cast(), out.cast(), &mut 0, err);
        "table" selvedge_table_gather |_out, err|
            selvedge_table_gather(h.cast(), [0].as_ptr(), 1, { numbers }.as_mut_ptr(), 32, err);
        "table" selvedge_table_pool |_out, err| selvedge_table_pool(
            h.cast(), [0].as_ptr(), 1, 0, ptr::null(), 0, { numbers }.as_mut_ptr(), 32, err);
        "table" selvedge_table_search |_out, err| selvedge_table_search(
            h.cast(), numbers.as_ptr(), 32, 1, &mut selvedge_hit::default(), &mut 0, err);
        "cancel" selvedge_pack true |out, err| {
            let options = selvedge_pack_options { cancel: h.cast(), ..packing::options(SELVEDGE_SCHEME_INT8) };
            selvedge_pack(&tables::at("no/such/file"), c"x".as_ptr(), 1, &options, out.cast(), err)
        };
    }
}

fn layers(h: *mut u8, live: &Live) -> Vec<Call> {
    let (engine, answer, schedule) = (live.get("engine"), live.get("answer"), live.get("schedule"));
    let (models, store, id) = (live.get("models"), live.get("store"), stores::ID.as_ptr().cast());
    let probe = r#"{"kind": "tokens"}"#;
    let (probe, probe_len) = (probe.as_ptr().cast(), probe.len());
    table! {
        "engine" selvedge_cache_new |out, err| selvedge_cache_new(h.cast(), 1, out.cast(), err);
        "cache" selvedge_cache_engine |out, err| selvedge_cache_engine(h.cast(), out.cast(), err);
        "cache" selvedge_cache_status_json |out, err| selvedge_cache_status_json(h.cast(), out.cast(), err);
        "schedule" selvedge_schedule_around |out, err|
            selvedge_schedule_around(h.cast(), engine.cast(), 0, out.cast(), err);
        "engine" selvedge_schedule_around |out, err|
            selvedge_schedule_around(schedule.cast(), h.cast(), 0, out.cast(), err);
        "schedule" selvedge_schedule_status_json |out, err| selvedge_schedule_status_json(h.cast(), out.cast(), err);
        "engine" selvedge_engine_for_caller |out, err| selvedge_engine_for_caller(h.cast(), 7, out.cast(), err);
        "engine" selvedge_cascade_new |out, err| {
            let stages = [init!(selvedge_stage { engine: h.cast() }), init!(selvedge_stage { engine: engine.cast() })];
            selvedge_cascade_new(stages.as_ptr(), 2, 0, out.cast(), err)
        };
        "cascade" selvedge_cascade_engine |out, err| selvedge_cascade_engine(h.cast(), out.cast(), err);
        "cascade" selvedge_cascade_status_json |out, err| selvedge_cascade_status_json(h.cast(), out.cast(), err);
        "answer" selvedge_answer_confidence |_out, err|
            selvedge_answer_confidence(h.cast(), engine.cast(), probe, probe_len, &mut 0.0, err);
        "engine" selvedge_answer_confidence |_out, err|
            selvedge_answer_confidence(answer.cast(), h.cast(), probe, probe_len, &mut 0.0, err);
        "answer" selvedge_answer_version |out, err|
            selvedge_answer_version(h.cast(), out.cast(), &mut 0, &mut 0, err);
        "models" selvedge_models_add |_out, err|
            selvedge_models_add(h.cast(), c"x".as_ptr(), 1, c"x".as_ptr(), 1, ptr::null(), err);
        "models" selvedge_models_add_version |_out, err|
            selvedge_models_add_version(h.cast(), c"x".as_ptr(), 1, store.cast(), id, 64, ptr::null(), err);
        "store" selvedge_models_add_version |_out, err|
            selvedge_models_add_version(models.cast(), c"x".as_ptr(), 1, h.cast(), id, 64, ptr::null(), err);
        "models" selvedge_models_engine |out, err|
            selvedge_models_engine(h.cast(), c"x".as_ptr(), 1, out.cast(), err);
        "models" selvedge_models_trim |_out, err| selvedge_models_trim(h.cast(), SELVEDGE_TRIM_ALL, &mut 0, err);
        "models" selvedge_models_pressure |_out, err|
            selvedge_models_pressure(h.cast(), SELVEDGE_PRESSURE_WARNING, &mut 0, err);
        "models" selvedge_models_watch_pressure |_out, err| selvedge_models_watch_pressure(h.cast(), err);
        "models" selvedge_models_status_json |out, err| selvedge_models_status_json(h.cast(), out.cast(), err);
    }
}

fn deployments(h: *mut u8, live: &Live) -> Vec<Call> {
    let store = live.get("store");
    let config = r#"{"model": "rain", "monitor": {"probe": []}}"#;
    let (config, len) = (config.as_ptr().cast(), config.len());
    let (v1, plan) = (c"v1".as_ptr(), c"{}".as_ptr());
    table! {
        "store" selvedge_deployment_new |out, err|
            selvedge_deployment_new(h.cast(), config, len, ptr::null(), ptr::null(), out.cast(), err);
        "telemetry" selvedge_deployment_new true |out, err|
            selvedge_deployment_new(store.cast(), config, len, h.cast(), ptr::null(), out.cast(), err);
        "deployment" selvedge_deployment_engine |out, err| selvedge_deployment_engine(h.cast(), out.cast(), err);
        "deployment" selvedge_deployment_offer |_out, err|
            selvedge_deployment_offer(h.cast(), v1, 2, plan, 2, &mut 0, err);
        "deployment" selvedge_deployment_promote |_out, err| selvedge_deployment_promote(h.cast(), err);
        "deployment" selvedge_deployment_roll_back |out, err|
            selvedge_deployment_roll_back(h.cast(), out.cast(), err);
        "deployment" selvedge_deployment_forgive |_out, err| selvedge_deployment_forgive(h.cast(), v1, 2, err);
        "deployment" selvedge_deployment_label |_out, err| selvedge_deployment_label(h.cast(), v1, 2, 1, err);
        "deployment" selvedge_deployment_monitor |out, err|
            selvedge_deployment_monitor(h.cast(), v1, 2, out.cast(), err);
        "deployment" selvedge_deployment_status_json |out, err|
            selvedge_deployment_status_json(h.cast(), out.cast(), err);
        "deployment" selvedge_deployment_settle |_out, err|
            selvedge_deployment_settle(h.cast(), 1, &mut 0, err);
    }
}

fn stores_of(h: *mut u8, live: &Live) -> Vec<Call> {
    let (store, id) = (live.get("store"), stores::ID.as_ptr().cast());
    table! {
        "store" selvedge_store_refresh |_out, err|
            selvedge_store_refresh(h.cast(), &init!(selvedge_repository {}), err);
        "store" selvedge_store_versions_json |out, err| selvedge_store_versions_json(h.cast(), out.cast(), err);
        "store" selvedge_store_current_json |out, err| selvedge_store_current_json(h.cast(), out.cast(), err);
        "store" selvedge_store_standing_json |out, err|
            selvedge_store_standing_json(h.cast(), id, 64, out.cast(), err);
        "store" selvedge_store_import |out, err|
            selvedge_store_import(h.cast(), &stores::nowhere(), ptr::null(), out.cast(), err);
        "cancel" selvedge_store_import true |out, err| {
            let options = init!(selvedge_import_options { cancel: h.cast() });
            selvedge_store_import(store.cast(), &stores::nowhere(), &options, out.cast(), err)
        };
        "store" selvedge_store_import_staged |out, err|
            selvedge_store_import_staged(h.cast(), c"{}".as_ptr(), 2, ptr::null(), out.cast(), err);
        "store" selvedge_store_stage |out, err| selvedge_store_stage(h.cast(), id, 64, 7, out.cast(), err);
        "staged" selvedge_staged_offset |out, err| selvedge_staged_offset(h.cast(), out.cast(), &mut 0, err);
        "staged" selvedge_staged_write |_out, err| selvedge_staged_write(h.cast(), id.cast(), 1, err);
        "staged" selvedge_staged_finish |_out, err| selvedge_staged_finish(h.cast(), err);
        "store" selvedge_store_activate |_out, err| selvedge_store_activate(h.cast(), id, 64, err);
        "store" selvedge_store_rollback |out, err| selvedge_store_rollback(h.cast(), out.cast(), err);
        "store" selvedge_store_quarantine |_out, err|
            selvedge_store_quarantine(h.cast(), id, 64, ptr::null(), 0, err);
        "store" selvedge_store_miss |out, err|
            selvedge_store_miss(h.cast(), id, 64, ptr::null(), 0, out.cast(), err);
        "store" selvedge_store_pardon |_out, err| selvedge_store_pardon(h.cast(), id, 64, err);
        "store" selvedge_store_remove |_out, err| selvedge_store_remove(h.cast(), id, 64, err);
        "store" selvedge_store_gc |out, err| selvedge_store_gc(h.cast(), 1, out.cast(), err);
        "store" selvedge_store_open_engine |out, err|
            selvedge_store_open_engine(h.cast(), id, 64, ptr::null(), out.cast(), err);
        "store" selvedge_store_path |out, err|
            selvedge_store_path(h.cast(), id, 64, ptr::null(), 0, out.cast(), err);
        "store" selvedge_store_file |out, err|
            selvedge_store_file(h.cast(), id, 64, c"x".as_ptr(), 1, out.cast(), err);
        "store" selvedge_store_verify |_out, err| selvedge_store_verify(h.cast(), id, 64, ptr::null(), err);
        "cancel" selvedge_store_verify true |_out, err|
            selvedge_store_verify(store.cast(), id, 64, h.cast(), err);
    }
}
