//! Runs, pulled event by event.

#![expect(unsafe_code, reason = "calls the C ABI")]

use selvedge_ffi::abi::*;
use selvedge_ffi::{selvedge_run_answer, selvedge_run_next};

use crate::callback;
use crate::descriptor::{Java, Longs, Objects, Str};
use crate::failure::{call, handle, pointer};
use crate::native::natives;

/// Numbers of an event before those of its tokens, and tokens that fit behind them: `Run.kt` has the same.
const HEAD: usize = 9;
const MAX_TOKENS: usize = 16;

natives! {
    /// The text of the next event. Its numbers go into `numbers`: kind, finish, done, total, input, cached and output
    /// tokens, index, how many tokens made the text, and of each its id and the bits of its log-probability. Where so many
    /// do not fit there, another array goes into `more`, an array of four; name, id and reason go behind it, if there are.
    fn run_next(env, run: i64, numbers: Longs, more: Objects) -> Str {
        let mut event = selvedge_event { struct_size: size_of::<selvedge_event>(), ..Default::default() };
        // SAFETY: both places are this call's.
        call(|err| unsafe { selvedge_run_next(pointer(run), &mut event, err) })?;
        // SAFETY: text and tokens live until the next step or until the run is freed, and Java does neither meanwhile.
        let (piece, tokens) = unsafe {
            let count = if event.tokens.is_null() { 0 } else { event.token_count };
            let tokens = if count == 0 { &[][..] } else { std::slice::from_raw_parts(event.tokens, count) };
            (selvedge_text { data: event.text, len: event.text_len }, tokens)
        };
        let counts = [event.input_tokens, event.cached_tokens, event.output_tokens];
        let pairs = tokens.iter().flat_map(|token| [i64::from(token.id), i64::from(token.logprob.to_bits())]);
        let all = [i64::from(event.kind), i64::from(event.finish)]
            .into_iter()
            .chain([event.done, event.total].map(|count| count as i64))
            .chain(counts.map(|count| count as i64))
            .chain([event.index as i64, tokens.len() as i64])
            .chain(pairs);
        if tokens.len() > MAX_TOKENS {
            env.put(more.0, 0, env.new_longs(&all.collect::<Vec<_>>())?.0)?;
        } else {
            let mut room = [0; HEAD + 2 * MAX_TOKENS];
            let len = room.iter_mut().zip(all).map(|(place, number)| *place = number).count();
            env.set_longs(numbers, &room[..len])?;
        }
        // Most events have none of these.
        let texts = [(event.name, event.name_len), (event.id, event.id_len), (event.reason, event.reason_len)];
        for (at, (data, len)) in texts.into_iter().enumerate().filter(|(_, (data, _))| !data.is_null()) {
            let text = selvedge_text { data, len };
            // SAFETY: as above.
            let text = env.str(unsafe { callback::text(&text) })?;
            env.put(more.0, 1 + at, text.0)?;
        }
        if piece.data.is_null() {
            return Ok(Str::NONE);
        }
        // SAFETY: as above.
        env.str(unsafe { callback::text(&piece) })
    }

    fn run_answer(env, run: i64) -> i64 {
        // SAFETY: both places are this call's.
        handle(|out, err| unsafe { selvedge_run_answer(pointer(run), out, err) })
    }
}
