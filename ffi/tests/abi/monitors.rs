//! Monitors through the C ABI: a real model that moves to another town, with the numbers that Rust has of it; feedback,
//! report, profiles that are learned.

use selvedge::fake::Fake;
use selvedge::{Code, DType};

use super::watching::*;
use super::*;

#[cfg(feature = "tract")]
mod rain {
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    use selvedge::drift::{AlertEvent, FalseAlarm, LabelVerdict, Persistence, Profile, RowDependence};
    use selvedge::layer::monitor::{Label, Monitor};
    use selvedge::layer::probe::{All, Classes, Columns};
    use selvedge::telemetry::{Durability, Limits, Telemetry};
    use selvedge::{Ask, Backend, Call, Engine, Options, Tensor, Tensors};

    use super::*;

    const COLUMNS: [&str; 4] = ["precipitation", "temp_max", "temp_min", "wind"];
    const CONFIG: &str = r#"{
        "probe": [
            {"kind": "columns", "input": "weather", "names": ["precipitation", "temp_max", "temp_min", "wind"]},
            {"kind": "classes", "output": "rain_tomorrow"}
        ],
        "window": 365, "persistence": [1, 1], "false_alarm": {"windows": 1000}
    }"#;

    struct Day {
        city: String,
        year: String,
        weather: [f32; 4],
    }

    fn days() -> Vec<Day> {
        let text = std::fs::read_to_string(quickstart().join("weather.csv")).unwrap();
        let day = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            let weather = [2, 3, 4, 5].map(|i| cells[i].parse().unwrap());
            Day { city: cells[0].into(), year: cells[1][..4].into(), weather }
        };
        text.lines().skip(1).map(day).collect()
    }

    fn quickstart() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart")
    }

    fn open() -> *mut selvedge_engine {
        let model = quickstart().join("rain.onnx");
        let model = model.to_str().unwrap();
        let options = init!(selvedge_options { backend: SELVEDGE_BACKEND_TRACT });
        let mut engine = ptr::null_mut();
        // SAFETY: path and options live during the call.
        call(|err| unsafe { selvedge_engine_open(model.as_ptr().cast(), model.len(), &options, &raw mut engine, err) })
            .unwrap();
        engine
    }

    /// What is told of drift: a latency is another one each time.
    fn of_drift(told: Vec<Told>) -> Vec<Told> {
        told.into_iter().filter(|t| t.kind != "change").collect()
    }

    #[test]
    fn drift_is_found_with_the_numbers_that_rust_has() {
        let days = days();
        let trained: Vec<[f32; 4]> =
            days.iter().filter(|d| d.city == "Seattle" && &*d.year < "2015").map(|d| d.weather).collect();
        let later = days.iter().filter(|d| d.city == "Seattle" && &*d.year >= "2015");
        let moved = days.iter().filter(|d| d.city == "New York");
        let series: Vec<[f32; 4]> = later.chain(moved).map(|d| d.weather).collect();

        let engine = selvedge::open(quickstart().join("rain.onnx"), Options::new().backend(Backend::Tract)).unwrap();
        let digest = engine.spec().provenance.digest.0;
        let fit = COLUMNS.iter().fold(Profile::fit(), |fit, name| fit.number(*name));
        let fit = fit.bins(8).block(RowDependence::Estimate).model(digest);
        let expected = fit.of_rows(&trained).unwrap();
        let (report, events, labels) = by_rust(engine, expected.clone(), &series);

        // The same from C: the columns lie within the rows.
        let within = |i: usize| {
            let at = (&raw const trained[0][i]).cast();
            init!(selvedge_column { name: text(COLUMNS[i]), data: at, stride: 16, dtype: SELVEDGE_F32 })
        };
        let columns = [0, 1, 2, 3].map(within);
        let with = init!(selvedge_fit { bins: 8, sha256: digest.as_ptr() });
        let profile = fit_of(&columns, trained.len(), &with);
        assert_eq!(encoded(profile), expected.encode());

        let folder = tempfile::tempdir().unwrap();
        let (engine, telemetry) = (open(), open_telemetry(folder.path()));
        let options = init!(selvedge_monitor_options { config: text(CONFIG), profile: profile });
        let watching = watch(engine, telemetry, &options).unwrap();
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
        assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
        assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
        let verdicts = live(&watching, &series);
        watching.close_window();

        let told = of_drift(std::iter::from_fn(|| watching.next_alert()).collect());
        assert_eq!(told, of_drift(events));
        assert!(told.iter().any(|t| t.feature == "wind" && t.kind == "shift"), "{told:?}");
        assert_eq!(verdicts, labels);
        same_report(&watching.report(), &report);

        let mut known = ptr::null_mut();
        // SAFETY: the place may be written.
        call(|err| unsafe { selvedge_monitor_profile(watching.monitor, &raw mut known, err) }).unwrap();
        assert_eq!(encoded(known), expected.encode());
        assert_eq!(selvedge_profile_free(known), SELVEDGE_OK);

        let path = folder.path().to_str().unwrap();
        // SAFETY: the folder lives during the call.
        let page = bytes_of(|out, err| unsafe { selvedge_report_html(path.as_ptr().cast(), path.len(), out, err) });
        let model = report.model;
        assert!(model.contains("rain") && String::from_utf8(page).unwrap().contains(&format!("<h2>{model}")));
        watching.free();
    }

    fn fit_of(columns: &[selvedge_column], count: usize, with: &selvedge_fit) -> *mut selvedge_profile {
        super::watching::fit(&rows_of(columns, count), Some(with)).unwrap()
    }

    type Labels = Vec<i32>;

    /// What Rust says of the series.
    fn by_rust(
        engine: std::sync::Arc<dyn Engine>,
        profile: Profile,
        series: &[[f32; 4]],
    ) -> (selvedge::layer::monitor::MonitorReport, Vec<Told>, Labels) {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits::default().durability(Durability::Process);
        let probe = All::new().and(Columns::of("weather", COLUMNS)).and(Classes::of("rain_tomorrow"));
        let events = std::sync::Arc::new(Mutex::new(Vec::new()));
        let told = events.clone();
        let monitor = Monitor::builder(engine, Telemetry::open(folder.path(), limits), probe)
            .profile(profile)
            .window(365)
            .persistence(Persistence::new(1, 1).unwrap())
            .false_alarm(FalseAlarm::windows(1000.0))
            .on_alert(move |event| told.lock().unwrap().push(told_by_rust(event)))
            .build()
            .unwrap();
        let mut labels = Vec::new();
        for (i, weather) in series.iter().enumerate() {
            let row = Tensors::from([("weather", Tensor::new(&[1, 4], weather.to_vec()).unwrap())]);
            monitor.run_with(row, Call::new().id(i as u64 + 1)).unwrap();
            if i > 0 {
                labels.push(match monitor.feedback(i as u64, Label::Class((weather[0] > 0.5).into())).unwrap() {
                    LabelVerdict::Unknown => SELVEDGE_VERDICT_UNKNOWN,
                    LabelVerdict::Steady { .. } => SELVEDGE_VERDICT_STEADY,
                    LabelVerdict::Suspect { .. } => SELVEDGE_VERDICT_SUSPECT,
                    LabelVerdict::Drifted { .. } => SELVEDGE_VERDICT_DRIFTED,
                    other => panic!("{other:?}"),
                });
            }
        }
        monitor.close_window();
        let told = events.lock().unwrap().clone();
        (monitor.report(), told, labels)
    }

    fn told_by_rust(event: &AlertEvent) -> Told {
        let (event, alert, at) = match event {
            AlertEvent::Raised(alert) => (SELVEDGE_ALERT_RAISED, alert, alert.since),
            AlertEvent::Cleared { alert, at } => (SELVEDGE_ALERT_CLEARED, alert, *at),
            other => panic!("{other:?}"),
        };
        let record = selvedge::telemetry::AlertCode::ALL.iter().find(|code| {
            // The log's names, by those for people.
            let of_people = alert.kind.name().replace(' ', "_");
            code.name() == of_people
        });
        Told {
            event,
            severity: alert.severity as i32 + 1,
            action: match alert.action {
                selvedge::drift::Action::CheckPipeline => SELVEDGE_ACTION_CHECK_PIPELINE,
                selvedge::drift::Action::Retrain => SELVEDGE_ACTION_RETRAIN,
                _ => SELVEDGE_ACTION_ROLL_BACK,
            },
            since: alert.since,
            at,
            kind: record.expect("a code of this name").name().into(),
            feature: alert.feature.clone(),
            evidence: alert.evidence.clone(),
        }
    }

    /// Asks about each day, and says the next day whether it rained.
    fn live(watching: &Watching, series: &[[f32; 4]]) -> Labels {
        let mut labels = Vec::new();
        for (i, weather) in series.iter().enumerate() {
            watching.ask("weather", weather, i as u64 + 1);
            if i > 0 {
                let rained = u32::from(weather[0] > 0.5);
                labels.push(watching.feedback(i as u64, SELVEDGE_LABEL_CLASS, rained).unwrap());
            }
        }
        labels
    }

    fn same_report(got: &serde_json::Value, rust: &selvedge::layer::monitor::MonitorReport) {
        assert_eq!((&got["model"], &got["reference"]), (&rust.model.as_str().into(), &"given".into()));
        assert_eq!(got["learning"], serde_json::Value::Null);
        let t = rust.totals;
        let totals = serde_json::json!({
            "requests": t.requests, "rows": t.rows, "faults": t.faults, "tokens_in": t.tokens_in,
            "tokens_out": t.tokens_out, "windows": t.windows,
        });
        assert_eq!(got["totals"], totals);
        let accuracy = rust.accuracy.unwrap();
        let expected = serde_json::json!({
            "value": accuracy.value, "low": accuracy.low, "high": accuracy.high, "of": accuracy.of,
        });
        assert_eq!(got["accuracy"], parsed(&expected));
        let drifts = |kind: &str| kind != "change";
        let standing = got["alerts"].as_array().unwrap().iter().filter(|a| drifts(a["kind"].as_str().unwrap()));
        let evidence: Vec<_> = standing.map(|a| a["evidence"].as_str().unwrap().to_owned()).collect();
        let rust_alerts = rust.alerts.iter().filter(|a| drifts(a.kind.name()));
        assert_eq!(evidence, rust_alerts.map(|a| a.evidence.clone()).collect::<Vec<_>>());
        assert!(!evidence.is_empty());
        assert_eq!(got["windows"].as_array().unwrap().len(), rust.windows.len());
        for (got, rust) in got["windows"].as_array().unwrap().iter().zip(&rust.windows) {
            let verdict = rust.verdict.as_ref().unwrap();
            assert_eq!((&got["index"], &got["rows"]), (&rust.window.index.into(), &rust.window.rows.into()));
            assert_eq!(got["drifted"], verdict.drifted());
            for (got, rust) in got["features"].as_array().unwrap().iter().zip(&verdict.features) {
                assert_eq!((&got["name"], &got["drifted"]), (&rust.name.as_str().into(), &rust.drifted.into()));
                assert_eq!((&got["p"], &got["psi"]), (&parsed(&rust.p.into()), &parsed(&rust.psi.into())));
            }
        }
        for (got, rust) in got["reach"].as_array().unwrap().iter().zip(&rust.reach) {
            let expected = serde_json::json!({
                "feature": rust.feature, "dead": rust.dead, "missing": rust.missing,
                "out_of_range": rust.out_of_range, "shift": rust.shift,
            });
            assert_eq!(got, &expected);
        }
        assert_eq!(got["telemetry"]["mode"], "durable");
    }

    #[test]
    fn what_the_model_does_not_have_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, telemetry) = (open(), open_telemetry(folder.path()));
        let no = |config: &str, what: &str| {
            let options = init!(selvedge_monitor_options { config: text(config) });
            let (code, message) = watch(engine, telemetry, &options).err().unwrap();
            assert_eq!((code, &*message), (Code::InvalidArgument as i32, what));
        };
        no(
            r#"{"probe": {"kind": "columns", "input": "wether", "names": ["a", "b", "c", "d"]}}"#,
            r#"config.probe.input: expected an input of the model, one of ["weather"], got "wether""#,
        );
        no(
            r#"{"probe": [{"kind": "classes", "output": "snow"}]}"#,
            r#"config.probe[0].output: expected an output of the model, one of ["rain_tomorrow"], got "snow""#,
        );
        no(
            r#"{"probe": {"kind": "columns", "input": "weather", "names": ["a", "b"]}}"#,
            "config.probe.names: expected 4 names, as many as 'weather' has columns, got 2",
        );
        let other = fit_of(&[column("wind", SELVEDGE_F32, &[1.0f32, 2.0])], 2, &init!(selvedge_fit {}));
        let options = init!(selvedge_monitor_options { config: text(CONFIG), profile: other });
        // A profile of fewer features is one.
        watch(engine, telemetry, &options).unwrap_or_else(|e| panic!("{e:?}")).free();
        let no_such = fit_of(&[column("snow", SELVEDGE_F32, &[1.0f32, 2.0])], 2, &init!(selvedge_fit {}));
        let options = init!(selvedge_monitor_options { config: text(CONFIG), profile: no_such });
        let (code, message) = watch(engine, telemetry, &options).err().unwrap();
        assert_eq!(code, Code::InvalidArgument as i32);
        assert!(message.contains("'snow'"), "{message}");
        for profile in [other, no_such] {
            assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
        }
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
        assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
    }
}

