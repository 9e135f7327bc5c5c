//! One harness for all variants: bit for bit the reference, at every length around a block and every alignment.

use half::{bf16, f16};

use super::assert_same;
use super::blocks::{Random, random};
use crate::kernel::BlockFormat;
use crate::kernel::dispatch::available;
use crate::kernel::table::Table;

/// Bytes of a cache line, and numbers in one.
const LINE: usize = 64;
const NUMBERS: usize = LINE / 4;

#[test]
fn lengths_and_alignments() {
    for table in available() {
        for format in BlockFormat::ALL {
            // Formats of single weights are read 64 at once.
            let most = if format.block_elements() == 1 { 130 } else { 3 };
            for blocks in 0..=most {
                for shift in 0..LINE {
                    at(&table, format, blocks, shift, shift % NUMBERS);
                    at(&table, format, blocks, 0, shift % NUMBERS);
                }
            }
            // Several of the tiles that unaligned streams go through, and a rest.
            at(&table, format, 10_000 / format.block_elements(), 0, 0);
            at(&table, format, 10_000 / format.block_elements(), 1, 3);
        }
    }
}

fn at(table: &Table, format: BlockFormat, blocks: usize, shift_in: usize, shift_out: usize) {
    let bytes = random(format, blocks, &mut Random((blocks * LINE + shift_in) as u64));
    let elements = blocks * format.block_elements();
    let mut expected = vec![0.0; elements];
    super::super::scalar::decode(format)(&bytes, &mut expected);

    let mut shifted = vec![0; bytes.len() + 2 * LINE];
    let from = shifted.as_ptr().align_offset(LINE) + shift_in;
    shifted[from..from + bytes.len()].copy_from_slice(&bytes);
    let bytes = &shifted[from..from + bytes.len()];

    let untouched = f32::from_bits(0xdead_beef);
    let mut out = vec![untouched; elements + 3 * NUMBERS];
    let to = out.as_ptr().align_offset(LINE) + shift_out;
    for (kernel, name) in [(table.decode, "cached"), (table.stream, "streamed")] {
        out.fill(untouched);
        kernel[format as usize](bytes, &mut out[to..to + elements]);
        let what = format!("{} {name}, {blocks} blocks at {shift_in} to {shift_out}", table.isa);
        assert_same(format, &out[to..to + elements], &expected, &what);
        let around = out[..to].iter().chain(&out[to + elements..]);
        assert!(around.into_iter().all(|x| x.to_bits() == untouched.to_bits()), "{format}, {what}: writes beyond");
    }

    let other = random(format, blocks, &mut Random(1));
    let mut other_weights = vec![0.0; elements];
    super::super::scalar::decode(format)(&other, &mut other_weights);
    let (one, other) = ((bytes, &expected), (&*other, &other_weights));
    let rows = [(one, 0.3), (other, -1.5), (one, 0.0), (other, 7.0), (other, 0.1), (one, 2.0)];
    for rows in [&rows[..1], &rows[1..5], &rows] {
        let mut sum: Vec<f32> = (0..elements).map(|i| i as f32).collect();
        let mut summed = sum.clone();
        for ((_, weights), by) in rows {
            summed.iter_mut().zip(*weights).for_each(|(sum, w)| *sum += by * w);
        }
        let rows: Vec<_> = rows.iter().map(|((row, _), by)| (*row, *by)).collect();
        table.accumulate[format as usize](&rows, &mut sum);
        let what = format!("{}, sum of {} rows of {blocks} blocks at {shift_in}", table.isa, rows.len());
        // Which of two NaNs their sum takes after is the order of operands, and that is the compiler's.
        let one_nan = |x: &f32| if x.is_nan() { f32::NAN } else { *x };
        let [sum, summed] = [sum, summed].map(|v| v.iter().map(one_nan).collect::<Vec<f32>>());
        assert_same(format, &sum, &summed, &what);
    }
}

#[test]
fn many_random_blocks() {
    for table in available() {
        for format in BlockFormat::ALL {
            let blocks = (1 << 21) / format.block_bytes();
            let bytes = random(format, blocks, &mut Random(7));
            let mut out = vec![0.0; blocks * format.block_elements()];
            let mut expected = out.clone();
            super::super::scalar::decode(format)(&bytes, &mut expected);
            table.decode[format as usize](&bytes, &mut out);
            assert_same(format, &out, &expected, &table.isa);
        }
    }
}

#[test]
fn every_half() {
    let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    for table in available() {
        for format in [BlockFormat::F16, BlockFormat::Bf16] {
            let (mut out, mut expected) = (vec![0.0; 1 << 16], vec![0.0; 1 << 16]);
            super::super::scalar::decode(format)(&bytes, &mut expected);
            table.decode[format as usize](&bytes, &mut out);
            assert_same(format, &out, &expected, &table.isa);
        }
    }
}

#[test]
fn narrowing() {
    let mut random = Random(3);
    // Random bits; numbers around those of binary16, its ties and its ends.
    let mut from: Vec<f32> = (0..100_000).map(|_| f32::from_bits(random.next() as u32)).collect();
    for bits in 0..=u16::MAX {
        let x = f16::from_bits(bits).to_f32();
        let near = [x.to_bits() ^ 1, x.to_bits() | 0x1000, x.to_bits() | 0x1001, x.to_bits() | 0x0fff];
        from.extend(near.map(f32::from_bits));
        from.push(f32::from_bits(u32::from(bits) << 16 | 0x8000));
    }
    for table in available() {
        for n in (0..70).chain([from.len()]) {
            for shift in 0..if n == from.len() { 1 } else { 8 } {
                let from = &from[shift..][..n.min(from.len() - shift)];
                let (mut f16s, mut bf16s) = (vec![f16::ZERO; from.len()], vec![bf16::ZERO; from.len()]);
                (table.narrow_f16)(from, &mut f16s);
                (table.narrow_bf16)(from, &mut bf16s);
                for (x, (f, b)) in from.iter().zip(f16s.iter().zip(&bf16s)) {
                    let (ef, eb) = (f16::from_f32_const(*x), bf16::from_f32_const(*x));
                    assert_eq!((f.to_bits(), b.to_bits()), (ef.to_bits(), eb.to_bits()), "{}: {x:e}", table.isa);
                }
            }
        }
    }
}
