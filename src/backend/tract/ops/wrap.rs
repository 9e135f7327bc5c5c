//! Operators of ours around tract's own: what all of them share.

use std::sync::LazyLock;

use tract_onnx::model::Onnx;

/// What an operator of ours shares with the one of tract's that it holds in a field, and stands for while a model is read:
/// its name, and that no two are the same.
macro_rules! stands_for {
    ($ours:ident, $field:tt) => {
        impl PartialEq for $ours {
            fn eq(&self, _: &Self) -> bool {
                false
            }
        }

        impl Eq for $ours {}

        impl Op for $ours {
            fn name(&self) -> StaticName {
                self.$field.name()
            }

            not_a_typed_op!();
        }

        impl EvalOp for $ours {
            not_out_of_plan!();
        }
    };
}

/// The facts as the wrapped operator infers them, for the impl of `InferenceOp`.
macro_rules! facts_as_wrapped {
    ($field:tt) => {
        fn infer_facts(
            &mut self,
            inputs: TVec<&InferenceFact>,
            outputs: TVec<&InferenceFact>,
            observed: TVec<&InferenceFact>,
        ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
            self.$field.infer_facts(inputs, outputs, observed)
        }
    };
}

pub(super) use {facts_as_wrapped, stands_for};

/// tract's own reader of ONNX.
pub(super) fn stock() -> &'static Onnx {
    static STOCK: LazyLock<Onnx> = LazyLock::new(tract_onnx::onnx);
    &STOCK
}
