//! JSON of specs, answers and inspections: read by people and logs, and never on a hot path.

use std::time::Duration;

use selvedge::backend::{Inspection, MetadataValue};
use selvedge::{
    Adapter, Answer, AppliedAdapter, Backend, Dim, Error, Finish, Kind, MalformedCall, MemoryEstimate, Port,
    Provenance, Result, Spec, TokenInfo, ToolCall,
};
use serde_json::{Map, Value, json};

pub(crate) fn spec(spec: &Spec) -> String {
    let (a, m) = (&spec.abilities, &spec.memory);
    json!({
        "provenance": provenance(&spec.provenance),
        "inputs": spec.inputs.iter().map(port).collect::<Value>(),
        "outputs": spec.outputs.iter().map(port).collect::<Value>(),
        "abilities": {
            "tensors": a.tensors, "generate": a.generate, "chat": a.chat, "embed": a.embed, "score": a.score,
            "rerank": a.rerank, "interrupt": a.interrupt,
        },
        "context_tokens": spec.context_tokens,
        "embedding_size": spec.embedding_size,
        "adapters": spec.adapters.iter().map(adapter).collect::<Value>(),
        "memory": memory(m),
        "metadata": spec.metadata,
        "choice": spec.choice,
    })
    .to_string()
}

pub(crate) fn answer(answer: &Answer) -> String {
    let u = &answer.usage;
    let (finish, stop) = match &answer.finish {
        Finish::Complete => ("complete", None),
        Finish::EndOfText => ("end_of_text", None),
        Finish::Stop(text) => ("stop", Some(text)),
        Finish::Length => ("length", None),
        Finish::ContextFull => ("context_full", None),
        _ => ("other", None),
    };
    let outputs = answer.outputs.iter();
    let outputs =
        outputs.map(|(name, t)| json!({ "name": name, "dtype": t.dtype().name(), "shape": t.shape().to_vec() }));
    json!({
        "text": answer.text,
        "reasoning": answer.reasoning,
        "tool_calls": answer.tool_calls.iter().map(tool_call).collect::<Value>(),
        "malformed_calls": answer.malformed_calls.iter().map(malformed_call).collect::<Value>(),
        "tokens": answer.tokens.iter().map(|t| t.id).collect::<Value>(),
        "logprobs": logprobs(&answer.tokens),
        "top_logprobs": answer.top_logprobs.iter().map(|top| likeliest(top)).collect::<Value>(),
        "adapters": answer.adapters.iter().map(applied).collect::<Value>(),
        "finish": finish,
        "stop": stop,
        "usage": {
            "input_tokens": u.input_tokens, "cached_tokens": u.cached_tokens, "output_tokens": u.output_tokens,
            "queued_ns": nanos(u.queued), "prepare_ns": nanos(u.prepare), "compute_ns": nanos(u.compute),
            "generate_ns": nanos(u.generate), "peak_bytes": u.peak_bytes,
            "cache_hits": u.cache_hits, "saved_ns": nanos(u.saved),
        },
        "provenance": provenance(&answer.provenance),
        "id": answer.id,
        "outputs": outputs.collect::<Value>(),
    })
    .to_string()
}

fn adapter(a: &Adapter) -> Value {
    json!({ "name": a.name, "digest": a.digest.to_string(), "applied": a.applied, "total": a.total })
}

fn applied(a: &AppliedAdapter) -> Value {
    json!({ "name": a.name, "scale": a.scale, "applied": a.applied, "total": a.total })
}

fn tool_call(call: &ToolCall) -> Value {
    json!({ "id": call.id, "name": call.name, "arguments": call.arguments })
}

fn malformed_call(call: &MalformedCall) -> Value {
    json!({ "index": call.index, "text": call.text, "reason": call.reason })
}

/// A number for each token; null where none was asked for.
fn logprobs(tokens: &[TokenInfo]) -> Value {
    match tokens.iter().any(|token| token.logprob.is_some()) {
        true => tokens.iter().map(|token| token.logprob).collect(),
        false => Value::Null,
    }
}

fn likeliest(tokens: &[TokenInfo]) -> Value {
    tokens.iter().map(|token| json!({ "id": token.id, "logprob": token.logprob })).collect()
}

pub(crate) fn inspection(inspection: &Inspection) -> String {
    let tensors = inspection.tensors.iter().map(
        |t| json!({ "name": t.name, "element": t.element, "shape": t.shape, "bytes": t.bytes, "location": t.location }),
    );
    let pairs = |pairs: Vec<(String, Value)>| pairs.into_iter().collect::<Map<_, _>>();
    json!({
        "name": inspection.name,
        "format": inspection.format.name(),
        "bytes": inspection.bytes,
        "parameters": inspection.parameters(),
        "inputs": inspection.inputs.iter().map(port).collect::<Value>(),
        "outputs": inspection.outputs.iter().map(port).collect::<Value>(),
        "tensors": tensors.collect::<Value>(),
        "metadata": pairs(inspection.metadata.iter().map(|(k, v)| (k.clone(), metadata(v))).collect()),
        "operators": inspection.operators,
        "opsets": pairs(inspection.opsets.iter().map(|(domain, version)| (domain.clone(), json!(version))).collect()),
        "warnings": inspection.warnings,
        "backends": inspection.backends.iter().map(|(b, estimate)| backend(*b, estimate)).collect::<Value>(),
        "flaw": inspection.flaw.as_ref().map(failure),
    })
    .to_string()
}

fn backend(backend: Backend, estimate: &Result<MemoryEstimate>) -> Value {
    let mut value = match estimate {
        Ok(estimate) => json!({ "memory": memory(estimate) }),
        Err(e) => failure(e),
    };
    value["backend"] = json!(backend.name());
    value
}

fn failure(e: &Error) -> Value {
    json!({ "code": e.code().name(), "message": format!("{e:#}") })
}

fn memory(m: &MemoryEstimate) -> Value {
    json!({ "weights": m.weights, "context": m.context, "scratch": m.scratch, "total": m.total() })
}

/// Numbers and booleans as JSON has them; what it has not, a number that is not finite, as text.
fn metadata(value: &MetadataValue) -> Value {
    match value {
        MetadataValue::Bool(b) => json!(b),
        MetadataValue::Integer(n) => match (u64::try_from(*n), i64::try_from(*n)) {
            (Ok(n), _) => json!(n),
            (_, Ok(n)) => json!(n),
            _ => json!(value.to_string()),
        },
        MetadataValue::Real(x) if x.is_finite() => json!(x),
        other => json!(other.to_string()),
    }
}

fn provenance(p: &Provenance) -> Value {
    json!({
        "model": p.model, "version": p.version, "digest": p.digest.to_string(), "backend": p.backend,
        "runtime": p.runtime, "route": p.route,
    })
}

fn port(port: &Port) -> Value {
    match &port.kind {
        Kind::Tensor { dtype, shape } => json!({
            "name": port.name, "dtype": dtype.name(), "optional": port.optional,
            "shape": shape.as_ref().map(|dims| dims.iter().map(dim).collect::<Value>()),
        }),
        other => json!({ "name": port.name, "other": other.to_string(), "optional": port.optional }),
    }
}

fn dim(dim: &Dim) -> Value {
    match dim {
        Dim::Fixed(n) => json!(n),
        Dim::Symbol(name) => json!(name),
        _ => Value::Null,
    }
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
