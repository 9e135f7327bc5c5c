//! A model split into several files: opened as one by any of them, and refused where they do not belong together.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};

use crate::backend::inspect;
use crate::engine::{Ask, Cancel, Engine, Generate};
use crate::source::Loading;
use crate::weights::WeightFile;
use crate::weights::tests::craft::File;
use crate::{Bytes, Code, Digest, Result, Source};
use crate::{OpenProgress, Options, open};

fn small(i: usize) -> f32 {
    ((i * 7919 + 13) % 101) as f32 / 500.0 - 0.1
}

/// The tensors of each part: none in the first, as a file of metadata alone is made; the word embeddings, which are a
/// model by themselves elsewhere; the rest.
const RANGES: [Range<usize>; 3] = [0..0, 0..1, 1..20];

/// The parts of a whole model: the first with its metadata, the others with what says that they are parts.
fn parts(model: &File) -> Vec<File> {
    let place = |file: File, number: usize| {
        file.key("split.no", 2, (number as u16).to_le_bytes().into())
            .key("split.count", 2, 3u16.to_le_bytes().into())
            .key("split.tensors.count", 5, 20i32.to_le_bytes().into())
    };
    (0..3)
        .map(|i| {
            let file = if i == 0 { model.clone().no_tensors() } else { File::new() };
            let tensors = model.tensors()[RANGES[i].clone()].iter().cloned();
            place(tensors.fold(file, File::any_tensor), i)
        })
        .collect()
}

fn path(folder: &Path, i: usize) -> PathBuf {
    folder.join(format!("nonsense-{:05}-of-00003.gguf", i + 1))
}

fn write(folder: &Path, parts: &[File]) {
    for (i, part) in parts.iter().enumerate() {
        std::fs::write(path(folder, i), part.bytes()).unwrap();
    }
}

fn options() -> Options {
    Options::new().threads(1).context_tokens(100)
}

fn text(engine: &Arc<dyn Engine>) -> String {
    engine.run(Generate::text("some text").max_tokens(24)).unwrap().text
}

#[track_caller]
fn refused(result: Result<Arc<dyn Engine>>, code: Code, message: &str) {
    let error = result.map(|_| ()).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(message), "expected '{message}' in: {error}");
}

#[test]
fn a_split_model_serves_like_the_whole_one() {
    let whole = open(File::complete(small).bytes(), options()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let parts = parts(&File::complete(small));
    write(folder.path(), &parts);
    let bytes: Vec<u8> = parts.iter().flat_map(File::bytes).collect();
    for i in 0..3 {
        for loading in [Loading::Mapped, Loading::Read] {
            let engine = open(path(folder.path(), i), options().loading(loading)).unwrap();
            assert_eq!(text(&engine), text(&whole));
            let (spec, provenance) = (engine.spec(), &engine.spec().provenance);
            assert_eq!(spec.memory, whole.spec().memory);
            assert_eq!((&*provenance.model, provenance.digest.0), ("nonsense", Sha256::digest(&bytes).into()));
            let reported = inspect(path(folder.path(), i), &options().loading(loading)).unwrap();
            assert_eq!((reported.bytes, reported.tensors.len()), (bytes.len() as u64, 20));
            assert!(
                reported.flaw.is_none() && reported.warnings.is_empty(),
                "{:?} {:?}",
                reported.flaw,
                reported.warnings
            );
            assert_eq!(reported.backends[0].1.as_ref().unwrap(), &spec.memory);
        }
    }
}

#[test]
fn the_digest_is_of_all_parts() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts(&File::complete(small));
    write(folder.path(), &parts);
    let digest = |files: &[File]| Digest(Sha256::digest(files.iter().flat_map(File::bytes).collect::<Vec<_>>()).into());
    let with = |digest| open(path(folder.path(), 1), options().digest(digest));
    assert!(with(digest(&parts)).is_ok());
    refused(with(digest(&parts[1..2])), Code::Corrupt, "expected SHA-256");
    refused(with(digest(&parts[..2])), Code::Corrupt, "expected SHA-256");
    // One bit of a weight in the last part.
    let mut last = parts[2].bytes();
    *last.last_mut().unwrap() ^= 1;
    std::fs::write(path(folder.path(), 2), last).unwrap();
    assert!(open(path(folder.path(), 1), options()).is_ok());
    refused(with(digest(&parts)), Code::Corrupt, "expected SHA-256");
}

/// What llama.cpp gets is what was validated, whatever the paths have come to mean.
#[test]
fn parts_that_are_replaced_while_they_are_opened_are_not_seen() {
    let expected = text(&open(File::complete(small).bytes(), options()).unwrap());
    for loading in [Loading::Mapped, Loading::Read] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &parts(&File::complete(small)));
        let at = folder.path().to_owned();
        let replaces = options().loading(loading).progress(move |progress| {
            if let OpenProgress::Digest(..) = progress {
                for i in 0..3 {
                    std::fs::write(at.join("other"), b"no model at all").unwrap();
                    std::fs::rename(at.join("other"), path(&at, i)).unwrap();
                }
            }
        });
        assert_eq!(text(&open(path(folder.path(), 0), replaces).unwrap()), expected);
        assert!(open(path(folder.path(), 0), options()).is_err());
    }
}

