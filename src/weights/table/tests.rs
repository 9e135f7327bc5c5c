use super::*;
use crate::Code;
use crate::kernel::quantize_into;

/// Numbers from -1 to 1, the same on every machine.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn table(format: BlockFormat, width: usize, numbers: &[f32]) -> Table {
    let mut blocks = vec![0; format.bytes(numbers.len()).unwrap()];
    quantize_into(format, numbers, &mut blocks).unwrap();
    // Nothing is aligned in a file.
    let shifted = [&[0xEE][..], &blocks].concat();
    struct From1(Vec<u8>);
    impl AsRef<[u8]> for From1 {
        fn as_ref(&self) -> &[u8] {
            &self.0[1..]
        }
    }
    Table::from_bytes(format, width, Bytes::shared(From1(shifted))).unwrap()
}

fn dequantized(table: &Table) -> Vec<f32> {
    let mut all = vec![0.0; table.rows() * table.width()];
    crate::kernel::dequantize_into(table.format().unwrap(), table.bytes().as_slice(), &mut all).unwrap();
    all
}

const FORMATS: [BlockFormat; 6] =
    [BlockFormat::F32, BlockFormat::F16, BlockFormat::Bf16, BlockFormat::Q8_0, BlockFormat::Q4_0, BlockFormat::Q4_1];

