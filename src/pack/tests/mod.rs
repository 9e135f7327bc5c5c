mod craft;
mod crash;
mod halves;
mod mixture;
mod range;
mod recurrent;

use std::fs;
use std::path::{Path, PathBuf};

use self::craft::{Craft, UNKNOWN, weight, weights};
use super::keys::*;
use super::*;
use crate::kernel::{BlockFormat, dequantize_into};
use crate::onnx::{self, BLOCKS_ENTRY, External, FLOAT, FLOAT16, Graph, NewNode, put};
use crate::source::{Access, GRAPH, Loading, OpenedFile, Source};
use crate::weights::WeightFile;
use crate::{Cancel, Code, Error, Result};

const INT64: i64 = 7;

/// y = (x · W) · Gᵀ + b, and rows of the table T.
fn model() -> Craft {
    let transposed =
        NewNode { op: "Gemm", inputs: &["h", "G", "b"], output: "y", ints: &[("transB", 1)], ..<_>::default() };
    Craft::new()
        .input("x", FLOAT, &[0, 64])
        .input("ids", INT64, &[0])
        .node("MatMul", &["x", "W"], "h")
        .node_with(transposed)
        .node("Gather", &["T", "ids"], "rows")
        .weight("W", &[64, 96], &weights(64 * 96))
        .weight("G", &[48, 96], &weights(48 * 96))
        .weight("T", &[50, 64], &weights(50 * 64))
        .weight("b", &[48], &weights(48))
        .output("y", &[0, 48])
        .output("rows", &[0, 64])
}

struct Packed {
    _folder: tempfile::TempDir,
    to: PathBuf,
    result: Result<PackReport>,
}

impl Packed {
    fn of(model: impl Into<Source>, packing: &Packing) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("packed");
        let result = pack(model, &to, packing, |_| {});
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), usize::from(result.is_ok()), "only a whole result is left behind: {left:?}");
        Self { _folder: folder, to, result }
    }

    fn report(&self) -> &PackReport {
        self.result.as_ref().expect("packs")
    }

    fn error(self) -> Error {
        self.result.expect_err("refused")
    }

    fn graph(&self) -> Vec<u8> {
        fs::read(self.to.join(GRAPH)).unwrap()
    }

    fn file(&self) -> WeightFile {
        WeightFile::open(self.to.join(WEIGHTS), Loading::Read).unwrap()
    }
}

/// What a tensor of the weight file says, without padding.
fn read(file: &WeightFile, name: &str, columns: usize) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    let mut values = vec![0.0; tensor.shape().elements()];
    dequantize_into(tensor.format().unwrap(), tensor.bytes(), &mut values).unwrap();
    values.chunks(tensor.row_len()).flat_map(|row| row[..columns].to_vec()).collect()
}

/// What a runtime is given of it.
fn given(packed: &Packed, runtime: Runtime) -> form::Packed {
    let opened = OpenedFile::open(Source::from(packed.to.join(GRAPH)), Access::new()).unwrap();
    let weights = Weights::open(&opened, Loading::Read, || Ok(()), |_, _| {}).unwrap().expect("it is packed");
    form::Packed::with(&weights, &opened, runtime).unwrap()
}

/// The numbers of a tensor in the arena.
fn in_arena(given: &form::Packed, name: &str) -> Vec<f32> {
    let graph = Graph::read(given.graph.as_slice()).unwrap();
    let tensor = graph.initializers.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no {name}"));
    let number = |key: &str| tensor.entry(key).unwrap().parse::<usize>().unwrap();
    let mut room = vec![0; number("length")];
    given.fill(number("offset") as u64, &mut room).unwrap();
    room.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// What was packed, and the blocks that it became.
fn formats(craft: &Craft, packing: &Packing) -> Vec<String> {
    let packed = Packed::of(craft.model(), packing);
    packed.report().packed.iter().map(|t| format!("{} {}", t.name, t.format)).collect()
}

fn kept<'r>(report: &'r PackReport, name: &str) -> &'r str {
    &report.kept.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("{name} was packed: {report:?}")).reason
}

