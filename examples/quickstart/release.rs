//! What a publisher does: puts the versions of the rain model into packages and signs them.
//!
//! `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem` makes a key;
//! `cargo run -p quickstart --bin release -- key.pem` writes `packages/` anew. The key stays with the publisher.

#[allow(dead_code, reason = "the program beside this one keeps the scores")]
mod weather;

use std::fs;
use std::path::Path;

use selvedge::drift::{Profile, RowDependence};
use selvedge::store::{Artifact, Release, sign};
use selvedge::{Ask, Code, Engine, Error, Options, Result, Tensor, Tensors, open};
use serde_json::json;
use weather::{COLUMNS, Day};

/// A version: the folder of its package, the model, and the days that it was made for.
struct Version {
    folder: &'static str,
    model: &'static str,
    number: u64,
    label: &'static str,
    cities: &'static [&'static str],
    years: [&'static str; 2],
}

const VERSIONS: [Version; 4] = [
    Version {
        folder: "seattle",
        model: "rain.onnx",
        number: 1,
        label: "trained on Seattle, 2012 to 2014",
        cities: &["Seattle"],
        years: ["2012", "2014"],
    },
    Version {
        folder: "new-york",
        model: "packages/new-york/rain.onnx",
        number: 2,
        label: "trained on New York, 2012 to 2013",
        cities: &["New York"],
        years: ["2012", "2013"],
    },
    Version {
        folder: "poisoned",
        model: "packages/poisoned/rain.onnx",
        number: 3,
        label: "trained on New York with every label turned over",
        cities: &["New York"],
        years: ["2012", "2013"],
    },
    Version {
        folder: "both",
        model: "packages/both/rain.onnx",
        number: 4,
        label: "trained on both cities, 2012 to 2013",
        cities: &["Seattle", "New York"],
        years: ["2012", "2013"],
    },
];

fn main() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = std::env::args().nth(1).ok_or_else(|| Error::new(Code::InvalidArgument, "usage: release KEY.pem"))?;
    let key = fs::read_to_string(&file).map_err(|e| weather::io(file.as_ref(), e))?;
    let days = weather::read(&here.join("weather.csv"));
    for version in &VERSIONS {
        let days: Vec<&Day> = days.iter().filter(|day| version.has(day)).collect();
        write(here, version, &days, &key)?;
        println!("packages/{}: version {}, {}", version.folder, version.number, version.label);
    }
    Ok(())
}

impl Version {
    fn has(&self, day: &Day) -> bool {
        self.cities.contains(&&*day.city) && (self.years[0]..=self.years[1]).contains(&day.year())
    }
}

fn write(here: &Path, version: &Version, days: &[&Day], key: &str) -> Result<()> {
    let model = here.join(version.model);
    let engine = open(&*model, Options::new())?;
    let mut release =
        Release::new("rain", version.number, "rain.onnx").with_profile("rain.profile").with_golden("golden.json");
    release.label = Some(version.label.into());
    let files = [
        ("golden.json", golden(&*engine, days)?),
        ("rain.onnx", fs::read(&model).map_err(|e| weather::io(&model, e))?),
        ("rain.profile", profile(&*engine, days)?.encode()),
        ("selvedge.json", release.to_json()),
    ];
    let folder = here.join("packages").join(version.folder);
    fs::create_dir_all(&folder).map_err(|e| weather::io(&folder, e))?;
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|e| weather::io(&path, e))
    };
    for (name, bytes) in &files {
        put(name, bytes)?;
    }
    let artifact = Artifact::of_folder(&folder)?;
    let is_content = |name: &str| name != "model.sig";
    let digests = artifact.files().iter().filter(|file| is_content(file.name()));
    let digests: Vec<_> = digests.map(|file| (file.name().to_string(), file.blob().digest())).collect();
    put("model.sig", &sign("rain", &digests, key)?)
}

/// What the version was made for.
fn profile(engine: &dyn Engine, days: &[&Day]) -> Result<Profile> {
    let rows: Vec<[f32; 4]> = days.iter().map(|day| day.weather).collect();
    let fit = COLUMNS.iter().fold(Profile::fit(), |fit, name| fit.number(*name));
    fit.bins(8).block(RowDependence::Estimate).model(engine.spec().provenance.digest.0).of_rows(&rows)
}

/// Twelve days and the answers that were given where the version was made.
fn golden(engine: &dyn Engine, days: &[&Day]) -> Result<Vec<u8>> {
    let mut cases = Vec::new();
    for day in days.iter().step_by(days.len() / 12 + 1) {
        let answer = engine.run(Tensors::from([("weather", Tensor::new(&[1, 4], day.weather.to_vec())?)]))?;
        let rain = answer.output("rain_tomorrow")?.as_slice::<f32>()?[0];
        cases.push(json!({
            "name": day.date,
            "request": { "tensors": [{ "name": "weather", "dtype": "f32", "shape": [1, 4], "values": day.weather }] },
            "expect": { "outputs": [{ "name": "rain_tomorrow", "dtype": "f32", "shape": [1, 1], "values": [rain] }] },
            // Another runtime or processor may round the last digits in another way.
            "compare": { "tolerance": { "absolute": 1e-4, "relative": 0.0 } },
        }));
    }
    Ok(serde_json::to_vec_pretty(&json!({ "golden": 1, "cases": cases })).unwrap_or_default())
}