fn code<T: std::fmt::Debug>(result: Result<T>) -> (Code, String) {
    let error = result.unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn rows_are_gathered_in_the_order_of_their_ids() {
    for format in FORMATS {
        let table = table(format, 96, &numbers(50 * 96, 1));
        let all = dequantized(&table);
        let ids = [49, 0, 7, 7, 31, 12, 3, 49, 1, 2, 3, 4, 5];
        let mut out = vec![f32::NAN; ids.len() * 96];
        table.gather_into(&ids, &mut out).unwrap();
        for (id, row) in ids.iter().zip(out.chunks(96)) {
            assert_eq!(row, &all[*id as usize * 96..][..96], "{format}, row {id}");
        }
    }
}

#[test]
fn pooling_is_the_naive_sum_bit_by_bit() {
    for format in FORMATS {
        let table = table(format, 64, &numbers(40 * 64, 2));
        let all = dequantized(&table);
        let ids: Vec<u32> = (0..100).map(|i| i * 7 % 40).collect();
        let weights = numbers(100, 3);
        let naive = |weight: &dyn Fn(usize) -> f32| {
            let mut sum = vec![0.0f32; 64];
            for (i, id) in ids.iter().enumerate() {
                let row = &all[*id as usize * 64..][..64];
                sum.iter_mut().zip(row).for_each(|(s, x)| *s += weight(i) * x);
            }
            sum
        };
        let pooled = |pool| {
            let mut out = vec![f32::NAN; 64];
            table.pool_into(&ids, pool, false, &mut out).unwrap();
            out
        };
        let sum = naive(&|_| 1.0);
        assert_eq!(pooled(Pool::Sum), sum, "{format}");
        assert_eq!(pooled(Pool::Mean), sum.iter().map(|x| x / 100.0).collect::<Vec<_>>(), "{format}");
        assert_eq!(pooled(Pool::Weighted(&weights)), naive(&|i| weights[i]), "{format}");
    }
}

#[test]
fn pooled_vectors_get_length_1_and_no_ids_give_zeros() {
    let table = table(BlockFormat::Q8_0, 32, &numbers(320, 4));
    let mut out = [f32::NAN; 32];
    for pool in [Pool::Sum, Pool::Mean] {
        table.pool_into(&[1, 5, 9], pool, true, &mut out).unwrap();
        let length: f64 = out.iter().map(|x| f64::from(*x).powi(2)).sum();
        assert!((length - 1.0).abs() < 1e-6, "{length}");
    }
    for (pool, normalize) in [(Pool::Mean, true), (Pool::Mean, false), (Pool::Weighted(&[]), true)] {
        table.pool_into(&[], pool, normalize, &mut out).unwrap();
        assert_eq!(out, [0.0; 32]);
    }
    let signs: Vec<f32> = (0..64).map(|i| if i < 32 { 1.5 } else { -1.5 }).collect();
    let opposite = super::tests::table(BlockFormat::F32, 32, &signs);
    opposite.pool_into(&[0, 1], Pool::Mean, true, &mut out).unwrap();
    assert_eq!(out, [0.0; 32]);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let table = table(BlockFormat::Q4_0, 32, &numbers(320, 5));
    let mut out = [7.0; 32];
    let message = "table: expected ids below 10, got 4294967295";
    let refused = (Code::InvalidArgument, message.to_owned());
    assert_eq!(code(table.check(&[0, u32::MAX, 3])), refused);
    assert_eq!(code(table.gather_into(&[u32::MAX], &mut out)), refused);
    assert_eq!(code(table.pool_into(&[9, u32::MAX], Pool::Mean, true, &mut out)), refused);
    assert_eq!(code(table.pool_into(&[10], Pool::Mean, true, &mut out)).0, Code::InvalidArgument);
    assert_eq!(code(table.gather_into(&[1, 2], &mut out)).0, Code::InvalidArgument);
    assert_eq!(code(table.pool_into(&[1], Pool::Mean, true, &mut out[..31])).0, Code::InvalidArgument);
    assert_eq!(code(table.pool_into(&[1], Pool::Weighted(&[1.0, 2.0]), true, &mut out)).0, Code::InvalidArgument);
    assert_eq!(out, [7.0; 32]);

    let bytes = |n: usize| Bytes::zeroed(n).unwrap();
    for (width, n) in [(33, 18), (32, 17), (0, 18), (32, 0), (usize::MAX - 31, 18)] {
        let (code, message) = code(Table::from_bytes(BlockFormat::Q4_0, width, bytes(n)));
        assert_eq!(code, Code::InvalidArgument, "{width} {n}: {message}");
    }
}

/// The ranking by dot products in f64 of what the table holds.
fn naive_search(table: &Table, query: &[f32], k: usize) -> Vec<u32> {
    let dot = |row: &[f32]| row.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let mut ranked: Vec<(u32, f64)> = (0..).zip(dequantized(table).chunks(table.width()).map(dot)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.into_iter().take(k).map(|(row, _)| row).collect()
}

#[test]
fn a_search_finds_the_best_rows_in_order() {
    const WIDTH: usize = 64;
    for format in FORMATS {
        // More than two slices, with a tail.
        let table = table(format, WIDTH, &numbers(9001 * WIDTH, 6));
        for seed in 0..5 {
            let query = numbers(WIDTH, 100 + seed);
            let hits = table.search(&query, 10).unwrap();
            let rows: Vec<u32> = hits.iter().map(|hit| hit.row).collect();
            assert_eq!(rows, naive_search(&table, &query, 10), "{format}");
            for hit in hits {
                let mut row = [0.0; WIDTH];
                table.gather_into(&[hit.row], &mut row).unwrap();
                let exact: f64 = row.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                assert!((f64::from(hit.score) - exact).abs() < 1e-5, "{format}: {hit:?}, {exact}");
            }
        }
    }
}

#[test]
fn a_search_does_not_depend_on_the_threads() {
    let table = table(BlockFormat::Q4_0, 32, &numbers(40_000 * 32, 7));
    let query = numbers(32, 8);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| table.search(&query, 100).unwrap())
    };
    let one = with(1);
    assert_eq!(one.len(), 100);
    for threads in [2, 3, 7] {
        assert_eq!(with(threads), one);
    }
}