#[test]
fn weights_become_blocks_along_the_dimension_that_is_summed_over() {
    for (scheme, format, most) in [(Scheme::Int4, "q4_0", 0.17), (Scheme::Int8, "q8_0", 0.005)] {
        let packed = Packed::of(model().model(), &Packing::new(scheme).mean_bits(4.5));
        let report = packed.report();
        let names: Vec<&str> = report.packed.iter().map(|t| &*t.name).collect();
        assert_eq!(names, ["W", "G", "T"]);
        let file = packed.file();
        // W is 64 by 96, and its columns are the rows of blocks.
        assert_eq!(file.tensor("W").unwrap().shape()[..], [96, 64]);
        let w = weights(64 * 96);
        let transposed: Vec<f32> = (0..96 * 64).map(|i| w[i % 64 * 96 + i / 64]).collect();
        for (name, columns, expected) in
            [("W", 64, &*transposed), ("G", 96, &*weights(48 * 96)), ("T", 64, &*weights(50 * 64))]
        {
            let got = read(&file, name, columns);
            let reported = report.packed.iter().find(|t| t.name == name).unwrap();
            let (mut worst, mut square, mut whole) = (0.0f64, 0.0, 0.0);
            for (w, r) in expected.chunks(32).zip(got.chunks(32)) {
                let error = w.iter().zip(r).map(|(w, r)| f64::from(w - r).abs()).fold(0.0, f64::max);
                worst = worst.max(error / w.iter().map(|w| f64::from(w.abs())).fold(0.0, f64::max));
                square += w.iter().zip(r).map(|(w, r)| f64::from(w - r).powi(2)).sum::<f64>();
                whole += w.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>();
            }
            assert!(
                (reported.worst_error - worst).abs() < 1e-6 && worst < most && worst > 0.0,
                "{name}: {reported:?} {worst}"
            );
            assert!((reported.relative_error - (square / whole).sqrt()).abs() < 1e-6, "{name}: {reported:?}");
            assert_eq!(reported.format, format);
        }
        assert_eq!(kept(report, "b"), "it has only 48 elements");
        let size = |name: &str| fs::metadata(packed.to.join(name)).unwrap().len();
        assert_eq!(report.after, size(GRAPH) + size(WEIGHTS));
        assert_eq!(report.before, model().model().len() as u64);
    }
}

#[test]
fn halves_are_plain_external_data_and_a_cast() {
    let packed = Packed::of(model().model(), &Packing::new(Scheme::F16));
    let bytes = packed.graph();
    let graph = Graph::read(&bytes).unwrap();
    let ops: Vec<&str> = graph.nodes.iter().map(|n| n.op).collect();
    // Weights are widened first; the table after its rows are picked.
    assert_eq!(ops, ["Cast", "Cast", "MatMul", "Gemm", "Gather", "Cast"]);
    assert_eq!((graph.nodes[4].inputs[0], graph.nodes[5].outputs[0]), ("T.f16", "rows"));
    let table = graph.initializers.iter().find(|t| t.name == "T.f16").unwrap();
    assert_eq!((table.element, &*table.dims), (FLOAT16, &[50, 64][..]));
    let declared = onnx::read(&bytes).unwrap();
    let opened = OpenedFile::open(Source::from(packed.to.join(GRAPH)), Access::new()).unwrap();
    let files = External::open_all(&declared.external, &opened, Loading::Read).unwrap();
    let place = declared.external.iter().find(|e| e.tensor == "T.f16").unwrap();
    assert_eq!(place.offset % 64, 0);
    let data = &files[WEIGHTS].as_slice()[place.offset as usize..][..place.length as usize];
    let mut got = vec![0.0; 50 * 64];
    dequantize_into(BlockFormat::F16, data, &mut got).unwrap();
    let halves = weights(50 * 64).iter().map(|w| half::f16::from_f32(*w).to_f32()).collect::<Vec<_>>();
    assert_eq!(got, halves);
}

