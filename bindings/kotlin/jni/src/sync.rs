//! Outboxes and batches.

#![expect(unsafe_code, reason = "calls the C ABI")]

use selvedge_ffi::abi::*;
use selvedge_ffi::*;

use crate::base::text_of;
use crate::callback;
use crate::descriptor::{Bytes, Longs, Objects, Str, Strs};
use crate::env::Env;
use crate::failure::{Result, call, give, handle, pointer};
use crate::native::natives;
use crate::request::{pairs, text};

natives! {
    fn outbox_open(
        env, telemetry: i64, folder: Str, app: Str, app_version: Str, attributes: Strs, interval_ms: i64,
        min_count: i64, epsilon: f64, encoding: i32, flags: i32,
    ) -> i64 {
        let (folder, app) = (env.text("folder", folder)?, env.text("app", app)?);
        let app_version = env.text_or_none("app_version", app_version)?.unwrap_or_default();
        let attributes = env.texts("attribute", attributes)?;
        let attributes = pairs(&attributes);
        let options = selvedge_outbox_options {
            struct_size: size_of::<selvedge_outbox_options>(),
            app: text(&app),
            app_version: text(&app_version),
            attributes: attributes.as_ptr(),
            attribute_count: attributes.len(),
            interval_ms: interval_ms as u64,
            min_count: min_count as u64,
            epsilon,
            encoding,
            flags: flags as u32,
        };
        // SAFETY: folder and options live until the call returns.
        handle(|out, err| unsafe {
            selvedge_outbox_open(pointer(telemetry), folder.as_ptr().cast(), folder.len(), &options, out, err)
        })
    }

    /// 0 when all was posted.
    fn outbox_next_batch(env, outbox: i64, max_bytes: i64) -> i64 {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(0);
        // SAFETY: both places are this call's.
        handle(|out, err| unsafe { selvedge_outbox_next_batch(pointer(outbox), max_bytes, out, err) })
    }

    /// A judgement: a `long[]` of decision, wait and refused, and the reason.
    fn outbox_begin(
        env, outbox: i64, attempts: i32, retry_flags: i32, base_ms: i64, cap_ms: i64, network: i32,
    ) -> Objects {
        let retry = retry(attempts, retry_flags, base_ms, cap_ms);
        judgement(env, |judgement, err| {
            // SAFETY: all of it lives until the call returns.
            unsafe { selvedge_outbox_begin(pointer(outbox), &retry, network as u32, judgement, err) }
        })
    }

    fn outbox_judge(
        env, outbox: i64, batch: i64, index: i32, attempt: i32, attempts: i32, retry_flags: i32, base_ms: i64,
        cap_ms: i64, status: i32, content_type: Str, retry_after: Str, body: Bytes,
    ) -> Objects {
        let content_type = env.text_or_none("content_type", content_type)?.unwrap_or_default();
        let retry_after = env.text_or_none("retry_after", retry_after)?.unwrap_or_default();
        let body = env.bytes(body)?;
        let response = selvedge_http_response {
            struct_size: size_of::<selvedge_http_response>(),
            status: status as u32,
            reserved: 0,
            content_type: text(&content_type),
            retry_after: text(&retry_after),
            body: body.as_ptr().cast(),
            body_len: body.len(),
        };
        let retry = retry(attempts, retry_flags, base_ms, cap_ms);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        judgement(env, |judgement, err| {
            let (outbox, batch) = (pointer(outbox), pointer::<selvedge_batch>(batch));
            // SAFETY: all of it lives until the call returns.
            unsafe { selvedge_outbox_judge(outbox, batch, index, attempt as u32, &retry, &response, judgement, err) }
        })
    }

    fn outbox_ack(env, outbox: i64, batch: i64) {
        // SAFETY: the place is this call's.
        call(|err| unsafe { selvedge_outbox_ack(pointer(outbox), pointer(batch), err) })
    }

    fn outbox_refuse(env, outbox: i64, batch: i64, refused: i64) {
        // SAFETY: the place is this call's.
        call(|err| unsafe { selvedge_outbox_refuse(pointer(outbox), pointer(batch), refused as u64, err) })
    }

    fn outbox_split(env, outbox: i64, batch: i64) -> i32 {
        // SAFETY: both places are this call's.
        give(|split: *mut i32, err| unsafe { selvedge_outbox_split(pointer(outbox), pointer(batch), split, err) })
    }

    fn outbox_bisect(env, outbox: i64, batch: i64) -> i32 {
        // SAFETY: both places are this call's.
        give(|split: *mut i32, err| unsafe { selvedge_outbox_bisect(pointer(outbox), pointer(batch), split, err) })
    }

    fn outbox_status(env, outbox: i64) -> Str {
        // SAFETY: both places are this call's.
        text_of(env, |out, err| unsafe { selvedge_outbox_status_json(pointer(outbox), out, err) })
    }

    fn outbox_reset_install_id(env, outbox: i64) -> Str {
        // SAFETY: both places are this call's.
        text_of(env, |out, err| unsafe { selvedge_outbox_reset_install_id(pointer(outbox), out, err) })
    }

    fn batch_request_count(env, batch: i64) -> i32 {
        // SAFETY: both places are this call's.
        give(|count: *mut usize, err| unsafe { selvedge_batch_request_count(pointer(batch), count, err) })
            .map(|count| count as i32)
    }

    /// A request: path, content type, content encoding, and the body as a `byte[]`.
    fn batch_request(env, batch: i64, index: i32) -> Objects {
        let mut request =
            selvedge_http_request { struct_size: size_of::<selvedge_http_request>(), ..Default::default() };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        // SAFETY: both places are this call's.
        call(|err| unsafe { selvedge_batch_request(pointer(batch), index, &mut request, err) })?;
        // SAFETY: what the request points to lives as long as the batch, which Java keeps during a native.
        let (texts, body) = unsafe {
            let texts = [&request.path, &request.content_type, &request.content_encoding];
            let body = request.body.cast::<u8>();
            let body = if request.body_len == 0 { &[] } else { std::slice::from_raw_parts(body, request.body_len) };
            (texts.map(|one| callback::text(one)), body)
        };
        let body = env.new_bytes(body)?;
        let [path, content_type, encoding] = texts.map(|one| env.str(one));
        env.objects(&[path?.0, content_type?.0, encoding?.0, body.0])
    }

    fn batch_json(env, batch: i64) -> Str {
        // SAFETY: both places are this call's.
        text_of(env, |out, err| unsafe { selvedge_batch_json(pointer(batch), out, err) })
    }
}

fn retry(attempts: i32, flags: i32, base_ms: i64, cap_ms: i64) -> selvedge_retry {
    selvedge_retry {
        struct_size: size_of::<selvedge_retry>(),
        attempts: attempts as u32,
        flags: flags as u32,
        base_ms: base_ms as u64,
        cap_ms: cap_ms as u64,
    }
}

fn judgement(
    env: Env,
    function: impl FnOnce(*mut selvedge_judgement, *mut *mut selvedge_error) -> selvedge_status,
) -> Result<Objects> {
    let mut judged = selvedge_judgement { struct_size: size_of::<selvedge_judgement>(), ..Default::default() };
    call(|err| function(&mut judged, err))?;
    let numbers: Longs = env.new_longs(&[i64::from(judged.decision), judged.wait_ms as i64, judged.refused as i64])?;
    // SAFETY: the reason lives until the next judgement, which Java asks for one at a time.
    let reason = env.str(unsafe { callback::text(&judged.reason) })?;
    env.objects(&[numbers.0, reason.0])
}