/// Weights are used in place only if every part's can be.
#[cfg(target_os = "linux")]
#[test]
fn each_part_is_aligned_by_itself() {
    let expected = text(&open(File::complete(small).bytes(), options()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().to_str().unwrap();
    // How many parts are mapped while the model is open.
    let in_place = |part: &File, loading: Loading| {
        let mut parts = parts(&File::complete(small));
        parts[2] = part.clone();
        write(folder.path(), &parts);
        let engine = open(path(folder.path(), 0), options().loading(loading)).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mapped: BTreeSet<&str> = maps.split_whitespace().filter(|word| word.starts_with(name)).collect();
        assert_eq!(text(&engine), expected);
        mapped.len()
    };
    let of = |alignment: u32, padding: usize| {
        let part = parts(&File::complete(small)).remove(2);
        let mut part = part.text("padding", &" ".repeat(padding)).u32("general.alignment", alignment);
        part.alignment = alignment.into();
        part
    };
    let start = |file: &File| WeightFile::of_bytes(Bytes::shared(file.bytes())).unwrap().data_start() % 32;
    // Where the data begins is decided by the padding.
    let odd = (0..32).map(|n| of(8, n)).find(|part| start(part) != 0).unwrap();
    let even = (0..32).map(|n| of(8, n)).find(|part| start(part) == 0).unwrap();
    for (part, mapped) in [(of(32, 0), 3), (of(128, 0), 3), (even, 3), (odd, 0)] {
        assert_eq!((in_place(&part, Loading::Mapped), in_place(&part, Loading::Read)), (mapped, 0));
        let reported = inspect(path(folder.path(), 0), &options()).unwrap();
        assert_eq!(mapped == 0, reported.warnings.iter().any(|w| w.contains("not aligned")), "{:?}", reported.warnings);
    }
}

#[test]
fn opening_a_split_model_tells_how_far_it_is_and_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts(&File::complete(small));
    write(folder.path(), &parts);
    let all: usize = parts.iter().map(|part| part.bytes().len()).sum();
    let reported = Arc::new(Mutex::new(Vec::new()));
    let sink = reported.clone();
    open(path(folder.path(), 2), options().progress(move |p| sink.lock().unwrap().push(p))).unwrap();
    let reported = reported.lock().unwrap();
    assert!(reported.contains(&OpenProgress::Digest(all as u64, all as u64)), "{reported:?}");
    assert_eq!(reported.last(), Some(&OpenProgress::Load(1.0)));
    for while_loading in [false, true] {
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let stops = options().cancel(&cancel).progress(move |p| {
            if matches!(p, OpenProgress::Load(_)) == while_loading {
                stop.cancel();
            }
        });
        refused(open(path(folder.path(), 0), stops), Code::Cancelled, "");
    }
}

#[test]
fn what_is_no_path_is_no_whole() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts(&File::complete(small));
    write(folder.path(), &parts);
    for (i, part) in parts.iter().enumerate() {
        let message = format!("part {} of 3: expected the path", i + 1);
        refused(open(part.bytes(), options()), Code::Unsupported, &message);
        let file = std::fs::File::open(path(folder.path(), i)).unwrap();
        refused(open(Source::from(file), options()), Code::Unsupported, &message);
    }
    std::fs::rename(path(folder.path(), 1), folder.path().join("b.gguf")).unwrap();
    refused(open(folder.path().join("b.gguf"), options()), Code::Unsupported, "-00002-of-00003.gguf");
}

