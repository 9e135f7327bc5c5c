//! Promises of the public calls apart from numbers: sizes, refusals, splits, tiles.

use half::{bf16, f16};

use super::assert_same;
use super::blocks::{Random, random};
use crate::Code;
use crate::kernel::dequantize::{Stores, dequantize_with};
use crate::kernel::row::{accumulate, dot_i8};
use crate::kernel::tiles::tiles;
use crate::kernel::*;

#[test]
fn a_wrong_number_of_bytes_is_refused() {
    for format in BlockFormat::ALL {
        let mut out = vec![0.0; 2 * format.block_elements()];
        let blocks = vec![0; 2 * format.block_bytes() + 1];
        for wrong in [&blocks[..0], &blocks[..format.block_bytes()], &blocks] {
            let refused = |result: crate::Result<()>| assert_eq!(result.unwrap_err().code(), Code::InvalidArgument);
            refused(dequantize_into(format, wrong, &mut out));
            refused(dequantize_f16_into(format, wrong, &mut vec![f16::ZERO; out.len()]));
            refused(dequantize_bf16_into(format, wrong, &mut vec![bf16::ZERO; out.len()]));
            refused(accumulate(format, wrong, 1.0, &mut out));
            refused(quantize_into(format, &out, &mut wrong.to_vec()));
        }
        dequantize_into(format, &blocks[..2 * format.block_bytes()], &mut out).unwrap();
        if format.block_elements() > 1 {
            let error = dequantize_into(format, &blocks, &mut [0.0; 33][..]).unwrap_err();
            assert!(error.message().contains("multiple of"), "{error}");
            assert!(tiles(format, &blocks[..format.block_bytes()], &mut [0.0; 31]).is_err());
        }
    }
    let query = Query::new(&[1.0; 64]).unwrap();
    assert_eq!(dot_i8(BlockFormat::Q8_0, &[0; 34], &query).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(dot_i8(BlockFormat::Q4K, &[0; 144], &query).unwrap_err().code(), Code::Unsupported);
}

#[test]
fn sizes_and_names() {
    for format in BlockFormat::ALL {
        assert_eq!(format.name().parse::<BlockFormat>().unwrap(), format);
        assert_eq!(format.bytes(0), Some(0));
        assert_eq!(format.bytes(3 * format.block_elements()), Some(3 * format.block_bytes()));
        assert_eq!(BlockFormat::ALL[format as usize], format);
    }
    assert_eq!(BlockFormat::F32.bytes(usize::MAX / 2), None);
    assert!("q4_Q".parse::<BlockFormat>().is_err());
}

/// Large outputs are split over threads and streamed; neither changes a bit.
#[test]
fn split_work_is_the_same_work() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for format in [BlockFormat::F16, BlockFormat::Q8_0, BlockFormat::Q6K] {
        let elements = (1 << 20) + 5 * 256;
        let bytes = random(format, elements / format.block_elements(), &mut Random(2));
        let mut expected = vec![0.0; elements];
        scalar::decode(format)(&bytes, &mut expected);
        let mut out = vec![0.0; elements];
        for stores in [Stores::Auto, Stores::Cached, Stores::Streaming] {
            out.fill(1.0);
            pool.install(|| dequantize_with(format, &bytes, &mut out, stores)).unwrap();
            assert_same(format, &out, &expected, &"split");
        }
        let mut narrow = vec![f16::ZERO; elements];
        pool.install(|| dequantize_f16_into(format, &bytes, &mut narrow)).unwrap();
        let mut brain = vec![bf16::ZERO; elements];
        pool.install(|| dequantize_bf16_into(format, &bytes, &mut brain)).unwrap();
        for (i, x) in expected.iter().enumerate() {
            let copied = format == BlockFormat::F16 && x.is_nan();
            assert!(copied || narrow[i].to_bits() == f16::from_f32(*x).to_bits(), "{format}: weight {i}");
            assert_eq!(brain[i].to_bits(), bf16::from_f32(*x).to_bits(), "{format}: weight {i}");
        }
    }
}

#[test]
fn tiles_are_the_tensor() {
    for format in BlockFormat::ALL {
        let bytes = random(format, 7, &mut Random(9));
        let mut expected = vec![0.0; 7 * format.block_elements()];
        dequantize_into(format, &bytes, &mut expected).unwrap();
        for room in [1, 2, 3, 7, 100] {
            let mut buffer = vec![0.0; room * format.block_elements() + format.block_elements() / 2];
            let (mut seen, mut tiles) = (Vec::new(), tiles(format, &bytes, &mut buffer).unwrap());
            while let Some(tile) = tiles.next() {
                assert_eq!(tile.first, seen.len());
                seen.extend_from_slice(tile.values);
            }
            assert_same(format, &seen, &expected, &"tiles");
        }
    }
}

/// Memory that nobody has touched has no pages yet.
#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn fresh_memory_is_known() {
    const BYTES: usize = 32 << 20;
    let mut map = memmap2::MmapMut::map_anon(BYTES).unwrap();
    let floats = |map: &[u8]| resident::is_resident(bytemuck::cast_slice(map));
    assert!(!floats(&map));
    map[..BYTES / 2].fill(1);
    assert!(!floats(&map), "half of it is fresh");
    assert!(floats(&map[..BYTES / 2]));
    map.fill(1);
    assert!(floats(&map));
}

/// A part of a tensor is the sub-slice of its blocks.
#[test]
fn row_ranges() {
    let bytes = random(BlockFormat::Q4K, 6, &mut Random(4));
    let (mut whole, mut part) = ([0.0; 6 * 256], [0.0; 2 * 256]);
    dequantize_into(BlockFormat::Q4K, &bytes, &mut whole).unwrap();
    dequantize_into(BlockFormat::Q4K, &bytes[3 * 144..5 * 144], &mut part).unwrap();
    assert_same(BlockFormat::Q4K, &part, &whole[3 * 256..5 * 256], &"part");
}

/// The name of the active table, for the process that asks for it.
#[test]
fn the_active_table_has_a_name() {
    println!("active: {}", active());
}

/// All that is promised here holds with each table, as an app would choose it.
#[test]
fn the_environment_chooses_the_table() {
    const VARIABLE: &str = "SELVEDGE_KERNEL";
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    for table in dispatch::available() {
        let mut tests = std::process::Command::new(std::env::current_exe().unwrap());
        tests.args(["kernel::tests::contract", "--nocapture"]).env(VARIABLE, table.isa.name());
        let output = tests.output().unwrap();
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}: {report}", table.isa);
        assert!(report.contains(&format!("active: {}", table.isa)), "{}: {report}", table.isa);
    }
}

#[test]
fn the_table_is_chosen_by_name() {
    let all = dispatch::available();
    for table in &all {
        assert_eq!(dispatch::choose(&all, Some(table.isa.name())).isa, table.isa);
    }
    let best = all.last().unwrap().isa;
    for wish in [None, Some(""), Some("avx1024")] {
        assert_eq!(dispatch::choose(&all, wish).isa, best);
    }
    prefetch(&[0; 300]);
}