#[test]
fn what_packing_has_no_business_with_stays() {
    let mut craft = model();
    put(&mut craft.fields, UNKNOWN, b"of the graph");
    let mut node = Vec::new();
    NewNode { op: "Neg", inputs: &["y"], output: "z", ..NewNode::default() }.put(&mut node);
    craft.fields.extend(&node);
    let packed = Packed::of(craft.model(), &Packing::new(Scheme::Int4));
    let bytes = packed.graph();
    let has = |what: &[u8]| bytes.windows(what.len()).any(|w| w == what);
    assert!(has(b"of the graph") && has(b"of the model") && has(&node) && has(&weight("b", &[48], &weights(48))));
    assert!(!has(&weights(108)[100..].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>()), "W is still there");
    let digest = crate::Digest(
        sha2::Digest::finalize(sha2::Digest::chain_update(
            <sha2::Sha256 as sha2::Digest>::new(),
            fs::read(packed.to.join(WEIGHTS)).unwrap(),
        ))
        .into(),
    );
    assert_eq!(onnx::metadata(&bytes, SHA256).unwrap(), Some(&*digest.to_string()));
    // It can be looked at, but no runtime gets it as it is.
    let error = onnx::read(&bytes).unwrap().refuse_blocks().unwrap_err();
    assert!(error.code() == Code::Corrupt && error.to_string().contains("is blocks"), "{error}");
}

#[test]
fn patterns_pick_tensors_by_their_names_and_readers() {
    let names = |packing: &Packing| formats(&model(), packing);
    let int4 = || Packing::new(Scheme::Int4).mean_bits(4.5);
    assert_eq!(names(&int4().only("MatMul")), ["W q4_0"]);
    assert_eq!(names(&int4().only("?").keep("G").keep("Gath*")), ["W q4_0"]);
    assert_eq!(names(&int4().finer("T").finer("Gemm")), ["W q4_0", "G q8_0", "T q8_0"]);
    assert_eq!(names(&Packing::new(Scheme::Int8).finer("T")), ["W q8_0", "G q8_0", "T f16"]);
    assert_eq!(names(&int4().min_elements(4608)), ["W q4_0", "G q4_0"]);
    let nothing = Packed::of(model().model(), &int4().only("nothing")).error();
    assert_eq!(nothing.code(), Code::Unsupported);
    assert!(nothing.to_string().contains("'W': no pattern of `only` matches it"), "{nothing}");
    // What no tensor goes by is reported; what one goes by is not, though it stays for another reason.
    let typing = int4().only("*").keep("MatMull").keep("b").finer("Convv").finer("MatMull");
    assert_eq!(Packed::of(model().model(), &typing).report().unmatched, ["MatMull", "Convv"]);
}

