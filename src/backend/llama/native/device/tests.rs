//! Products by panels in llama.cpp's graphs, beside its own.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use super::packed::Matrix;
use super::{PackedWeights, is_registered};
use crate::Code;
use crate::backend::llama::native::context::{Batch, Context, Decoded, Shape};
use crate::backend::llama::native::file::{Input, Stream, Terms};
use crate::backend::llama::native::model::Model;
use crate::kernel::product::Panels;
use crate::kernel::{BlockFormat, quantize_into};
use crate::weights::tests::craft::File;

/// The formats that the tests can write, with the numbers of their types.
const FORMATS: [(BlockFormat, u32); 3] = [(BlockFormat::Q4_0, 2), (BlockFormat::Q4_1, 3), (BlockFormat::Q8_0, 8)];
const SEQUENCES: u32 = 4;

/// A model whose matrices are in a format.
fn file(seed: usize, format: BlockFormat, kind: u32) -> Vec<u8> {
    let mut file = File::complete(|i| (((i + seed) * 7919 + 13) % 101) as f32 / 250.0 - 0.2);
    for tensor in file.tensors_mut().iter_mut().filter(|tensor| tensor.dims.len() == 2) {
        let weights: Vec<f32> =
            tensor.fill.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect();
        tensor.fill = vec![0; format.bytes(weights.len()).unwrap()];
        quantize_into(format, &weights, &mut tensor.fill).unwrap();
        (tensor.kind, tensor.bytes) = (kind, tensor.fill.len());
    }
    file.bytes()
}

fn model(file: &[u8], products: bool) -> Arc<Model> {
    let input = Input::One(Stream::of_bytes(file).unwrap());
    Arc::new(Model::load(&input, Terms { products, ..Terms::default() }, &mut |_| true).unwrap())
}

fn context(model: &Arc<Model>, threads: u32) -> Context {
    let shape = Shape {
        tokens: 1024,
        batch: 128,
        sequences: SEQUENCES,
        outputs: SEQUENCES,
        embeddings: false,
        threads,
        made: 0,
        per_cell: 0,
        per_token: 0,
        attended_cell: 0,
    };
    Context::new(model.clone(), shape).unwrap()
}

/// A slice of a prompt in a sequence, from a position on.
fn slice(batch: &mut Batch, sequence: u32, from: usize, len: usize) {
    batch.clear();
    for position in from..from + len {
        batch.push(
            (position * 31 + position * position * 7) as u32 % 250,
            position,
            sequence,
            position + 1 == from + len,
        );
    }
}

/// The logits after a prompt of so many tokens.
fn logits(context: &mut Context, tokens: usize) -> Vec<f32> {
    let mut batch = Batch::default();
    slice(&mut batch, 0, 0, tokens);
    assert_eq!(context.decode(&mut batch).unwrap(), Decoded::Done);
    let logits = context.logits(tokens - 1).unwrap().to_vec();
    context.forget(0, 0);
    logits
}

/// Whether this processor has products of ours at all.
fn are_there() -> bool {
    if !Panels::are_used() {
        eprintln!("skipped: this processor's products are ggml's");
    }
    Panels::are_used()
}

/// The relative distance of two answers: of their difference, and of the first.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut a.iter().copied())
}

#[test]
fn prompts_are_near_those_of_ggml_and_on_any_threads_alike() {
    if !are_there() {
        return;
    }
    for (format, kind) in FORMATS {
        let file = file(1, format, kind);
        let expected = logits(&mut context(&model(&file, false), 1), 40);
        let ours = model(&file, true);
        let mut one = context(&ours, 1);
        let got = logits(&mut one, 40);
        // Of the first layer all, of the last one its attention: the rest is of the last token alone.
        assert_eq!(one.products(), Some((7 + 4, 2)), "{format}");
        let distance = distance(&expected, &got);
        // None in Q4_0: ggml packs those weights as well, and adds up in the same order.
        assert!(distance < 0.02, "{format}: {distance}");
        assert!(logits(&mut context(&ours, 2), 40) == got, "{format}: other bits on two threads");
    }
}

#[test]
fn next_tokens_are_those_of_ggml_however_many_come_together() {
    if !are_there() {
        return;
    }
    let ours = model(&file(1, BlockFormat::Q4_1, 3), true);
    let mut context = context(&ours, 2);
    let mut batch = Batch::default();
    for sequence in 0..SEQUENCES {
        slice(&mut batch, sequence, 0, 9 + sequence as usize);
        assert_eq!(context.decode(&mut batch).unwrap(), Decoded::Done);
    }
    let prompts = context.products();
    let next = |context: &mut Context, batch: &mut Batch, members: &[u32]| -> Vec<Vec<f32>> {
        batch.clear();
        members.iter().for_each(|&s| _ = batch.push(100 + s, 9 + s as usize, s, true));
        assert_eq!(context.decode(batch).unwrap(), Decoded::Done);
        let logits = (0..members.len()).map(|i| context.logits(i).unwrap().to_vec()).collect();
        context.rewind(batch).unwrap();
        logits
    };
    let alone: Vec<Vec<f32>> = (0..SEQUENCES).flat_map(|s| next(&mut context, &mut batch, &[s])).collect();
    assert!(next(&mut context, &mut batch, &[0, 1, 2, 3]) == alone);
    assert_eq!(context.products(), prompts, "of next tokens there are none");
    // As many tokens of one prompt, between rounds of as many next tokens: no graph is used for the other kind.
    let slice_of_four = |context: &mut Context, batch: &mut Batch| {
        slice(batch, 0, 9, 4);
        assert_eq!(context.decode(batch).unwrap(), Decoded::Done);
        let logits = context.logits(3).unwrap().to_vec();
        context.rewind(batch).unwrap();
        logits
    };
    let before = context.products().unwrap();
    let first = slice_of_four(&mut context, &mut batch);
    assert_eq!(context.products(), Some((before.0 + 11, before.1 + 2)));
    assert!(next(&mut context, &mut batch, &[0, 1, 2, 3]) == alone);
    assert!(slice_of_four(&mut context, &mut batch) == first);
    assert_eq!(context.products(), Some((before.0 + 22, before.1 + 4)));
}

