//! Reasons why a case does not pass: the headings of the lists, found by what the case said.

use std::collections::BTreeSet;

use selvedge::{Backend, DType};

use crate::case::Case;
use crate::known::EITHER;
use crate::outcome::{Outcome, Verdict};

/// The heading for a case that did not pass. "unexplained" ones want a look, and a rule here.
pub(crate) fn of(backend: Backend, case: &Case, outcome: &Outcome) -> String {
    if outcome.verdict == Verdict::Inexpressible {
        return format!("takes or gives what no Tensor carries: {}", outcome.detail);
    }
    match backend {
        Backend::Ort => onnx(case, outcome),
        Backend::Rten => rten(case, outcome),
        _ => tract(case, outcome),
    }
}

fn onnx(case: &Case, outcome: &Outcome) -> String {
    let opset = case.model.opset();
    let said = |words: &str| outcome.detail.contains(words);
    let named = |words: &str| case.name.contains(words);
    match outcome.verdict {
        Verdict::OpenFailed if said("Opset 27 is under development") => {
            "opset 27, which this release does not take".into()
        }
        Verdict::OpenFailed if said("is not a registered function/op") => {
            "preview and training operators it does not have".into()
        }
        Verdict::OpenFailed if said("Could not find an implementation") && opset.is_some_and(|v| v < 7) => {
            "operators of opsets below 7, for which it has no kernels".into()
        }
        Verdict::OpenFailed if said("Could not find an implementation") => {
            "operators without a CPU kernel, or without one for the dtype".into()
        }
        Verdict::OpenFailed if said("Failed to construct locale") => {
            format!("{EITHER}StringNormalizer needs the locale en_US.UTF-8 to be installed")
        }
        Verdict::OpenFailed if said("layout == 1") => "recurrent operators with the batch first".into(),
        Verdict::RunFailed if said("Non per-tensor quantization") => "ConvInteger with a zero point per channel".into(),
        Verdict::RunFailed if said("attention_helper") => {
            "Attention refuses heads of different sizes with this mask".into()
        }
        Verdict::Mismatch if named("/test_dft") || named("/test_stft") => {
            "DFT and STFT: near zero off by more than 1e-5, if by less than 1e-6 of the largest value".into()
        }
        Verdict::Mismatch if named("/test_training_dropout") => "random numbers, which ONNX does not prescribe".into(),
        Verdict::Mismatch if named("/test_attention") => {
            "masked scores are the lowest finite number, the suite has -inf".into()
        }
        Verdict::Mismatch => "gives other values than the suite has".into(),
        _ => format!("unexplained: {}", outcome.verdict.name()),
    }
}

fn rten(case: &Case, outcome: &Outcome) -> String {
    let words =
        |from: &str| outcome.detail.split_once(from).map(|(_, rest)| rest.split(" (while").next().unwrap_or(rest));
    let named = |words: &str| case.name.contains(words);
    if let Some(operators) = words("rten has no operator ") {
        return format!("rten does not have {operators}");
    }
    if let Some((operator, how)) =
        words("rten computes ").and_then(|rest| rest.split_once(" otherwise than ONNX says: "))
    {
        return format!("refused, for rten computes {operator} otherwise: {how}");
    }
    if outcome.detail.contains("rten adds its products in 16 bits") {
        return format!("{EITHER}where processors lack VNNI, rten's sums of 8-bit products may overflow");
    }
    let types = DType::ALL.iter().filter(|dtype| words("rten has no ") == Some(dtype.name()));
    if let Some(dtype) = types.map(|dtype| dtype.name()).next() {
        return format!("rten does not have {dtype}");
    }
    let operators: BTreeSet<&str> = case.model.graph.iter().flat_map(|g| &g.node).map(|n| &*n.op_type).collect();
    let operators = operators.into_iter().filter(|op| *op != "Constant").collect::<Vec<_>>().join(", ");
    match outcome.verdict {
        Verdict::OpenFailed if outcome.detail.starts_with("PANIC") => {
            "rten panics over a broken shape of an input".into()
        }
        _ if operators.len() > 60 => "one of its many operators has a form that rten does not compute".into(),
        Verdict::OpenFailed => format!("rten does not read this form of {operators}"),
        Verdict::RunFailed => format!("rten does not compute this form of {operators}"),
        Verdict::Mismatch if named("/test_dynamicquantizelinear") => "a tie is rounded to the other side".into(),
        Verdict::Mismatch if named("/test_resize_downsample_scales_linear_align_corners") => {
            "the corners are those of the rounded size".into()
        }
        _ => format!("unexplained: {}", outcome.verdict.name()),
    }
}

fn tract(case: &Case, outcome: &Outcome) -> String {
    let words = |from: &str| outcome.detail.split_once(from).map(|(_, rest)| rest);
    let named = |words: &str| case.name.contains(words);
    if let Some(operators) = words("tract has no operator ") {
        return format!("tract does not have {}", operators.split(" (while").next().unwrap_or(operators));
    }
    // Building node NAME (OPERATOR): why
    if let Some(operator) = words("Building node ").and_then(|rest| inside(rest, "(", ")")) {
        return format!("tract does not read this form of {operator}");
    }
    // Failed analyse for node #1 "NAME" OPERATOR: why
    if let Some(operator) = words("Failed analyse for node ").and_then(|rest| inside(rest, "\" ", ":")) {
        return format!("tract does not analyse this form of {operator}");
    }
    // Translating node #1 "NAME" OPERATOR ToTypedTranslator: why
    if let Some(operator) = words("Translating node ").and_then(|rest| inside(rest, "\" ", " ")) {
        return format!("tract does not plan this form of {operator}");
    }
    // Evaluating #1 "NAME" OPERATOR: why
    if let Some(operator) = words("Evaluating ").and_then(|rest| inside(rest, "\" ", ":")) {
        return format!("tract does not compute this form of {operator}");
    }
    match outcome.verdict {
        Verdict::Mismatch if named("_empty_set") => {
            "the extreme of nothing is the last finite number, the suite has inf".into()
        }
        Verdict::Mismatch if named("/test_dynamicquantizelinear") => "a tie is rounded to the other side".into(),
        _ => format!("unexplained: {}", outcome.verdict.name()),
    }
}

fn inside<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close).map(|(found, _)| found)
}