#[test]
fn parts_that_do_not_belong_together_are_typed_errors() {
    let good = parts(&File::complete(small));
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // A wrong part in the place of a good one, opened by a good one.
    let cases: Vec<(usize, File, Code, &str)> = vec![
        (1, good[2].clone(), Code::Corrupt, "expected part 1 of 3"),
        (1, good[1].clone().key("split.count", 2, vec![4, 0]), Code::Corrupt, "expected part 1 of 3"),
        (1, good[1].clone().key("split.count", 2, vec![1, 0]), Code::Corrupt, "expected part 1 of 3"),
        (1, good[1].clone().key("split.count", 2, vec![0, 0]), Code::Corrupt, "expected part 1 of 3"),
        (1, good[1].clone().without("split.no"), Code::Corrupt, "expected part 1 of 3"),
        // For another type of these llama.cpp would end the process, or not load it.
        (1, good[1].clone().u32("split.no", 1), Code::Corrupt, "got 1 as u32"),
        (0, good[0].clone().u32("split.no", 0), Code::Corrupt, "got 0 as u32"),
        (0, good[0].clone().u32("split.count", 3), Code::Corrupt, "3 as u32"),
        (
            1,
            good[1].clone().key("split.no", 9, [&[2u8, 0, 0, 0, 0][..], &[0; 7]].concat()),
            Code::Corrupt,
            "expected part 1 of 3",
        ),
        (0, good[0].clone().u32("split.tensors.count", 20), Code::Corrupt, "expected an i32, got 20 as u32"),
        (0, good[0].clone().without("split.tensors.count"), Code::Corrupt, "expected an i32, got nothing"),
        (0, good[0].clone().key("split.tensors.count", 5, vec![21, 0, 0, 0]), Code::Corrupt, "expected 21"),
        (1, good[1].clone().key("split.tensors.count", 5, vec![21, 0, 0, 0]), Code::Corrupt, "expected 20"),
        (1, good[1].clone().no_tensors(), Code::Corrupt, "split.tensors.count"),
        (1, good[1].clone().tensor("more", &[8], 0, 32), Code::Corrupt, "split.tensors.count"),
        (1, good[1].clone().no_tensors().tensor("output_norm.weight", &[64], 0, 256), Code::Corrupt, "there twice"),
        (1, good[1].clone().u32("general.alignment", 24), Code::Corrupt, "general.alignment"),
        // Parts of other models: another name, another vocabulary, another layer, a type that is not computed with.
        (1, good[1].clone().text("general.architecture", "bert"), Code::Corrupt, "as in the first part, got"),
        (
            1,
            good[1].clone().no_tensors().tensor("token_embd.weight", &[64, 299], 0, 64 * 299 * 4),
            Code::Corrupt,
            "[300, 64]",
        ),
        (
            1,
            good[1].clone().no_tensors().tensor("blk.9.attn_q.weight", &[64, 64], 0, 1 << 14),
            Code::Corrupt,
            "below 2",
        ),
        (
            1,
            good[1].clone().no_tensors().tensor("token_embd.weight", &[64, 300], 26, 64 * 300 * 4),
            Code::Unsupported,
            "I32",
        ),
        (1, good[1].clone().no_tensors().tensor("nothing.weight", &[64], 0, 256), Code::Corrupt, "token_embd.weight"),
        (1, File::complete(small), Code::Corrupt, "expected part 1 of 3"),
    ];
    for (place, wrong, code, message) in cases {
        write(at, &good);
        std::fs::write(path(at, place), wrong.bytes()).unwrap();
        refused(open(path(at, (place + 1) % 3), options()), code, message);
        // By the wrong one, it may seem to be another kind of file; but an error it is.
        assert!(open(path(at, place), options()).is_err() || wrong.tensors().len() == 20, "{message}");
    }
    write(at, &good);
    for (i, part) in good.iter().enumerate() {
        let bytes = part.bytes();
        for len in [0, 3, 24, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(path(at, i), &bytes[..len]).unwrap();
            for by in 0..3 {
                refused(open(path(at, by), options()), Code::Corrupt, "");
            }
        }
        std::fs::remove_file(path(at, i)).unwrap();
        refused(open(path(at, (i + 1) % 3), options()), Code::NotFound, &format!("-0000{}-of-00003", i + 1));
        std::os::unix::fs::symlink(at.join("elsewhere"), path(at, i)).unwrap();
        std::fs::write(at.join("elsewhere"), &bytes).unwrap();
        assert!(open(path(at, 0), options()).is_ok());
        refused(open(path(at, (i + 1) % 3), options().no_symlinks()), Code::InvalidArgument, "symbolic link");
        std::fs::remove_file(path(at, i)).unwrap();
        std::fs::create_dir(path(at, i)).unwrap();
        refused(open(path(at, (i + 1) % 3), options()), Code::InvalidArgument, "folder");
        std::fs::remove_dir(path(at, i)).unwrap();
        std::fs::write(path(at, i), bytes).unwrap();
    }
    assert!(open(path(at, 0), options()).is_ok());
}

/// Parts with a few wrong bytes, through our checks and, where they pass, through llama.cpp.
#[test]
fn damaged_parts_are_survived() {
    let good: Vec<Vec<u8>> = parts(&File::complete(small)).iter().map(File::bytes).collect();
    let folder = tempfile::tempdir().unwrap();
    for (i, bytes) in good.iter().enumerate() {
        std::fs::write(path(folder.path(), i), bytes).unwrap();
    }
    // A linear congruential generator: always the same files.
    let mut state = 5u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut loaded, mut refused) = (0, 0);
    for _ in 0..1500 {
        let place = random(3);
        let mut file = good[place].clone();
        let header = if place == 0 { file.len() } else { 1400.min(file.len()) };
        for _ in 0..=random(2) {
            let most = if random(2) == 0 { header } else { 160 };
            let at = random(most);
            file[at] = [0, 1, 2, 3, 0x7F, 0x80, 0xFF, b'x'][random(8)];
        }
        std::fs::write(path(folder.path(), place), &file).unwrap();
        match open(path(folder.path(), random(3)), Options::new().threads(1)) {
            Ok(engine) => {
                loaded += 1;
                // What it says means nothing, and it may not be able to say it.
                let _ = engine.run(Generate::text("some text").max_tokens(2));
            }
            Err(error) => {
                refused += 1;
                let codes = [Code::Corrupt, Code::Unsupported, Code::NotFound];
                assert!(codes.contains(&error.code()), "{error}");
            }
        }
        std::fs::write(path(folder.path(), place), &good[place]).unwrap();
    }
    assert!(loaded > 100 && refused > 300, "loaded {loaded}, refused {refused}");
}
