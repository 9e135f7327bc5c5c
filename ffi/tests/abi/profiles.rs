//! Profiles: fitted from any memory as Rust fits them, encoded, compared; and what is refused.

use std::ffi::c_void;

use selvedge::drift::{self, CellValue, Column, FeatureSource, Fit, Profile, Row, RowDependence};
use selvedge::layer::probe::category_code;

use super::watching::{bytes_of, column, encoded, fit, json_of, parsed, refused_with, rows_of};
use super::*;

const ROWS: usize = 400;

/// A number from 0 on, below `most`, that does not depend on the row before.
fn drawn(row: usize, seed: u64, most: u64) -> u64 {
    // SplitMix64.
    let mut z = (row as u64 + 1).wrapping_add(seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ z >> 31) % most
}

fn names() -> Vec<&'static str> {
    (0..ROWS).map(|i| ["sun", "rain", "rain", "Nebel über", "fog"][drawn(i, 1, 5) as usize]).collect()
}

fn temperatures() -> Vec<f64> {
    (0..ROWS).map(|i| if i % 41 == 0 { f64::NAN } else { drawn(i, 2, 601) as f64 / 7.0 - 20.0 }).collect()
}

/// What a zeroed `selvedge_fit` stands for.
fn rust_fit() -> Fit {
    Profile::fit().block(RowDependence::Estimate)
}

#[test]
fn columns_of_all_kinds_give_the_bytes_that_rust_gives() {
    let (sky, f64s) = (names(), temperatures());
    let f32s: Vec<f32> = f64s.iter().map(|v| (v * 3.0) as f32).collect();
    let i64s: Vec<i64> = (0..ROWS).map(|i| drawn(i, 3, 97) as i64 - (1 << 54)).collect();
    let as_f32s: Vec<f32> = i64s.iter().map(|v| *v as f32).collect();
    let texts: Vec<selvedge_text> = sky.iter().map(|s| text(s)).collect();
    let columns = [
        column("sky", SELVEDGE_STRING, &texts),
        column("temp", SELVEDGE_F64, &f64s),
        column("wind", SELVEDGE_F32, &f32s),
        column("id", SELVEDGE_I64, &i64s),
    ];
    let given = init!(selvedge_fit { bins: 8, categories: 3, seed: 7, block: 2, sha256: [9u8; 32].as_ptr() });
    let rust = |fit: Fit| {
        let fit = fit.category("sky").number("temp").number("wind").number("id");
        let columns = [Column::Names(&sky), Column::F64(&f64s), Column::F32(&f32s), Column::F32(&as_f32s)];
        fit.of_columns(&columns).unwrap()
    };
    let with = Profile::fit().bins(8).categories(3).seed(7).block(RowDependence::Rows(2)).model([9; 32]);
    for (with, expected) in [(Some(&given), rust(with)), (None, rust(rust_fit()))] {
        let profile = fit(&rows_of(&columns, ROWS), with).unwrap();
        assert_eq!(encoded(profile), expected.encode());
        assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
        assert_eq!(selvedge_profile_free(profile), BAD_HANDLE);
    }
}

/// A row as some languages pack it: nothing in it is aligned.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Packed {
    flag: u8,
    temp: f64,
    wind: f32,
    sky: selvedge_text,
    n: i64,
}

