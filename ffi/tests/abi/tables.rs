//! Tables: what is gathered, pooled and found is what the crate gives, in the caller's memory.

use std::path::{Path, PathBuf};

use selvedge::weights::{Pool, Table, WeightFile};
use selvedge::{Code, Loading};

use super::*;

/// A weight file, one of its tensors, and the same table of the crate's.
struct Case {
    path: PathBuf,
    tensor: &'static str,
}

/// One of the repository's, and those of the corpus that are there.
fn cases() -> Vec<Case> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/static/model.safetensors");
    let mut cases = vec![Case { path: own, tensor: "embeddings" }];
    let real = [
        ("static-minilm/model.safetensors", "embeddings"),
        ("minilm-gguf/all-MiniLM-L6-v2-f16.gguf", "token_embd.weight"),
    ];
    for (name, tensor) in real {
        cases.extend(corpus::path(name).map(|path| Case { path, tensor }));
    }
    cases
}

impl Case {
    fn open(&self) -> *mut selvedge_table {
        open(&at(self.path.to_str().unwrap()), self.tensor, SELVEDGE_LOADING_MAPPED).unwrap()
    }

    fn of_crate(&self) -> Table {
        let file = WeightFile::open(&self.path, Loading::Mapped).unwrap();
        Table::new(&file.tensor(self.tensor).unwrap()).unwrap()
    }
}

pub(super) fn at(path: &str) -> selvedge_source {
    init!(selvedge_source { path: text(path) })
}

/// A table of the repository's.
pub(super) fn small() -> *mut selvedge_table {
    cases()[0].open()
}

pub(super) fn open(source: &selvedge_source, tensor: &str, loading: i32) -> Result<*mut selvedge_table, (i32, String)> {
    let mut out = ptr::without_provenance_mut(0x5eed);
    // SAFETY: all live during the call.
    let opened = call(|err| unsafe {
        selvedge_table_open(source, tensor.as_ptr().cast(), tensor.len(), loading, &raw mut out, err)
    });
    assert_eq!(out.is_null(), opened.is_err());
    opened.map(|()| out)
}

fn shape(table: *const selvedge_table) -> (usize, usize) {
    let (mut rows, mut width) = (7, 7);
    // SAFETY: both may be written.
    call(|err| unsafe { selvedge_table_shape(table, &raw mut rows, &raw mut width, err) }).unwrap();
    (rows as usize, width as usize)
}

fn gather(table: *const selvedge_table, ids: &[u32], out: &mut [f32]) -> Result<(), (i32, String)> {
    // SAFETY: both live during the call.
    call(|err| unsafe { selvedge_table_gather(table, ids.as_ptr(), ids.len(), out.as_mut_ptr(), out.len(), err) })
}

fn pool(
    table: *const selvedge_table,
    ids: &[u32],
    (pool, flags): (i32, u32),
    weights: Option<&[f32]>,
    out: &mut [f32],
) -> Result<(), (i32, String)> {
    let weights = weights.map_or(ptr::null(), |weights| {
        assert_eq!(weights.len(), ids.len());
        weights.as_ptr()
    });
    // SAFETY: all live during the call.
    call(|err| unsafe {
        selvedge_table_pool(table, ids.as_ptr(), ids.len(), pool, weights, flags, out.as_mut_ptr(), out.len(), err)
    })
}

fn search(
    table: *const selvedge_table,
    query: &[f32],
    k: usize,
    room: usize,
) -> Result<Vec<(u32, f32)>, (i32, String)> {
    let mut hits = vec![selvedge_hit { row: 77, score: 7.0 }; room + 1];
    let mut found = 77;
    // SAFETY: all live during the call.
    call(|err| unsafe {
        selvedge_table_search(table, query.as_ptr(), query.len(), k, hits.as_mut_ptr(), &raw mut found, err)
    })
    .inspect_err(|_| assert_eq!(found, 0))?;
    assert!(hits[found..].iter().all(|hit| hit.row == 77), "nothing is written behind what was found");
    Ok(hits[..found].iter().map(|hit| (hit.row, hit.score)).collect())
}