/// A fake engine that gives its input `x` back, watched by a folder of its own.
fn echo(config: &str) -> (tempfile::TempDir, Result<Watching, (i32, String)>) {
    let folder = tempfile::tempdir().unwrap();
    let (engine, telemetry) = (handle(Fake::echo(DType::F32).build()), open_telemetry(folder.path()));
    let options = init!(selvedge_monitor_options { config: text(config) });
    let watching = watch(engine, telemetry, &options);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
    (folder, watching)
}

#[test]
fn a_profile_is_learned_and_can_be_kept() {
    let (_folder, watching) =
        echo(r#"{"probe": {"kind": "columns", "input": "x", "names": ["a"]}, "window": 8, "learn": 2}"#);
    let watching = watching.unwrap();
    // SAFETY: the places may be written.
    let message =
        refused_with(Code::NotFound, |out, err| unsafe { selvedge_monitor_profile(watching.monitor, out, err) });
    assert_eq!(message, "profile: none was given, and none is learned yet");
    for i in 0..10 {
        watching.ask("x", &[(i % 5) as f32], 0);
    }
    let report = watching.report();
    assert_eq!(
        (&report["reference"], &report["learning"]),
        (&"learning".into(), &serde_json::json!({"rows": 10, "of": 16}))
    );
    for i in 0..6 {
        watching.ask("x", &[(i % 5) as f32], 0);
    }
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_monitor_tick(watching.monitor, err) }).unwrap();
    assert_eq!(watching.report()["reference"], "learned");
    let mut profile = ptr::null_mut();
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_monitor_profile(watching.monitor, &raw mut profile, err) }).unwrap();
    // SAFETY: the places may be written.
    let holds = json_of(|out, err| unsafe { selvedge_profile_json(profile, out, err) });
    assert_eq!(
        (&holds["rows"], &holds["learned"], &holds["features"][0]["name"]),
        (&16.into(), &true.into(), &"a".into())
    );
    assert!(holds["model"].as_str().unwrap().len() == 64);
    assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
    watching.free();
}