#[test]
fn columns_within_rows_are_read_where_they_lie() {
    let (sky, temps) = (names(), temperatures());
    let row = |i: usize| Packed {
        flag: drawn(i, 4, 2) as u8,
        temp: temps[i],
        wind: drawn(i, 5, 300) as f32 / 3.0,
        sky: if i == 17 { selvedge_text::default() } else { text(sky[i]) },
        n: drawn(i, 6, 5) as i64,
    };
    let table: Vec<Packed> = (0..ROWS).map(row).collect();
    let within = |name, dtype, at: *const c_void| {
        init!(selvedge_column { name: text(name), data: at, stride: size_of::<Packed>(), dtype: dtype })
    };
    let columns = [
        within("flag", SELVEDGE_BOOL, (&raw const table[0].flag).cast()),
        within("temp", SELVEDGE_F64, (&raw const table[0].temp).cast()),
        within("wind", SELVEDGE_F32, (&raw const table[0].wind).cast()),
        within("sky", SELVEDGE_STRING, (&raw const table[0].sky).cast()),
        selvedge_column {
            flags: SELVEDGE_COLUMN_CATEGORY,
            ..within("n", SELVEDGE_I64, (&raw const table[0].n).cast())
        },
    ];
    let profile = fit(&rows_of(&columns, ROWS), None).unwrap();
    let rust = rust_fit().number("flag").number("temp").number("wind").category("sky").category("n");
    let rust = rust.stream(|sink| {
        (0..ROWS).try_for_each(|i| {
            let sky = if i == 17 { CellValue::Missing } else { CellValue::Category(sky[i]) };
            let number = |v: f64| CellValue::Number(v as f32);
            sink(&Row::new(&[
                number(drawn(i, 4, 2) as f64),
                number(temps[i]),
                CellValue::Number(drawn(i, 5, 300) as f32 / 3.0),
                sky,
                number(drawn(i, 6, 5) as f64),
            ]))
        })
    });
    assert_eq!(encoded(profile), rust.unwrap().encode());
    assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
}

#[test]
fn numbers_of_every_dtype_are_the_same_numbers() {
    let numbers: Vec<f32> = (0..ROWS).map(|i| drawn(i, 7, 100) as f32).collect();
    let expected = rust_fit().number("x").of_columns(&[Column::F32(&numbers)]).unwrap().encode();
    macro_rules! check {
        ($($dtype:ident $kind:ty, $convert:expr;)*) => {$({
            let data: Vec<$kind> = numbers.iter().map($convert).collect();
            let profile = fit(&rows_of(&[column("x", $dtype, &data)], ROWS), None).unwrap();
            assert_eq!(encoded(profile), expected, stringify!($dtype));
            assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
        })*};
    }
    // Half floats of whole numbers below 2048 are exact.
    let half = |v: &f32| half_bits(*v as u16);
    check! {
        SELVEDGE_F32 f32, |v| *v;
        SELVEDGE_F64 f64, |v| f64::from(*v);
        SELVEDGE_F16 u16, half;
        SELVEDGE_I8 i8, |v| *v as i8;
        SELVEDGE_U8 u8, |v| *v as u8;
        SELVEDGE_I16 i16, |v| *v as i16;
        SELVEDGE_U16 u16, |v| *v as u16;
        SELVEDGE_I32 i32, |v| *v as i32;
        SELVEDGE_U32 u32, |v| *v as u32;
        SELVEDGE_I64 i64, |v| *v as i64;
        SELVEDGE_U64 u64, |v| *v as u64;
    }
}

/// A whole number below 2048 as a binary16.
fn half_bits(n: u16) -> u16 {
    if n == 0 {
        return 0;
    }
    let exponent = n.ilog2() as u16;
    (exponent + 15) << 10 | (n << (10 - exponent) & 0x3ff)
}