#[test]
fn rows_are_those_of_the_crate() {
    for case in cases() {
        let (table, expected) = (case.open(), case.of_crate());
        let (rows, width) = shape(table);
        assert_eq!((rows, width), (expected.rows(), expected.width()));
        let ids: Vec<u32> = (0..64).map(|i| (i * 7919 % rows) as u32).chain([rows as u32 - 1, 0, 0]).collect();
        let mut want = vec![0.0; ids.len() * width];
        expected.gather_into(&ids, &mut want).unwrap();
        let mut got = vec![f32::NAN; ids.len() * width];
        gather(table, &ids, &mut got).unwrap();
        assert_eq!(got, want, "{}", case.path.display());

        let weights: Vec<f32> = (0..ids.len()).map(|i| i as f32 / 8.0 - 3.0).collect();
        for (ours, given, theirs) in [
            (SELVEDGE_POOL_MEAN, None, Pool::Mean),
            (SELVEDGE_POOL_SUM, None, Pool::Sum),
            (SELVEDGE_POOL_SUM, Some(&*weights), Pool::Weighted(&weights)),
        ] {
            for flags in [0, SELVEDGE_POOL_NORMALIZE] {
                let (mut want, mut got) = (vec![0.0; width], vec![f32::NAN; width]);
                expected.pool_into(&ids, theirs, flags != 0, &mut want).unwrap();
                pool(table, &ids, (ours, flags), given, &mut got).unwrap();
                assert_eq!(got, want, "{theirs:?}");
            }
        }

        for k in [0, 1, 10, rows + 1, usize::MAX] {
            let want: Vec<_> = expected.search(&want[..width], k).unwrap().iter().map(|h| (h.row, h.score)).collect();
            let got = search(table, &got[..width], k, k.min(rows)).unwrap();
            assert_eq!(got, want, "the best {k} of {rows}");
            assert_eq!(got.len(), k.min(rows));
        }
        assert_eq!(selvedge_table_free(table), SELVEDGE_OK);
    }
}

#[test]
fn no_rows_are_a_vector_of_zeros() {
    let table = small();
    let (_, width) = shape(table);
    let mut out = vec![f32::NAN; width];
    pool(table, &[], (SELVEDGE_POOL_MEAN, SELVEDGE_POOL_NORMALIZE), None, &mut out).unwrap();
    assert!(out.iter().all(|x| *x == 0.0));
    // SAFETY: nothing is read and nothing written.
    call(|err| unsafe { selvedge_table_gather(table, ptr::null(), 0, ptr::null_mut(), 0, err) }).unwrap();
    assert_eq!(selvedge_table_free(table), SELVEDGE_OK);
}

#[test]
fn memory_that_is_not_aligned_is_as_good() {
    let table = small();
    let (_, width) = shape(table);
    let mut want = vec![0.0; 2 * width];
    gather(table, &[5, 1], &mut want).unwrap();
    // One byte on from where the allocator begins.
    let mut ids = vec![9u8];
    ids.extend([5u32, 1].iter().flat_map(|id| id.to_ne_bytes()));
    let mut out = vec![9u8; 8 * width + 2];
    // SAFETY: as many bytes are there; what is aligned is the library's to find out.
    call(|err| unsafe {
        selvedge_table_gather(table, ids.as_ptr().add(1).cast(), 2, out.as_mut_ptr().add(1).cast(), 2 * width, err)
    })
    .unwrap();
    let got: Vec<f32> = out[1..=8 * width].as_chunks().0.iter().map(|b| f32::from_ne_bytes(*b)).collect();
    assert_eq!((got, out[0], out[8 * width + 1]), (want, 9, 9));
    assert_eq!(selvedge_table_free(table), SELVEDGE_OK);
}

#[test]
fn a_table_of_lent_memory_gives_it_back_when_it_is_freed() {
    unsafe extern "C" fn released(user_data: *mut std::ffi::c_void) {
        // SAFETY: it is the counter below.
        unsafe { *user_data.cast::<u32>() += 1 };
    }
    let case = &cases()[0];
    let bytes = std::fs::read(&case.path).unwrap();
    let mut count = 0u32;
    let counter = &raw mut count;
    let source = init!(selvedge_source {
        kind: SELVEDGE_SOURCE_MEMORY,
        data: bytes.as_ptr().cast(),
        data_len: bytes.len(),
        release: Some(released as unsafe extern "C" fn(_)),
        user_data: counter.cast(),
    });
    // SAFETY: the counter lives; nobody else has it.
    let released = || unsafe { *counter };
    let table = open(&source, case.tensor, SELVEDGE_LOADING_MAPPED).unwrap();
    let (mut ours, mut theirs) = (vec![0.0; 32], vec![0.0; 32]);
    gather(table, &[3], &mut ours).unwrap();
    case.of_crate().gather_into(&[3], &mut theirs).unwrap();
    assert_eq!((ours, released()), (theirs, 0));
    assert_eq!(selvedge_table_free(table), SELVEDGE_OK);
    assert_eq!(released(), 1);
    // What fails lets go of it, too, whatever it fails for.
    open(&source, "no such tensor", SELVEDGE_LOADING_MAPPED).unwrap_err();
    open(&source, case.tensor, 2).unwrap_err();
    open(&selvedge_source { data_len: 9, ..source }, case.tensor, SELVEDGE_LOADING_READ).unwrap_err();
    assert_eq!(released(), 4);
}

