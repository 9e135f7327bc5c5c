//! Requests that do not fit, or are not served: reported, and never bent or ignored.

use selvedge::{Call, Code, DType, Dim, Embed, Generate, Kind, Message, Port, Prompt, Request, Spec, Tensor, Tensors};

use crate::cases::Case;

fn refused(case: &Case, request: impl Into<Request>) -> (Code, String) {
    match case.engine.start(request.into(), Call::new()) {
        Ok(_) => panic!("it was admitted"),
        Err(error) => (error.code(), error.to_string()),
    }
}

type Change<'a> = dyn Fn(&mut Vec<(String, Tensor)>) + 'a;

pub(crate) fn wrong_tensors_are_told(case: &Case) {
    let Request::Tensors(good) = case.good() else { return };
    let invalid = |request: Tensors, named: &str| {
        let (code, message) = refused(case, request);
        assert_eq!(code, Code::InvalidArgument, "{message}");
        assert!(message.contains(&format!("'{named}'")), "{message}: does not name {named}");
    };
    let spec = case.engine.spec();
    for (i, port) in spec.inputs.iter().enumerate() {
        let name = &port.name;
        let changed = |change: &Change<'_>| {
            let mut request = good.clone();
            change(&mut request.inputs);
            request
        };
        let at = good.inputs.iter().position(|(n, _)| n == name).unwrap();
        let with = |tensor: Tensor| changed(&|inputs| inputs[at].1 = tensor.clone());
        invalid(changed(&|inputs| inputs[at].0 = "no such input".into()), "no such input");
        invalid(changed(&|inputs| drop(inputs.remove(at))), name);
        invalid(changed(&|inputs| inputs.push(inputs[at].clone())), name);
        let tensor = &good.inputs[at].1;
        invalid(with(Tensor::zeros(other_dtype(tensor.dtype()), tensor.shape()).unwrap()), name);
        let (rank, dims) = (tensor.shape().rank(), tensor.shape().to_vec());
        invalid(with(Tensor::zeros(tensor.dtype(), &[dims.clone(), vec![1]].concat()).unwrap()), name);
        if rank > 0 {
            invalid(with(Tensor::zeros(tensor.dtype(), &dims[1..]).unwrap()), name);
        }
        for axis in fixed(spec, i) {
            let mut dims = dims.clone();
            dims[axis] += 1;
            invalid(with(Tensor::zeros(tensor.dtype(), &dims).unwrap()), name);
        }
    }
    let first = spec.outputs[0].name.clone();
    invalid(good.clone().only(["no such output"]), "no such output");
    invalid(good.clone().only([first.clone(), first.clone()]), &first);
    case.serves();
}

fn other_dtype(dtype: DType) -> DType {
    if dtype == DType::F32 { DType::F64 } else { DType::F32 }
}

fn fixed(spec: &Spec, input: usize) -> Vec<usize> {
    let Port { kind: Kind::Tensor { shape: Some(dims), .. }, .. } = &spec.inputs[input] else { return vec![] };
    (0..dims.len()).filter(|axis| matches!(dims[*axis], Dim::Fixed(_))).collect()
}

pub(crate) fn what_is_not_served_is_unsupported(case: &Case) {
    let can = case.engine.spec().abilities;
    let x = Tensor::scalar(1.0f32);
    let kinds: [(bool, &str, Request); 5] = [
        (can.tensors, "tensors", Tensors::from([("x", x)]).into()),
        (can.generate, "text", Generate::text("a").into()),
        (can.generate, "token ids", Generate::new(Prompt::Tokens(vec![1])).into()),
        (can.generate && can.chat, "chat", Generate::chat([Message::user("a")]).into()),
        (can.embed, "embed", Embed::new(["a"]).into()),
    ];
    assert!(kinds.iter().any(|(served, ..)| *served), "an engine that serves nothing");
    for (served, kind, request) in kinds {
        if !served {
            let (code, message) = refused(case, request);
            assert_eq!(code, Code::Unsupported, "{kind}: {message}");
        } else if !matches!(request, Request::Tensors(_)) {
            let run = case.engine.start(request, Call::new()).unwrap_or_else(|e| panic!("{kind}: {e}"));
            drop(run);
        }
    }
    if can.embed {
        let (code, message) = refused(case, Embed::new::<&str>([]));
        assert_eq!(code, Code::InvalidArgument, "{message}");
    }
    case.serves();
}