#[test]
fn embeddings_outputs_and_what_was_right_go_in() {
    let vectors: Vec<f32> = (0..ROWS * 3).map(|i| drawn(i, 8, 1000) as f32 / 1000.0).collect();
    let confidence: Vec<f32> = (0..ROWS).map(|i| 0.5 + drawn(i, 9, 50) as f32 / 100.0).collect();
    let class: Vec<u16> = (0..ROWS).map(|i| drawn(i, 10, 3) as u16).collect();
    let right: Vec<u8> = (0..ROWS).map(|i| (i % 4 != 0).into()).collect();
    let columns = [
        selvedge_column { source: SELVEDGE_FEATURE_CLASS, ..column("class", SELVEDGE_U16, &class) },
        selvedge_column { source: SELVEDGE_FEATURE_CONFIDENCE, ..column("confidence", SELVEDGE_F32, &confidence) },
    ];
    let rows = selvedge_rows {
        embeddings: vectors.as_ptr(),
        embedding_width: 3,
        right: right.as_ptr(),
        ..rows_of(&columns, ROWS)
    };
    let profile = fit(&rows, None).unwrap();
    let rust = rust_fit()
        .output("class", FeatureSource::Class)
        .output("confidence", FeatureSource::Confidence)
        .embedding(3)
        .stream(|sink| {
            (0..ROWS).try_for_each(|i| {
                let values = [CellValue::Number(class[i].into()), CellValue::Number(confidence[i])];
                sink(&Row::new(&values).embedding(&vectors[3 * i..3 * i + 3]).right(right[i] == 1))
            })
        })
        .unwrap();
    assert!(rust.reliability.is_some());
    assert_eq!(encoded(profile), rust.encode());
    // SAFETY: the places may be written.
    let holds = json_of(|out, err| unsafe { selvedge_profile_json(profile, out, err) });
    assert_eq!(holds["embedding"], serde_json::json!({ "width": 3, "rows": ROWS }));
    assert_eq!((&holds["rows"], &holds["learned"], &holds["model"]), (&ROWS.into(), &false.into(), &().into()));
    let class = &holds["features"][0];
    assert_eq!(
        (&class["name"], &class["source"], &class["kind"]),
        (&"class".into(), &"class".into(), &"category".into())
    );
    let bins: Vec<String> = (0..5).map(|bin| rust.features[0].bins.name(bin)).collect();
    assert_eq!((&class["bins"], &*bins[4]), (&serde_json::json!(bins), "missing"));
    assert_eq!(class["counts"], serde_json::json!(rust.features[0].counts));
    assert_eq!(holds["features"][1]["kind"], "number");

    // The same rows come from the same world, and vectors from elsewhere do not.
    let drifted = |rows: &selvedge_rows| {
        // SAFETY: the rows live during the call.
        let found = json_of(|out, err| unsafe { selvedge_profile_compare(profile, rows, out, err) });
        (found["drifted"].clone(), found["embedding"]["drifted"].clone())
    };
    assert_eq!(drifted(&rows), (false.into(), false.into()));
    let far: Vec<f32> = vectors.iter().map(|v| v + 3.0).collect();
    assert_eq!(drifted(&selvedge_rows { embeddings: far.as_ptr(), ..rows }), (true.into(), true.into()));
    let wider = selvedge_rows { embedding_width: 4, row_count: ROWS / 2, ..rows };
    // SAFETY: the rows live during the call.
    let message =
        refused_with(Code::InvalidArgument, |out, err| unsafe { selvedge_profile_compare(profile, &wider, out, err) });
    assert_eq!(message, "selvedge_rows.embeddings: expected 3 numbers a row, got 4 numbers");
    assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
}

#[test]
fn a_profile_is_the_same_after_its_bytes() {
    let temps = temperatures();
    let profile = fit(&rows_of(&[column("temp", SELVEDGE_F64, &temps)], ROWS), None).unwrap();
    let bytes = encoded(profile);
    let decode = |bytes: &[u8], out, err| {
        // SAFETY: the bytes live during the call.
        unsafe { selvedge_profile_decode(bytes.as_ptr().cast(), bytes.len(), out, err) }
    };
    let mut again = ptr::null_mut();
    call(|err| decode(&bytes, &raw mut again, err)).unwrap();
    assert_eq!(encoded(again), bytes);
    assert_eq!(selvedge_profile_free(again), SELVEDGE_OK);
    for cut in [0, 1, 7, bytes.len() / 2, bytes.len() - 1] {
        let message = refused_with(Code::Corrupt, |out, err| decode(&bytes[..cut], out, err));
        assert!(message.contains("reading a drift profile"), "{message}");
    }
    assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
}