#[test]
fn what_is_no_table_is_told() {
    let case = &cases()[0];
    let path = case.path.to_str().unwrap();
    let code = |source: &str, tensor: &str, loading| open(&at(source), tensor, loading).unwrap_err();
    assert_eq!(code("no/such.gguf", "embeddings", 0).0, Code::NotFound as i32);
    assert_eq!(code(path, "no such tensor", 0).0, Code::NotFound as i32);
    assert_eq!(code(path, "", 0).0, Code::NotFound as i32);
    let (got, message) = code(path, "embeddings", 2);
    assert_eq!((got, &*message), (1, "selvedge_loading: 2 has no meaning in this version of the library"));
    let no_weights = format!("{}/../tests/data/linear.onnx", env!("CARGO_MANIFEST_DIR"));
    assert_eq!(code(&no_weights, "w", 0).0, Code::Unsupported as i32);
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.safetensors");
    std::fs::write(&broken, &std::fs::read(path).unwrap()[..9000]).unwrap();
    assert_eq!(code(broken.to_str().unwrap(), "embeddings", SELVEDGE_LOADING_READ).0, Code::Corrupt as i32);
    if let Some(minilm) = corpus::path("minilm-gguf/all-MiniLM-L6-v2-f16.gguf") {
        let (got, message) = code(minilm.to_str().unwrap(), "token_embd_norm.weight", 0);
        assert_eq!(got, Code::InvalidArgument as i32);
        assert!(message.contains("expected 2 dimensions"), "{message}");
    }
}

#[test]
fn wrong_ids_lengths_and_numbers_are_refused() {
    let table = small();
    let (rows, width) = shape(table);
    let invalid = |done: Result<(), (i32, String)>, says: &str| {
        let (code, message) = done.unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32, "{message}");
        assert!(message.contains(says), "{message}");
    };
    let mut out = vec![7.0; 2 * width];
    invalid(gather(table, &[0, rows as u32], &mut out), &format!("expected ids below {rows}, got {rows}"));
    assert!(out.iter().all(|x| *x == 0.0), "zero where all but an id was right");
    let mut out = vec![7.0; 2 * width];
    let len = 2 * width;
    invalid(gather(table, &[0], &mut out), &format!("out_len: expected {width}, got {len}"));
    let (mean, sum) = ((SELVEDGE_POOL_MEAN, 0), (SELVEDGE_POOL_SUM, 0));
    invalid(pool(table, &[0], mean, None, &mut out), &format!("out_len: expected {width}, got {len}"));
    assert!(out.iter().all(|x| *x == 7.0), "as it was where its length was wrong");
    let out = &mut out[..width];
    invalid(pool(table, &[u32::MAX], sum, None, out), "expected ids below");
    assert!(out.iter().all(|x| *x == 0.0));
    invalid(pool(table, &[0], mean, Some(&[1.0]), out), "weights: expected none with SELVEDGE_POOL_MEAN");
    invalid(pool(table, &[0], (2, 0), None, out), "selvedge_pool: 2 has no meaning");
    invalid(pool(table, &[0], (0, 2), None, out), "flags: the bits 0x2 have no meaning");
    for wrong in [0, width - 1, width + 1] {
        let (code, message) = search(table, &vec![0.5; wrong], 1, 1).unwrap_err();
        assert_eq!((code, message), (1, format!("query_len: expected {width}, got {wrong}")));
    }
    for number in [f32::NAN, f32::INFINITY] {
        let (code, message) = search(table, &vec![number; width], 1, 1).unwrap_err();
        assert_eq!(code, 1);
        assert!(message.contains("query: expected finite numbers"), "{message}");
    }
    let mut both = vec![0u32; 2 * width];
    let place = both.as_mut_ptr();
    // SAFETY: all of it is there.
    invalid(
        call(|err| unsafe { selvedge_table_gather(table, place.add(width - 1), 1, place.cast(), width, err) }),
        "out: expected memory of its own",
    );
    assert_eq!(selvedge_table_free(table), SELVEDGE_OK);
}

#[test]
fn huge_counts_are_refused_before_anything_is_read() {
    let table = small();
    let (_, width) = shape(table);
    let (mut out, id, mut hit, mut found) = (vec![0.0; width], 0u32, selvedge_hit::default(), 0);
    let at = out.as_mut_ptr();
    for huge in [usize::MAX, usize::MAX / 4, usize::MAX / 2 + 1, (usize::MAX >> 16) + 1] {
        // SAFETY: what is not there is refused by its length.
        unsafe {
            for (ids, len) in [(huge, huge), (huge, width), (1, huge), (huge, huge.wrapping_mul(width))] {
                refused(Code::InvalidArgument, |err| selvedge_table_gather(table, &raw const id, ids, at, len, err));
            }
            refused(Code::InvalidArgument, |err| {
                selvedge_table_pool(table, &raw const id, huge, 0, ptr::null(), 0, at, width, err)
            });
            refused(Code::InvalidArgument, |err| {
                selvedge_table_search(table, at, huge, 1, &raw mut hit, &raw mut found, err)
            });
        }
    }
    assert_eq!(selvedge_table_free(table), SELVEDGE_OK);
}

#[test]
fn a_table_is_read_by_many_threads() {
    let table = Shared(small());
    let (_, width) = shape(table.get());
    let mut want = vec![0.0; 4 * width];
    gather(table.get(), &[1, 2, 3, 4], &mut want).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mut got = vec![0.0; 4 * width];
                    gather(table.get(), &[1, 2, 3, 4], &mut got).unwrap();
                    assert_eq!(got, want);
                }
            });
        }
    });
    assert_eq!(selvedge_table_free(table.get()), SELVEDGE_OK);
}
