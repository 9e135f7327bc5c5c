//! Smaller models.

#![expect(unsafe_code, reason = "calls the C ABI")]

use selvedge_ffi::abi::selvedge_pack_options;
use selvedge_ffi::selvedge_pack;

use crate::base::text_of;
use crate::callback::{self, Held};
use crate::descriptor::{Buffer, Listener, Str, Strs};
use crate::failure::pointer;
use crate::native::natives;
use crate::opening::Source;
use crate::request::texts;

natives! {
    fn pack(
        env, path: Str, file: i64, offset: i64, length: i64, memory: Buffer, to: Str, scheme: i32, flags: i32,
        min_elements: i64, mean_bits: f64, only: Strs, keep: Strs, finer: Strs, cancel: i64, listener: Listener,
    ) -> Str {
        let (source, to) = (Source::read(env, path, file, offset, length, memory)?, env.text("to", to)?);
        let (only, keep, finer) = (env.texts("only", only)?, env.texts("keep", keep)?, env.texts("finer", finer)?);
        let (only, keep, finer) = (texts(&only), texts(&keep), texts(&finer));
        let listener = Held::listener(env, listener)?;
        let options = selvedge_pack_options {
            struct_size: size_of::<selvedge_pack_options>(),
            scheme,
            flags: flags as u32,
            min_elements: min_elements as u64,
            mean_bits,
            only: only.as_ptr(),
            only_count: only.len(),
            keep: keep.as_ptr(),
            keep_count: keep.len(),
            finer: finer.as_ptr(),
            finer_count: finer.len(),
            cancel: pointer(cancel),
            on_progress: if listener.is_some() { Some(callback::progress) } else { None },
            user_data: callback::lent(&listener),
            ..Default::default()
        };
        let raw = source.lend(env, memory)?;
        // SAFETY: all of it lives until the call returns; memory that is lent, until it is released.
        text_of(env, |out, err| unsafe { selvedge_pack(&raw, to.as_ptr().cast(), to.len(), &options, out, err) })
    }
}
