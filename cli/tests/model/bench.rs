//! `selvedge bench`.

use std::path::Path;

use serde_json::Value;

use crate::runtimes::backends;
use crate::{command, corpus, ended, json, path};

#[track_caller]
fn positive(value: &Value) -> f64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("expected a number, got {value}"));
    assert!(number > 0.0, "{value}");
    number
}

#[track_caller]
fn rising(latency: &Value) {
    let [p50, p90, p99] = ["p50", "p90", "p99"].map(|share| positive(&latency[share]));
    assert!(p50 <= p90 && p90 <= p99, "{latency}");
}

#[test]
fn a_model_of_tensors_is_measured() {
    let Some(model) = corpus::path("mnist-conv/model.onnx") else { return };
    for backend in backends() {
        let args = ["bench", path(&model), "--calls", "50", "--backend", backend.name()];
        let reported = json(Path::new("."), &args);
        assert_eq!((&reported["calls"], &reported["model"]["backend"]), (&50.into(), &backend.name().into()));
        positive(&reported["calls_per_second"]);
        rising(&reported["latency_seconds"]["whole_call"]);
        assert!(reported["asked"].as_str().unwrap().contains("f32[1, 1, 28, 28]"), "{reported}");
        if cfg!(target_os = "linux") {
            // Fifty calls may be over before the system counts a tick.
            let alone = &reported["machine"]["alone"];
            assert!(alone.is_boolean() || alone.is_null(), "{reported}");
            positive(&reported["memory"]["resident_peak"]);
        }
        let (out, err) = ended(&command(Path::new("."), &args).output().unwrap(), 0);
        assert!(out.contains("calls/s, 50 in all") && out.contains("p99") && err.is_empty(), "{out}{err}");
        let alone = ["beside nothing else on the machine", "BESIDE OTHER WORK", "not told by this system"];
        assert!(alone.iter().any(|words| out.contains(words)), "{out}");
    }
}

#[cfg(feature = "llama")]
#[test]
fn a_model_of_text_is_measured() {
    let Some(model) = corpus::path("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf") else { return };
    let args = ["bench", path(&model), "--calls", "3", "--prompt", "64", "--generate", "16", "--context", "512"];
    let reported = json(Path::new("."), &args);
    for rate in ["prompt_tokens_per_second", "generated_tokens_per_second", "calls_per_second"] {
        positive(&reported[rate]);
    }
    for latency in ["whole_call", "first_token", "next_token"] {
        rising(&reported["latency_seconds"][latency]);
    }
    // Nothing of a prompt came from a cache, and it has about the tokens that were asked for.
    let read = positive(&reported["prompt_tokens"]) / 3.0;
    assert!((48.0..=80.0).contains(&read), "{reported}");
    assert!(positive(&reported["generated_tokens"]) <= 48.0, "{reported}");
}

#[cfg(feature = "llama")]
#[test]
fn a_model_of_vectors_is_measured() {
    let Some(model) = corpus::path("minilm-gguf/all-MiniLM-L6-v2-f16.gguf") else { return };
    let reported = json(Path::new("."), &["bench", path(&model), "--calls", "5", "--prompt", "32"]);
    assert_eq!(reported["calls"], 5);
    positive(&reported["calls_per_second"]);
    assert!(reported["latency_seconds"]["first_token"].is_null(), "{reported}");
}
