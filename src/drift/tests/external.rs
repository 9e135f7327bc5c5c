use super::super::*;
use half::f16;
#[test]
fn tables() {
    let Ok(folder) = std::env::var("DRIFT_TABLES") else { return };
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let profile = match Profile::fit().of_csv(|| Ok(std::fs::File::open(&path).unwrap())) {
            Ok(p) => p,
            Err(e) => {
                eprintln!("TAB {path:?}: {e}");
                continue;
            }
        };
        let mut n = 0;
        for f in profile.features.iter().filter(|f| matches!(f.bins, Bins::Numeric { .. })) {
            let mut table = CsvTable::open(std::fs::File::open(&path).unwrap(), None).unwrap();
            let at = table.column(&f.name).unwrap();
            let mut values = Vec::new();
            while let Some(row) = table.next_row().unwrap() {
                values.push(row.number(at).unwrap().unwrap_or(f32::NAN));
            }
            for bins in [8, 16, 64] {
                let p = Profile::fit().bins(bins).number("x").of_columns(&[Column::F32(&values)]).unwrap();
                let ways: [(&str, fn(f32) -> f32); 3] = [
                    ("f16", |v| f16::from_f32(v).to_f32()),
                    ("six", |v| format!("{v:.5e}").parse().unwrap()),
                    ("f16six", |v| format!("{:.5e}", f16::from_f32(v).to_f32()).parse().unwrap()),
                ];
                for (way, r) in ways {
                    let rows: Vec<[f32; 1]> = values.iter().map(|v| [r(*v)]).collect();
                    let d = check(&p, &rows).unwrap().features.remove(0);
                    n += 1;
                    if d.p < 0.99 || d.out_of_range > 0.0 {
                        eprintln!(
                            "TAB {path:?} {} {bins} {way}: p {} out {} {:?} max {:?}",
                            f.name, d.p, d.out_of_range, d.finding, p.features[0].moments
                        );
                    }
                }
            }
        }
        eprintln!("TAB {path:?}: {n} comparisons, {} features", profile.features.len());
    }
}
