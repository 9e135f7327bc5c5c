//! Admission: a tensor request is checked against the ports of an engine; written once, for every engine.

use std::collections::HashMap;

use super::{Dim, Kind, Port, Spec, Tensors};
use crate::{DType, Error, Result, Tensor};

/// A tensor request that fits the spec it was checked against.
#[derive(Debug)]
#[non_exhaustive]
pub struct Admitted {
    /// One entry per input port, in the spec's order; `None` where an optional one was left out.
    pub inputs: Vec<Option<Tensor>>,
    /// Indices into the spec's outputs, in the order asked for.
    pub outputs: Vec<usize>,
}

impl Spec {
    /// Checks names, dtypes, ranks and dimensions; puts the inputs in the model's order.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an unknown, repeated or missing input, an unknown or repeated
    /// output, or a tensor that does not fit its port; `Unsupported` for a port that is not a tensor.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::{Dim, DType, Port, Provenance, Digest, Spec, Tensor, Tensors};
    /// let mut spec = Spec::new(Provenance::new("rain", Digest::default(), "fake", "fake"));
    /// spec.inputs = vec![Port::tensor("x", DType::F32, vec![Dim::Symbol("n".into()), Dim::Fixed(2)])];
    /// let x = Tensor::new(&[1, 3], vec![0.0f32; 3])?;
    /// let error = spec.admit(Tensors::from([("x", x)])).unwrap_err();
    /// assert_eq!(error.to_string(), "input 'x': expected f32[n, 2], got f32[1, 3]");
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn admit(&self, request: Tensors) -> Result<Admitted> {
        let mut inputs: Vec<Option<Tensor>> = self.inputs.iter().map(|_| None).collect();
        for (name, tensor) in request.inputs {
            let i = find(&self.inputs, "input", &name)?;
            if inputs[i].replace(tensor).is_some() {
                return Err(Error::invalid(format!("input '{name}' is given twice")));
            }
        }
        let mut symbols = HashMap::new();
        for (port, tensor) in self.inputs.iter().zip(&inputs) {
            match tensor {
                Some(tensor) => fits(port, tensor, &mut symbols)?,
                None if port.optional => {}
                None => {
                    return Err(Error::invalid(format!("input '{}' is missing: expected {}", port.name, port.kind)));
                }
            }
        }
        Ok(Admitted { inputs, outputs: self.wanted(request.outputs)? })
    }

    fn wanted(&self, names: Option<Vec<String>>) -> Result<Vec<usize>> {
        let outputs = match names {
            None => (0..self.outputs.len()).collect(),
            Some(names) => {
                let mut outputs = Vec::with_capacity(names.len());
                for name in &names {
                    let i = find(&self.outputs, "output", name)?;
                    if outputs.contains(&i) {
                        return Err(Error::invalid(format!("output '{name}' is asked for twice")));
                    }
                    outputs.push(i);
                }
                outputs
            }
        };
        for &i in &outputs {
            if let Kind::Other(kind) = &self.outputs[i].kind {
                let name = &self.outputs[i].name;
                return Err(Error::unsupported(format!("output '{name}': expected a tensor, the model gives {kind}")));
            }
        }
        Ok(outputs)
    }
}

fn find(ports: &[Port], what: &str, name: &str) -> Result<usize> {
    ports.iter().position(|p| p.name == name).ok_or_else(|| {
        let names: Vec<&str> = ports.iter().map(|p| &*p.name).collect();
        Error::invalid(format!("{what} '{name}' is unknown: expected one of {names:?}"))
    })
}

fn fits<'a>(port: &'a Port, tensor: &Tensor, symbols: &mut HashMap<&'a str, usize>) -> Result<()> {
    let Kind::Tensor { dtype, shape } = &port.kind else {
        return Err(Error::unsupported(format!("input '{}': the model takes {}, not a tensor", port.name, port.kind)));
    };
    let misfit = |note: String| {
        let got = (tensor.dtype(), tensor.shape());
        Error::invalid(format!("input '{}': expected {}, got {}{}{note}", port.name, port.kind, got.0, got.1))
    };
    if tensor.dtype() != *dtype {
        return Err(misfit(String::new()));
    }
    if *dtype == DType::Bool {
        // Runtimes read a bool's byte as it is, and for most of them a 7 is undefined behaviour.
        tensor.as_slice::<bool>().map_err(|e| e.during(format!("reading input '{}'", port.name)))?;
    }
    let Some(dims) = shape else { return Ok(()) };
    if dims.len() != tensor.shape().rank() {
        return Err(misfit(format!(" (rank {}, not {})", tensor.shape().rank(), dims.len())));
    }
    for (dim, &got) in dims.iter().zip(tensor.shape().iter()) {
        match dim {
            Dim::Fixed(n) if *n != got => return Err(misfit(String::new())),
            Dim::Symbol(name) => {
                let bound = *symbols.entry(name).or_insert(got);
                if bound != got {
                    return Err(misfit(format!(" ({name} is {bound} in another dimension)")));
                }
            }
            Dim::Fixed(_) | Dim::Any => {}
        }
    }
    Ok(())
}