#[test]
fn a_comparison_has_the_numbers_of_rust() {
    let (sky, temps) = (names(), temperatures());
    let winds: Vec<f32> = (0..ROWS).map(|i| (i % 97) as f32).collect();
    let texts: Vec<selvedge_text> = sky.iter().map(|s| text(s)).collect();
    let made = [
        column("temp", SELVEDGE_F64, &temps),
        column("sky", SELVEDGE_STRING, &texts),
        column("wind", SELVEDGE_F32, &winds),
    ];
    let independent = init!(selvedge_fit { block: 1 });
    let profile = fit(&rows_of(&made, ROWS), Some(&independent)).unwrap();
    let rust = Profile::decode(&encoded(profile)).unwrap();

    // Another order, a column more, warmer by five degrees, and a sky that was never seen.
    let warmer: Vec<f64> = temps.iter().map(|t| t + 5.0).collect();
    let seen = |i: usize| if i.is_multiple_of(10) { "hail" } else { sky[i] };
    let others: Vec<selvedge_text> = (0..ROWS).map(|i| text(seen(i))).collect();
    let now = [
        column("more", SELVEDGE_F32, &winds),
        column("sky", SELVEDGE_STRING, &others),
        column("wind", SELVEDGE_F32, &winds),
        column("temp", SELVEDGE_F64, &warmer),
    ];
    // SAFETY: the rows live during the call.
    let found = json_of(|out, err| unsafe { selvedge_profile_compare(profile, &rows_of(&now, ROWS), out, err) });
    let numbers: Vec<[f32; 3]> = (0..ROWS).map(|i| [warmer[i] as f32, category_code(seen(i)), winds[i]]).collect();
    let verdict = drift::check(&rust, &numbers).unwrap();
    assert!(verdict.drifted());
    assert_eq!((&found["rows"], &found["drifted"]), (&ROWS.into(), &true.into()));
    assert_eq!((&found["level"], &found["embedding"]), (&parsed(&verdict.level.into()), &().into()));
    for (i, f) in verdict.features.iter().enumerate() {
        let got = &found["features"][i];
        let expected = serde_json::json!({
            "name": f.name, "drifted": f.drifted, "finding": got["finding"], "p": f.p, "psi": f.psi, "js": f.js,
            "hellinger": f.hellinger, "ks": f.ks, "wasserstein": f.wasserstein, "missing": f.missing,
            "out_of_range": f.out_of_range, "new_category": f.new_category,
        });
        assert_eq!(got, &parsed(&expected));
    }
    let finding = |i: usize| found["features"][i]["finding"].as_str();
    assert_eq!((finding(0), finding(1), finding(2)), (Some("out_of_range"), Some("new_category"), None));
    assert!(found["features"][1]["wasserstein"].is_null());
    assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
}

#[test]
fn what_is_no_table_is_refused() {
    let (winds, texts) = ([1.0f32, 2.0, 3.0], [text("sun"), text("rain"), text("fog")]);
    let wind = column("wind", SELVEDGE_F32, &winds);
    let sky = column("sky", SELVEDGE_STRING, &texts);
    let no = |columns: &[selvedge_column], count: usize, what: &str| {
        let (code, message) = fit(&rows_of(columns, count), None).unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32, "{message}");
        assert!(message.contains(what), "{message}");
    };
    no(&[wind], 0, "expected rows, got none");
    no(&[], 3, "expected at least one feature, got none");
    no(&[], usize::MAX, "expected at least one feature, got none");
    no(&[wind, sky, wind], 3, "column 'wind' is named twice");
    no(
        &[selvedge_column { dtype: SELVEDGE_BF16, ..wind }],
        3,
        "dtype: expected F32, F64, F16, an integer, BOOL or STRING, got bf16",
    );
    no(&[selvedge_column { dtype: 99, ..wind }], 3, "BOOL or STRING, got 99");
    no(&[selvedge_column { dtype: SELVEDGE_DTYPE_UNSET, ..wind }], 3, "reading column 'wind'");
    no(&[selvedge_column { source: 6, ..wind }], 3, "selvedge_feature_source: 6 has no meaning");
    no(&[selvedge_column { flags: 2, ..wind }], 3, "selvedge_column.flags: the bits 0x2");
    no(&[selvedge_column { reserved: 1, ..wind }], 3, "selvedge_column.reserved: the bits 0x1");
    no(&[selvedge_column { stride: 3, ..wind }], 3, "stride: expected at least the 4 bytes of f32, got 3");
    no(&[selvedge_column { data: ptr::null(), ..wind }], 3, "data: expected a pointer, got NULL");
    no(
        &[selvedge_column { source: SELVEDGE_FEATURE_ENTROPY, ..sky }],
        3,
        "expected numbers of a Entropy, got categories",
    );
    no(&[wind], usize::MAX, "exceed the address space");
    no(&[wind], (usize::MAX >> 2) + 2, "exceed the address space");
    no(&[wind], usize::MAX >> 3, "exceeds the address space");
    no(&[selvedge_column { stride: usize::MAX, ..wind }], 3, "exceed the address space");
    no(&[selvedge_column { stride: usize::MAX >> 1, ..wind }], 3, "exceed the address space");
    let broken = [text("sun"), selvedge_text { len: 1, ..text("\u{fc}") }, text("fog")];
    no(&[column("sky", SELVEDGE_STRING, &broken)], 3, "reading row 1");
    let lost = [selvedge_text { data: ptr::null(), len: 3 }; 3];
    no(&[column("sky", SELVEDGE_STRING, &lost)], 3, "text: expected a pointer, got NULL");
    no(&[column("on", SELVEDGE_BOOL, &[0u8, 1, 2])], 3, "row 2: expected a bool, 0 or 1, got 2");
    let long = "n".repeat(256).leak();
    no(&[selvedge_column { name: text(long), ..wind }], 3, "expected a name of at most 255 bytes");

    let rows = |change: fn(&mut selvedge_rows), what: &str| {
        let columns = [wind];
        let mut rows = rows_of(&columns, 3);
        change(&mut rows);
        let (code, message) = fit(&rows, None).unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32, "{message}");
        assert!(message.contains(what), "{message}");
    };
    static VECTORS: [f32; 3] = [0.0; 3];
    static RIGHT: [u8; 3] = [1, 0, 2];
    rows(|r| r.embedding_width = 2, "embeddings: expected a pointer, got NULL and a width of 2");
    rows(|r| r.embeddings = VECTORS.as_ptr(), "embedding_width: expected 1 to 65536, got 0");
    rows(|r| (r.embeddings, r.embedding_width) = (VECTORS.as_ptr(), 65_537), "expected 1 to 65536, got 65537");
    rows(|r| r.right = RIGHT.as_ptr(), "right[2]: expected 0 or 1, got 2");
    rows(|r| r.column_count = 65_537, "selvedge_rows.columns: expected at most 65536");
    rows(|r| (r.columns, r.column_count) = (ptr::null(), 1), "selvedge_rows.columns: expected a pointer");

    let with = |with: selvedge_fit, what: &str| {
        let (code, message) = fit(&rows_of(&[wind, sky], 3), Some(&with)).unwrap_err();
        assert_eq!((code, message.contains(what)), (Code::InvalidArgument as i32, true), "{message}");
    };
    with(init!(selvedge_fit { bins: 65 }), "bins: expected 2 to 64, got 65");
    with(init!(selvedge_fit { categories: 65 }), "categories: expected 1 to 64, got 65");
    with(init!(selvedge_fit { block: 2 }), "block: expected at most half the rows, got 2 of 3");
    with(init!(selvedge_fit { bins: u32::MAX }), "bins: expected 2 to 64");
}