/// Given up at any question, in products, in attention and between them, a prompt is computed again as if it had not been.
#[test]
fn a_prompt_is_given_up_at_any_question() {
    if !are_there() {
        return;
    }
    let ours = model(&file(1, BlockFormat::Q8_0, 8), true);
    let expected = logits(&mut context(&ours, 1), 100);
    for threads in [1, 2] {
        let mut context = context(&ours, threads);
        let asked = Rc::new(Cell::new(0));
        let counting = asked.clone();
        context.watch(move || {
            counting.set(counting.get() + 1);
            false
        });
        assert!(logits(&mut context, 100) == expected);
        let questions = asked.get();
        assert!(questions > 30, "{questions}");
        let (mut batch, mut given_up) = (Batch::default(), 0);
        for at in 0..questions {
            let left = Rc::new(Cell::new(at));
            let counting = left.clone();
            context.watch(move || {
                counting.set(counting.get() - 1);
                counting.get() < 0
            });
            slice(&mut batch, 0, 0, 100);
            match context.decode(&mut batch).unwrap() {
                Decoded::GivenUp => given_up += 1,
                // What a second thread does is not asked about.
                ended => assert!(
                    ended == Decoded::Done && threads == 2 && left.get() >= 0,
                    "{ended:?} at question {at} of {questions}"
                ),
            }
            context.rewind(&batch).unwrap();
            context.watch(|| false);
            assert!(logits(&mut context, 100) == expected, "after question {at}");
        }
        assert!(given_up > 30, "{given_up}");
    }
}

/// Models come and go at the same addresses; each is computed with its own weights.
#[test]
fn packed_weights_are_freed_with_their_model() {
    if !are_there() {
        return;
    }
    let files = [1, 2].map(|seed| file(seed, BlockFormat::Q4_0, 2));
    let mut expected: [Option<Vec<f32>>; 2] = [None, None];
    for round in 0..20 {
        for (file, expected) in files.iter().zip(&mut expected) {
            let model = model(file, true);
            let packed: Weak<PackedWeights> = Arc::downgrade(model.packed().unwrap());
            let got = logits(&mut context(&model, 1), 30);
            assert!(model.has_products() && packed.strong_count() > 0);
            assert!(*expected.get_or_insert_with(|| got.clone()) == got, "round {round}");
            drop(model);
            assert_eq!(packed.strong_count(), 0, "round {round}");
        }
    }
    assert!(expected[0] != expected[1]);
}

/// Each is packed once, whatever contexts there are.
#[test]
fn contexts_of_a_model_share_its_packed_weights() {
    if !are_there() {
        return;
    }
    let ours = model(&file(1, BlockFormat::Q4_0, 2), true);
    let packed = ours.packed().unwrap();
    assert_eq!(packed.count(), 0, "nothing is packed before it is known what is used");
    let (mut first, mut second) = (context(&ours, 1), context(&ours, 1));
    assert_eq!(packed.count(), 7 + 4);
    assert!(logits(&mut first, 30) == logits(&mut second, 30));
}

#[test]
fn without_products_the_device_is_idle() {
    let theirs = model(&file(1, BlockFormat::Q4_0, 2), false);
    let mut context = context(&theirs, 1);
    logits(&mut context, 30);
    assert!(context.products().is_none() && theirs.packed().is_none() && !theirs.has_products());
    assert_eq!(is_registered(), Panels::are_used());
}

/// Nothing is packed then, now or later: the answers of a model don't change with the memory that there is.
#[test]
fn without_room_for_the_first_matrices_there_are_none() {
    if !are_there() {
        return;
    }
    let huge = Matrix { address: 64, format: BlockFormat::Q8_0, rows: 1 << 40, cols: 1 << 12 };
    let blocks = vec![0u8; BlockFormat::Q8_0.bytes(32).unwrap()];
    let small = Matrix { address: blocks.as_ptr().expose_provenance(), format: BlockFormat::Q8_0, rows: 1, cols: 32 };
    let packed = PackedWeights::default();
    assert_eq!(packed.take(HashSet::from([small, huge]), 1).err().unwrap().code(), Code::OutOfMemory);
    assert!(packed.take(HashSet::from([small]), 1).unwrap().is_empty() && !packed.is_used());
    // Where some are packed already, they stay.
    let packed = PackedWeights::default();
    assert_eq!(packed.take(HashSet::from([small]), 1).unwrap().len(), 1);
    assert_eq!(packed.take(HashSet::from([small, huge]), 1).err().unwrap().code(), Code::OutOfMemory);
    assert_eq!((packed.take(HashSet::from([small]), 1).unwrap().len(), packed.count()), (1, 1));
}