#[test]
fn nothing_to_pack_is_told_by_the_largest() {
    let mut craft = Craft::new().input("x", FLOAT, &[0, 64, 8, 8]).output("y", &[0, 64, 8, 8]);
    for name in ["a", "b", "c", "d", "e", "f"] {
        craft = craft.weight(name, &[32], &weights(32));
    }
    let craft = craft.node("Conv", &["x", "kernel"], "y").weight("kernel", &[64, 64, 3, 3], &weights(64 * 64 * 9));
    let error = Packed::of(craft.model(), &Packing::new(Scheme::Int4)).error();
    assert!(error.message().starts_with("there is nothing to pack: 'kernel': a Conv reads it"), "{error}");
    assert!(error.message().ends_with("; and 2 more"), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("nowhere/packed");
    let error = pack(model().model(), &to, &Packing::new(Scheme::Int8), |_| {}).unwrap_err();
    let nowhere = to.parent().unwrap().display();
    assert_eq!(error.code(), Code::NotFound);
    assert_eq!(error.message(), format!("{nowhere}: expected a folder to make 'packed' in, got none"));
}

#[test]
fn what_cannot_be_blocks_is_kept_with_the_reason() {
    let gemm = NewNode { op: "Gemm", inputs: &["x", "scaled"], output: "c", ints: &[("transA", 1)], ..<_>::default() };
    let odd = NewNode { op: "Gather", inputs: &["odd", "ids"], output: "d", ints: &[("axis", 1)], ..<_>::default() };
    let n = 64 * 64;
    let mut wild = weights(n);
    wild[5] = f32::INFINITY;
    let craft = model()
        .node("MatMul", &["left", "x"], "a")
        .node("MatMul", &["x", "both"], "b1")
        .node("Gather", &["both", "ids"], "b2")
        .node_with(gemm)
        .node_with(odd)
        .node("Mul", &["x", "added"], "e")
        .node("MatMul", &["x", "wild"], "f")
        .node("MatMul", &["x", "given"], "g")
        .node("MatMul", &["x", "thin"], "h1")
        .input("given", FLOAT, &[64, 64])
        .weight("given", &[64, 64], &weights(n))
        .weight("left", &[64, 64], &weights(n))
        .weight("both", &[64, 64], &weights(n))
        .weight("scaled", &[64, 64], &weights(n))
        .weight("odd", &[64, 64], &weights(n))
        .weight("added", &[64, 64], &weights(n))
        .weight("wild", &[64, 64], &wild)
        .weight("thin", &[4, 512], &weights(2048))
        .weight("unread", &[64, 64], &weights(n));
    let packed = Packed::of(craft.model(), &Packing::new(Scheme::Int4));
    let report = packed.report();
    for (name, why) in [
        ("left", "MatMul reads it as input 0"),
        ("both", "along different dimensions"),
        ("scaled", "alpha, beta or transA"),
        ("odd", "Gather reads it"),
        ("added", "Mul reads it"),
        ("wild", "finite"),
        ("given", "a caller may replace it"),
        ("thin", "rows of 4 do not fill blocks"),
        ("unread", "no operator reads it"),
    ] {
        assert!(kept(report, name).contains(why), "{name}: {}", kept(report, name));
    }
    assert_eq!(report.packed.len(), 3);
}

#[test]
fn a_constant_node_and_a_shared_tensor_are_packed_once() {
    let mut craft = model().node("MatMul", &["x", "W"], "again").node("MatMul", &["x", "K"], "z");
    let mut attribute = Vec::new();
    put(&mut attribute, 1, b"value");
    put(&mut attribute, 5, &weight("", &[64, 64], &weights(4096)));
    let mut node = Vec::new();
    put(&mut node, 2, b"K");
    put(&mut node, 4, b"Constant");
    put(&mut node, 5, &attribute);
    let mut graph = Vec::new();
    put(&mut graph, 1, &node);
    craft.fields = [graph, craft.fields].concat();
    let packed = Packed::of(craft.model(), &Packing::new(Scheme::Int8));
    let names: Vec<&str> = packed.report().packed.iter().map(|t| &*t.name).collect();
    assert_eq!(names, ["W", "G", "T", "K"]);
    let bytes = packed.graph();
    let graph = Graph::read(&bytes).unwrap();
    assert!(graph.nodes.iter().all(|node| node.op != "Constant"));
    assert_eq!(graph.initializers.iter().filter(|t| t.entry(BLOCKS_ENTRY).is_some()).count(), 4);
}

#[test]
fn inputs_of_old_files_that_are_constants_go() {
    let mut craft = model().input("W", FLOAT, &[64, 96]).input("b", FLOAT, &[48]);
    craft.ir = 3;
    let packed = Packed::of(craft.model(), &Packing::new(Scheme::Int4));
    assert_eq!(packed.report().packed.len(), 3);
    let bytes = packed.graph();
    let graph = Graph::read(&bytes).unwrap();
    assert_eq!(graph.ir_version, 4);
    assert_eq!(graph.inputs.iter().copied().collect::<Vec<_>>(), ["ids", "x"]);
}

#[test]
fn external_data_is_packed_or_brought_in() {
    let folder = tempfile::tempdir().unwrap();
    let data: Vec<u8> = weights(64 * 64 * 2).iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::write(folder.path().join("data.bin"), &data).unwrap();
    let craft = Craft::new()
        .input("x", FLOAT, &[0, 64])
        .node("MatMul", &["x", "W"], "h")
        .node("Mul", &["h", "M"], "y")
        .outside("W", &[64, 64], "data.bin", "0")
        .outside("M", &[64, 64], "data.bin", "16384")
        .output("y", &[0, 64]);
    let path = folder.path().join("m.onnx");
    fs::write(&path, craft.model()).unwrap();
    let packed = Packed::of(&path, &Packing::new(Scheme::Int8));
    let report = packed.report();
    assert_eq!(report.before, craft.model().len() as u64 + data.len() as u64);
    assert_eq!((&*report.packed[0].name, report.packed.len()), ("W", 1));
    let bytes = packed.graph();
    let graph = Graph::read(&bytes).unwrap();
    let brought = graph.initializers.iter().find(|t| t.name == "M").unwrap();
    assert_eq!(brought.float_bytes().as_deref(), Some(&data[16384..]));
    // Its data cannot be found from bytes alone.
    assert_eq!(Packed::of(craft.model(), &Packing::new(Scheme::Int8)).error().code(), Code::Unsupported);
}

#[test]
fn nothing_is_replaced_unless_told() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("packed");
    let run = |packing: &Packing| pack(model().model(), &to, packing, |_| {});
    let int4 = Packing::new(Scheme::Int4);
    run(&int4).unwrap();
    let before = fs::read(to.join(GRAPH)).unwrap();
    let error = run(&int4).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    assert_eq!(fs::read(to.join(GRAPH)).unwrap(), before);
    run(&Packing::new(Scheme::Int8).overwrite(true)).unwrap();
    assert_ne!(fs::read(to.join(GRAPH)).unwrap(), before);
    // A folder with something of someone else's in it.
    fs::write(to.join("notes.txt"), "mine").unwrap();
    let error = run(&int4.clone().overwrite(true)).unwrap_err();
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert_eq!(fs::read_to_string(to.join("notes.txt")).unwrap(), "mine");
    for source in [to.join(GRAPH), to] {
        let error = pack(&source, folder.path().join("twice"), &int4, |_| {}).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.to_string().contains("expected a model that is not packed yet"), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A container gives every run the same number.
#[test]
fn what_a_killed_process_of_the_same_number_left_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let left = ["part", "old"].map(|what| folder.path().join(format!(".packed.{}.{what}", std::process::id())));
    for path in &left {
        fs::create_dir(path).unwrap();
        fs::write(path.join(GRAPH), "half").unwrap();
    }
    for scheme in [Scheme::Int4, Scheme::Int8] {
        pack(model().model(), folder.path().join("packed"), &Packing::new(scheme).overwrite(true), |_| {}).unwrap();
    }
    assert!(left.iter().all(|path| fs::read(path.join(GRAPH)).unwrap() == b"half"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn progress_is_told_and_packing_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut reported = Vec::new();
    let int4 = Packing::new(Scheme::Int4);
    pack(model().model(), folder.path().join("a"), &int4, |p| {
        reported.push((p.tensor.map(String::from), p.done, p.total))
    })
    .unwrap();
    let total = 4 * (64 * 96 + 48 * 96 + 50 * 64);
    let name = |n: &str| Some(n.to_string());
    let steps = [(name("W"), 0, total), (name("G"), 24576, total), (name("T"), 43008, total), (None, total, total)];
    assert_eq!(reported, steps);
    let cancel = Cancel::new();
    let ended = pack(model().model(), folder.path().join("b"), &int4.cancel(&cancel), |p| {
        if p.tensor == Some("G") {
            cancel.cancel();
        }
    });
    assert_eq!(ended.unwrap_err().code(), Code::Cancelled);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written is left");
}

#[test]
fn odd_files_are_refused_and_never_more() {
    let refused = |bytes: Vec<u8>| Packed::of(bytes, &Packing::new(Scheme::Int4)).error().code();
    assert_eq!(refused(b"GGUF\x03\0\0\0".to_vec()), Code::Unsupported);
    assert_eq!(refused(b"It was a bright cold day in April".to_vec()), Code::Unsupported);
    assert_eq!(refused(Vec::new()), Code::Corrupt);
    let mut short = Craft::new().input("x", FLOAT, &[0, 64]).node("MatMul", &["x", "W"], "y").output("y", &[0, 64]);
    put(&mut short.fields, 5, &inline(&[64, 64]));
    assert_eq!(refused(short.model()), Code::Corrupt);
    let good = model().model();
    let folder = tempfile::tempdir().unwrap();
    for n in (0..good.len()).step_by(997) {
        let _ = pack(good[..n].to_vec(), folder.path().join("prefix"), &Packing::new(Scheme::Int4), |_| {});
    }
    // The bytes that are no weights.
    for i in (0..good.len()).filter(|i| *i < 300 || *i % 5003 == 0 || good.len() - i < 100) {
        let mut bad = good.clone();
        bad[i] ^= 1 << (i % 8);
        let _ = pack(bad, folder.path().join(i.to_string()), &Packing::new(Scheme::Int8), |_| {});
    }
}

/// `TensorProto` W without its data.
fn inline(dims: &[i64]) -> Vec<u8> {
    crate::onnx::inline_tensor("W", FLOAT, dims, &[])
}

#[test]
fn a_model_in_use_is_not_touched() {
    let rain = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart/rain.onnx");
    let before = fs::read(&rain).unwrap();
    let result = Packed::of(&rain, &Packing::new(Scheme::Int8).min_elements(1));
    match &result.result {
        Ok(report) => assert!(!report.packed.is_empty()),
        Err(e) => assert_eq!(e.code(), Code::Unsupported, "{e}"),
    }
    assert_eq!(fs::read(&rain).unwrap(), before);
}

#[test]
fn four_bits_lose_less_than_with_the_reference_scale() {
    // About normally distributed: sums of four.
    let n = 64 * 96;
    let uniform = weights(n * 4);
    let normal: Vec<f32> = (0..n).map(|i| uniform[i * 4..][..4].iter().sum::<f32>()).collect();
    let graph = Craft::new()
        .input("x", FLOAT, &[0, 96])
        .node_with(NewNode { op: "Gemm", inputs: &["x", "G"], output: "y", ints: &[("transB", 1)], ..<_>::default() })
        .weight("G", &[64, 96], &normal)
        .output("y", &[0, 64]);
    let packed = Packed::of(graph.model(), &Packing::new(Scheme::Int4));
    let square = |values: &[f32]| values.iter().zip(&normal).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    let mut blocks = vec![0; BlockFormat::Q4_0.bytes(n).unwrap()];
    crate::kernel::quantize_into(BlockFormat::Q4_0, &normal, &mut blocks).unwrap();
    let mut reference = vec![0.0; n];
    dequantize_into(BlockFormat::Q4_0, &blocks, &mut reference).unwrap();
    let (ours, reference) = (square(&read(&packed.file(), "G", 96)), square(&reference));
    assert!(ours < reference * 0.92, "{ours} {reference}");
    let reported = packed.report().packed[0].relative_error;
    assert!((reported - (ours / normal.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>()).sqrt()).abs() < 1e-6);
}
