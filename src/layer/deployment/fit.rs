//! Fit of a version: whether it takes and gives what callers know of the one before.

use crate::engine::{Kind, Port, Spec};
use crate::{Error, Result};

/// # Errors
///
/// `InvalidArgument`, naming the port or the ability that the version lacks, or the input that it wants besides.
pub(super) fn check_fit(current: &Spec, version: &Spec) -> Result<()> {
    let lacks = |what: &str| Err(Error::invalid(format!("version: expected {what}, as the current one, got none")));
    let (now, then) = (current.abilities, version.abilities);
    for (name, now, then) in [
        ("tensors", now.tensors, then.tensors),
        ("generate", now.generate, then.generate),
        ("chat", now.chat, then.chat),
        ("embed", now.embed, then.embed),
    ] {
        if now && !then {
            return lacks(&format!("the ability '{name}'"));
        }
    }
    if current.embedding_size != version.embedding_size {
        let (now, then) = (current.embedding_size, version.embedding_size);
        return Err(Error::invalid(format!("version: expected embeddings of {now:?} numbers, got {then:?}")));
    }
    check_ports("input", &current.inputs, &version.inputs)?;
    check_ports("output", &current.outputs, &version.outputs)?;
    let is_new = |port: &&Port| !port.optional && !current.inputs.iter().any(|known| known.name == port.name);
    match version.inputs.iter().find(is_new) {
        Some(port) => {
            Err(Error::invalid(format!("version: expected the inputs of the current one, got also '{port}'")))
        }
        None => Ok(()),
    }
}

fn check_ports(what: &str, now: &[Port], then: &[Port]) -> Result<()> {
    for port in now {
        let got = then.iter().find(|other| other.name == port.name);
        if !got.is_some_and(|other| is_like(&port.kind, &other.kind)) {
            let got = got.map_or("none".into(), Port::to_string);
            return Err(Error::invalid(format!("version: expected {what} '{port}', got '{got}'")));
        }
    }
    Ok(())
}

/// Of one dtype and, where known, of one rank: dimensions may differ between exports of a model.
fn is_like(now: &Kind, then: &Kind) -> bool {
    match (now, then) {
        (Kind::Tensor { dtype: a, shape: x }, Kind::Tensor { dtype: b, shape: y }) => {
            let ranks = x.as_ref().zip(y.as_ref()).map(|(x, y)| x.len() == y.len());
            a == b && ranks.unwrap_or(true)
        }
        (a, b) => a == b,
    }
}