#[test]
fn feedback_is_of_a_call_and_of_what_the_probe_sees() {
    let (_folder, watching) = echo(r#"{"probe": {"kind": "classes", "output": "y"}}"#);
    let watching = watching.unwrap();
    watching.ask("x", &[0.25, 0.75], 5);
    let no = |id, label, value, what: &str| {
        let (code, message) = watching.feedback(id, label, value).unwrap_err();
        assert_eq!((code, &*message), (Code::InvalidArgument as i32, what));
    };
    no(0, SELVEDGE_LABEL_CLASS, 1, "feedback: expected the id that the call was given, got 0");
    no(5, SELVEDGE_LABEL_CLASS, 65_535, "value: expected a class below 65535, got 65535");
    no(5, SELVEDGE_LABEL_CLASS, u32::MAX, "value: expected a class below 65535, got 4294967295");
    no(5, SELVEDGE_LABEL_CORRECT, 2, "value: expected 0 or 1, got 2");
    no(5, 0, 1, "selvedge_label: 0 has no meaning in this version of the library");
    assert_eq!(watching.feedback(4, SELVEDGE_LABEL_CLASS, 1), Ok(SELVEDGE_VERDICT_UNKNOWN));
    assert_eq!(watching.feedback(5, SELVEDGE_LABEL_CLASS, 1), Ok(SELVEDGE_VERDICT_STEADY));
    assert_eq!(watching.feedback(5, SELVEDGE_LABEL_CLASS, 1), Ok(SELVEDGE_VERDICT_UNKNOWN), "it has its label");
    let accuracy = &watching.report()["accuracy"];
    assert_eq!((&accuracy["value"], &accuracy["of"]), (&1.0.into(), &1.into()));
    // Wrong from now on: the model is suspect, and then it has drifted.
    let mut verdicts = Vec::new();
    for id in 6..606 {
        watching.ask("x", &[0.25, 0.75], id);
        verdicts.push(watching.feedback(id, SELVEDGE_LABEL_CORRECT, u32::from(id < 306)).unwrap());
    }
    assert!(verdicts[..300].iter().all(|v| *v == SELVEDGE_VERDICT_STEADY));
    for verdict in [SELVEDGE_VERDICT_SUSPECT, SELVEDGE_VERDICT_DRIFTED] {
        assert!(verdicts[300..].contains(&verdict), "{verdict}");
    }
    let told = std::iter::from_fn(|| watching.next_alert()).find(|t| t.kind == "concept_drift").unwrap();
    assert_eq!(
        (told.event, told.severity, told.action),
        (SELVEDGE_ALERT_RAISED, SELVEDGE_SEVERITY_CRITICAL, SELVEDGE_ACTION_RETRAIN)
    );
    watching.free();

    let (_folder, watching) = echo(r#"{"probe": []}"#);
    let watching = watching.unwrap();
    watching.ask("x", &[1.0], 1);
    let (code, message) = watching.feedback(1, SELVEDGE_LABEL_CLASS, 1).unwrap_err();
    assert_eq!(
        (code, &*message),
        (1, "label: expected SELVEDGE_LABEL_CORRECT, as the probe sees no classes, got SELVEDGE_LABEL_CLASS")
    );
    assert_eq!(watching.feedback(1, SELVEDGE_LABEL_CORRECT, 1), Ok(SELVEDGE_VERDICT_STEADY));
    watching.free();
}

#[test]
fn every_option_is_taken() {
    let (_folder, watching) = echo(
        r#"{
        "probe": [
            {"kind": "columns", "input": "x", "names": ["a", "b"], "categories": ["b"]},
            {"kind": "columns", "output": "y", "names": ["c"]},
            {"kind": "classes", "softmax": true, "binary": true},
            {"kind": "image", "layout": "hwc"},
            {"kind": "audio", "input": "x", "sample_rate": 16000},
            {"kind": "embeddings", "output": "y"},
            {"kind": "tokens"}
        ],
        "window": 16, "time_cap_s": 0.5, "learn": 0, "false_alarm": {"every_s": 604800, "rows_per_s": 2.5},
        "persistence": [2, 3], "calm": 2, "unlabelled": 10,
        "slo": {"p50_ms": 1, "p95_ms": 2, "p99_ms": 3.5, "errors": 0, "refusals": 1, "length_stops": 0.1,
                "schema_valid": 0.9, "min_cases": 20},
        "detectors": [
            {"stream": "latency", "kind": "page_hinkley", "delta": 0.5, "threshold": 20, "forgetting": 0.99},
            {"stream": "errors", "kind": "ddm"},
            {"stream": "confidence", "kind": "kswin", "alpha": 0.0001, "window": 200, "latest": 50}
        ]
    }"#,
    );
    let watching = watching.unwrap();
    let report = watching.report();
    assert_eq!((&report["reference"], &report["model"]), (&"none".into(), &"fake".into()));
    watching.free();
    let (_folder, watching) = echo(
        r#"{"probe": [], "window": null, "detectors": [{"stream": "latency", "kind": "adwin", "delta": 0.1, "clock": 1}]}"#,
    );
    watching.unwrap().free();
}

#[test]
fn what_is_no_configuration_is_named() {
    let no = |config: &str, what: &str| {
        let (_folder, watching) = echo(config);
        let (code, message) = watching.err().unwrap_or_else(|| panic!("{config} was taken"));
        assert_eq!(code, Code::InvalidArgument as i32, "{message}");
        assert!(message.contains(what), "{config}: {message}");
    };
    no("", "config: expected a JSON object");
    no("{", "config: expected a JSON object");
    no("[]", "config: expected an object, got []");
    no("{}", "config.probe: expected a value, got none");
    no(r#"{"probe": [], "widow": 8}"#, r#"config: expected one of "probe", "window", "time_cap_s""#);
    no(r#"{"probe": [], "widow": 8}"#, r#"got "widow": 8"#);
    no(r#"{"probe": 3}"#, "config.probe: expected an object, got 3");
    no(r#"{"probe": {}}"#, "config.probe.kind: expected a value, got none");
    no(r#"{"probe": {"kind": "column"}}"#, r#"config.probe.kind: expected one of "columns", "classes""#);
    no(r#"{"probe": {"kind": "columns"}}"#, "config.probe.names: expected a value, got none");
    no(r#"{"probe": {"kind": "columns", "names": []}}"#, "config.probe.names: expected at least one name");
    no(r#"{"probe": {"kind": "columns", "names": ["a", 7]}}"#, "config.probe.names[1]: expected a text, got 7");
    no(r#"{"probe": {"kind": "columns", "names": ["a", "a"]}}"#, "'a' twice");
    no(
        r#"{"probe": {"kind": "columns", "names": ["a"], "categories": ["b"]}}"#,
        r#"config.probe.categories[0]: expected one of "names", got "b""#,
    );
    no(r#"{"probe": {"kind": "columns", "input": "x", "output": "y", "names": ["a"]}}"#, "got both");
    no(
        r#"{"probe": {"kind": "columns", "input": "z", "names": ["a"]}}"#,
        r#"config.probe.input: expected an input of the model, one of ["x"], got "z""#,
    );
    no(r#"{"probe": {"kind": "tokens", "output": "y"}}"#, r#"config.probe: expected one of "kind", got "output": "y""#);
    no(
        r#"{"probe": {"kind": "image", "layout": "whc"}}"#,
        r#"config.probe.layout: expected one of "chw", "hwc", got "whc""#,
    );
    no(r#"{"probe": {"kind": "audio"}}"#, "config.probe.sample_rate: expected a value");
    no(
        r#"{"probe": {"kind": "audio", "sample_rate": 0}}"#,
        "config.probe.sample_rate: expected a whole number of hertz",
    );
    no(r#"{"probe": {"kind": "classes", "softmax": 1}}"#, "config.probe.softmax: expected true or false, got 1");
    let option = |option: &str, what: &str| no(&format!(r#"{{"probe": [], {option}}}"#), what);
    option(r#""window": 7"#, "window: expected 8 to 65536 rows, got 7");
    option(r#""window": -8"#, "config.window: expected a whole number");
    option(r#""window": 8.5"#, "got 8.5");
    option(r#""time_cap_s": 0"#, "config.time_cap_s: expected a number of seconds above 0, got 0");
    option(r#""time_cap_s": -1"#, "config.time_cap_s: expected a number from 0");
    option(r#""learn": 4294967297"#, "config.learn: expected a whole number from 0 to 4294967296");
    option(r#""false_alarm": {}"#, "config.false_alarm: expected");
    option(r#""false_alarm": {"windows": 100, "every_s": 1}"#, "config.false_alarm: expected");
    option(r#""false_alarm": {"windows": 5}"#, "false alarm: expected a mean time of 10 to 1e12 windows, got 5");
    option(
        r#""false_alarm": {"days": 5}"#,
        r#"config.false_alarm: expected one of "windows", "every_s", "rows_per_s""#,
    );
    option(
        r#""persistence": [3, 2]"#,
        "persistence: expected 1 ≤ k ≤ n ≤ 8, got 3 of 2 (while reading config.persistence)",
    );
    option(r#""persistence": [2]"#, "config.persistence: expected two whole numbers, such as [2, 3], got [2]");
    option(r#""persistence": [2, 256]"#, "config.persistence[1]: expected a whole number from 0 to 255, got 256");
    option(r#""calm": 4294967296"#, "config.calm: expected a whole number from 0 to 4294967295");
    option(r#""unlabelled": 18446744073709551615"#, "config.unlabelled: expected a whole number from 0 to 16777216");
    option(r#""slo": {"errors": 1.5}"#, "config.slo.errors: expected a number from 0 to 1, got 1.5");
    option(r#""slo": {"p99": 3}"#, r#"config.slo: expected one of "p50_ms""#);
    option(r#""detectors": [{"stream": "speed", "kind": "adwin"}]"#, "config.detectors[0].stream: expected one of");
    option(r#""detectors": [{"stream": "latency", "kind": "adwin", "delta": 2}]"#, "ADWIN: delta: expected");
    option(r#""detectors": [{"stream": "latency", "kind": "ddm"}]"#, "latency");
    option(
        r#""detectors": [{"stream": "errors", "kind": "ddm", "delta": 1}]"#,
        r#"config.detectors[0]: expected one of "stream", "kind", got "delta": 1"#,
    );
    // Deep nesting, and a long value, are cut short.
    no(&format!(r#"{{"probe": {}}}"#, "[".repeat(100_000)), "config: expected a JSON object");
    no(&format!(r#"{{"probe": [], "window": "{}"}}"#, "w".repeat(100_000)), "w…");
    let (_folder, watching) = echo("\u{1f9f5}");
    assert!(watching.err().unwrap().1.starts_with("config: expected a JSON object"));
}