#[test]
fn rows_that_score_alike_come_in_their_order() {
    // Four different rows, over and over.
    let four = numbers(4 * 32, 9);
    for format in [BlockFormat::F32, BlockFormat::Q8_0, BlockFormat::Q4_0] {
        let table = table(format, 32, &four.repeat(3000));
        let query = numbers(32, 10);
        let best = naive_search(&table, &query, 1)[0];
        let hits = table.search(&query, 50).unwrap();
        let rows: Vec<u32> = hits.iter().map(|hit| hit.row).collect();
        assert_eq!(rows, (0..50).map(|i| best + 4 * i).collect::<Vec<_>>(), "{format}");
    }
}

#[test]
fn a_search_has_ends() {
    let mut rows = numbers(10 * 32, 11);
    rows[32..64].fill(f32::NAN);
    let table = table(BlockFormat::F32, 32, &rows);
    let query = numbers(32, 12);
    assert!(table.search(&query, 0).unwrap().is_empty());
    let all = table.search(&query, usize::MAX).unwrap();
    assert_eq!(all.len(), 10);
    assert_eq!(all[9].row, 1, "NaN comes last");
    assert!(all[..9].is_sorted_by(|a, b| a.score >= b.score));
    assert_eq!(code(table.search(&query[1..], 3)).0, Code::InvalidArgument);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut query = query.clone();
        query[5] = bad;
        assert_eq!(code(table.search(&query, 3)).0, Code::InvalidArgument);
    }
}

#[test]
fn bytes_are_numbers_without_a_scale() {
    let cells: Vec<u8> = (0..6).map(|i| (i - 3i8) as u8).collect();
    let table = Table::of(Cells::I8, 2, 3, Bytes::shared(cells)).unwrap();
    let mut out = [0.0; 6];
    table.gather_into(&[1, 0], &mut out).unwrap();
    assert_eq!(out, [0.0, 1.0, 2.0, -3.0, -2.0, -1.0]);
    table.pool_into(&[0, 1], Pool::Weighted(&[2.0, 1.0]), false, &mut out[..3]).unwrap();
    assert_eq!(out[..3], [-6.0, -3.0, 0.0]);
    assert_eq!(table.search(&[0.0, 0.0, 1.0], 1).unwrap(), [Hit { row: 1, score: 2.0 }]);
}

#[test]
fn a_table_of_f64_is_that_of_its_numbers_in_f32() {
    let (rows, width) = (40, 24);
    let wide: Vec<f64> = numbers(rows * width, 5).iter().map(|x| f64::from(*x) + 1e-12).collect();
    let header =
        format!(r#"{{"t":{{"dtype":"F64","shape":[{rows},{width}],"data_offsets":[0,{}]}}}}"#, rows * width * 8);
    let data: Vec<u8> = wide.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
    let file = crate::weights::WeightFile::of_bytes(Bytes::shared(bytes)).unwrap();
    let read = Table::new(&file.tensor("t").unwrap()).unwrap();
    assert_eq!((read.rows(), read.width(), read.format()), (rows, width, None));
    let narrow: Vec<f32> = wide.iter().map(|x| *x as f32).collect();
    let expected = table(BlockFormat::F32, width, &narrow);
    let ids = [39, 0, 7, 7, 31];
    let both = |of: &dyn Fn(&Table) -> Vec<f32>| (of(&read), of(&expected));
    let gathered = both(&|t| {
        let mut out = vec![0.0; ids.len() * width];
        t.gather_into(&ids, &mut out).unwrap();
        out
    });
    assert_eq!(gathered.0, gathered.1);
    for pool in [Pool::Sum, Pool::Mean, Pool::Weighted(&[0.5, -1.0, 2.0, 0.0, 1.0])] {
        let pooled = both(&|t| {
            let mut out = vec![0.0; width];
            t.pool_into(&ids, pool, true, &mut out).unwrap();
            out
        });
        assert_eq!(pooled.0, pooled.1, "{pool:?}");
    }
    assert_eq!(read.search(&narrow[..width], 5).unwrap(), expected.search(&narrow[..width], 5).unwrap());
}