#[test]
fn what_the_profile_does_not_know_is_not_compared() {
    let (winds, texts) = ([1.0f32, 2.0, 3.0, 4.0], ["sun", "rain", "fog", "fog"].map(text));
    let (wind, sky) = (column("wind", SELVEDGE_F32, &winds), column("sky", SELVEDGE_STRING, &texts));
    let profile = fit(&rows_of(&[wind, sky], 4), None).unwrap();
    let no = |columns: &[selvedge_column], count, what: &str| {
        // SAFETY: the rows live during the call.
        let message = refused_with(Code::InvalidArgument, |out, err| unsafe {
            selvedge_profile_compare(profile, &rows_of(columns, count), out, err)
        });
        assert_eq!(message, what);
    };
    no(&[wind], 4, "selvedge_rows.columns: expected a column 'sky', as the profile has one");
    let named = |name, column: selvedge_column| selvedge_column { name: text(name), ..column };
    no(&[named("wind", sky), sky], 4, "column 'wind': expected numbers, got texts");
    no(&[wind, named("sky", wind)], 4, "column 'sky': expected categories, got numbers");
    no(&[wind, sky], 0, "selvedge_rows.row_count: expected at least one row, got none");
    // SAFETY: no pointer is followed.
    unsafe {
        refused_with(Code::InvalidArgument, |out, err| selvedge_profile_compare(profile, ptr::null(), out, err));
        refused_with(Code::InvalidArgument, |out, err| selvedge_profile_fit(ptr::null(), ptr::null(), out, err));
        refused_with(Code::InvalidArgument, |out, err| selvedge_profile_decode(ptr::null(), 3, out, err));
    }
    let bytes = bytes_of(|out, err| {
        // SAFETY: the places may be written.
        unsafe { selvedge_profile_encode(profile, out, err) }
    });
    assert!(!bytes.is_empty());
    assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
}
