//! Every beginning of a good file, and every bit of its header the other way round.

use selvedge::{Code, Map, weights::WeightFile};

use crate::craft::File;
use crate::safetensors;
use crate::verdict::{open_and_use, survive};

fn files() -> [(&'static str, Vec<u8>); 2] {
    [("gguf", File::model().tensor("q", &[32, 3], 2, 54).bytes()), ("safetensors", safetensors::good())]
}

#[test]
fn every_prefix_is_corrupt() {
    for (name, file) in files() {
        let mut wrong = Vec::new();
        for end in 0..file.len() {
            match survive(file[..end].to_vec(), open_and_use) {
                Ok(Some(Code::Corrupt)) => {}
                other => wrong.push(format!("{name}, {end} bytes: {other:?}")),
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(survive(file, open_and_use), Ok(None), "{name}");
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_survived() {
    let (mut flips, mut refused) = (0, 0);
    for (name, mut file) in files() {
        let header = WeightFile::open(file.clone(), Map::Mapped).unwrap().data_start() as usize;
        for bit in 0..header * 8 {
            file[bit / 8] ^= 1 << (bit % 8);
            match survive(file.clone(), open_and_use) {
                Ok(None) => {}
                Ok(Some(Code::Corrupt | Code::Unsupported)) => refused += 1,
                other => panic!("{name}, bit {bit}: {other:?}"),
            }
            file[bit / 8] ^= 1 << (bit % 8);
            flips += 1;
        }
    }
    assert!(flips >= 50_000 && refused > 5_000 && refused < flips, "{refused} of {flips} are refused");
}
