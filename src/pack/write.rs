//! The folder of a packed model: weight file and slim graph, written aside and published at once.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use super::graph::Slim;
use super::keys::{VERSION, WEIGHTS, power};
use super::model::Model;
use super::options::{KeptTensor, PackProgress, PackReport, PackedTensor, Packing, Scheme};
use super::range::exponent;
use super::select::{Plan, Stays, survey, unmatched};
use super::{encode, mixture};
use crate::digest::{Digest, Hasher};
use crate::disk::{Disk, Entry, Folder, NewFile, NewFolder};
use crate::engine::Call;
use crate::kernel::BlockFormat;
use crate::onnx::{self, External, Graph, unique};
use crate::source::{Access, GRAPH, OpenedFile, Source, model_of};
use crate::weights::{Beginning, GgufWriter, TensorType, foreign_format};
use crate::{Code, Error, Result};

/// Of every tensor in the weight file: what kernels, and runtimes that use it in place, like best.
const ALIGNMENT: u32 = 64;
/// The most bytes of a tensor's name in GGUF.
const MAX_NAME_BYTES: usize = 63;
/// Since this operator set `Mul` takes a number for all of a tensor.
const BROADCAST: i64 = 7;
/// How many killed processes of one number may have left a folder beside the same model.
const MAX_LEFT: u32 = 1000;

/// Packs an ONNX model into a new folder `to`, and tells `progress` how far it is. For a folder, the `model.onnx` in it
/// is packed.
///
/// The folder appears when it is complete: it is written under another name beside, made durable, and moved. A process
/// that is killed leaves nothing of that name, or what was there before, or all of it; what it was writing stays beside as
/// `.NAME.PROCESS.part`, and no other run touches it. Killed between the two moves of a replacement it leaves the model
/// that was there as `.NAME.PROCESS.old`. Folder and files are for their owner alone (0700, 0600).
///
/// # Errors
///
/// `InvalidArgument` if `to` exists ([`Packing::overwrite`]), the model is packed, or [`Packing::mean_bits`] is
/// less than 4.5; `NotFound` for a model, or a folder for `to` to be in, that is not there; `Corrupt` for a file that
/// is no valid ONNX model; `Unsupported` for GGUF, for a model in which there is nothing to pack, for external data in
/// sub-graphs, and if the graph exceeds 2 GiB without its packed weights; `Io`, `Cancelled`.
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("selvedge-doc-pack-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// use selvedge::pack::{Packing, Scheme, pack};
/// let packing = Packing::new(Scheme::Int8).min_elements(1);
/// let report = pack("examples/quickstart/rain.onnx", folder.join("rain"), &packing, |_| {});
/// # match report {
/// #     Err(e) if e.code() == selvedge::Code::Unsupported => {}
/// #     report => { report?; }
/// # }
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack(
    source: impl Into<Source>,
    to: impl AsRef<Path>,
    packing: &Packing,
    mut progress: impl FnMut(PackProgress<'_>),
) -> Result<PackReport> {
    let model = model_of(source.into(), Access::new())?;
    let name = model.name.clone();
    let to = to.as_ref();
    // A path that ends without a name is refused, as the folder that it is or as one that cannot be made.
    let (mut disk, folder) = Folder::around(to).unwrap_or_else(|| (Folder::new(to.into()), String::new()));
    let mut place = Place { disk: &mut disk, name: folder, path: to };
    pack_model(&model, &mut place, packing, &mut progress)
        .map_err(|e| e.during(format!("packing '{name}' into {}", to.display())))
}

/// Where the folder is to be.
pub(super) struct Place<'d> {
    pub(super) disk: &'d mut dyn Disk,
    pub(super) name: String,
    /// For errors.
    pub(super) path: &'d Path,
}

pub(super) fn pack_model(
    model: &OpenedFile,
    to: &mut Place<'_>,
    packing: &Packing,
    progress: &mut dyn FnMut(PackProgress<'_>),
) -> Result<PackReport> {
    let bytes = model.bytes.as_slice();
    expect_onnx(bytes)?;
    let graph = Graph::read(bytes)?;
    if graph.metadata.iter().any(|(key, _)| *key == VERSION) {
        return Err(Error::invalid("expected a model that is not packed yet"));
    }
    to.refuse(packing.overwrite)?;
    let declared = onnx::read(bytes)?;
    declared.refuse_blocks()?;
    let external = External::open_all(&declared.external, model, Default::default())?;
    let before = bytes.len() as u64 + external.values().map(|bytes| bytes.as_slice().len() as u64).sum::<u64>();
    let model = Model { bytes, name: &model.name, before, graph, external, outside: declared.external.len() };
    model.pack(to, packing, progress)
}

fn expect_onnx(bytes: &[u8]) -> Result<()> {
    if onnx::looks_like_onnx(bytes) {
        return Ok(());
    }
    if let Some(got) = foreign_format(bytes) {
        return Err(Error::unsupported(format!("expected an ONNX model, got {got}")));
    }
    let got = match Beginning::of(bytes) {
        Beginning::Empty => return Err(Error::corrupt("expected an ONNX model, got an empty file")),
        Beginning::Gguf | Beginning::BigEndianGguf => "GGUF",
        Beginning::Safetensors | Beginning::Index => "safetensors",
        Beginning::Other => "a file of another format",
    };
    Err(Error::unsupported(format!("expected an ONNX model, got {got}")))
}

impl<'a> Model<'a> {
    /// Packs it into the folder `to`.
    fn pack(
        &self,
        to: &mut Place<'_>,
        packing: &Packing,
        progress: &mut dyn FnMut(PackProgress<'_>),
    ) -> Result<PackReport> {
        let (plans, stays) = self.plan(packing)?;
        let to_path = to.path;
        let part = to.part()?;
        let beside = to.path.with_file_name(&part);
        let mut folder = NewFolder::create(to.disk, &to.name, &part).map_err(|e| Error::io(beside.display(), e))?;
        let call = call_of(packing);
        let written = self.write_blocks(&plans, &mut folder, &beside.join(WEIGHTS), packing, &call, progress)?;
        let Written { packed, begins, bytes, digest } = written;
        let graph = Slim { model: self, plans: &plans, packed: &packed, stays: &stays, begins: &begins }
            .write(packing.scheme, digest)?;
        let name = folder.inside(GRAPH);
        let put = folder.disk.append(&name, &graph, true).and_then(|()| folder.disk.sync(&name));
        put.map_err(|e| Error::io(beside.join(GRAPH).display(), e))?;
        let after = graph.len() as u64 + bytes;
        call.check()?;
        let old = Place { disk: &mut *folder.disk, name: to.name.clone(), path: to_path }.old(packing.overwrite)?;
        folder.publish(old.as_deref()).map_err(|(name, e)| {
            let path = if name == to.name { to_path.into() } else { to_path.with_file_name(name) };
            Error::io(path.display(), e)
        })?;
        let kept = stays.into_iter().map(|Stays { tensor, why }| KeptTensor {
            name: tensor.name.into(),
            bytes: tensor.check().unwrap_or(0),
            reason: why,
        });
        let unmatched = unmatched(&self.graph, packing)?;
        Ok(PackReport { scheme: packing.scheme, before: self.before, after, packed, kept: kept.collect(), unmatched })
    }

    fn plan(&self, packing: &Packing) -> Result<(Vec<Plan<'a>>, Vec<Stays<'a>>)> {
        let (planned, mut stays) = survey(&self.graph, packing)?;
        let outside =
            planned.iter().map(|p| &p.tensor).chain(stays.iter().map(|s| &s.tensor)).filter(|t| t.is_external);
        if outside.count() != self.outside {
            return Err(Error::unsupported("expected external data in the outermost graph only"));
        }
        // Every weight is read here and again when it is encoded: the mixture, and the head of the weight file, have to
        // know all that is packed before the first block is written.
        let mut plans = Vec::with_capacity(planned.len());
        let call = call_of(packing);
        for plan in planned {
            call.check()?;
            match self.fitted(plan)? {
                Ok(plan) => plans.push(plan),
                Err(kept) => stays.push(kept),
            }
        }
        if packing.scheme == Scheme::Int4 {
            mixture::mix(&mut plans, &self.graph, packing)?;
            for plan in plans.iter_mut().filter(|plan| plan.format == BlockFormat::Q8_0) {
                // Another format may call for another exponent; if none serves it, the one that was planned does.
                match exponent(plan, &self.data(&plan.tensor)?) {
                    Ok(exponent) => plan.exponent = exponent,
                    Err(_) => plan.format = BlockFormat::Q4_0,
                }
            }
        }
        if plans.is_empty() { Err(nothing(stays, self.before)) } else { Ok((plans, stays)) }
    }

    /// The plan with the exponent that its weights need; or why they stay.
    fn fitted(&self, mut plan: Plan<'a>) -> Result<Result<Plan<'a>, Stays<'a>>> {
        let found = exponent(&plan, &self.data(&plan.tensor)?);
        let why = match found {
            Ok(exponent) if exponent != 0 && plan.format == BlockFormat::F16 && self.graph.opset < BROADCAST => {
                format!(
                    "its weights are out of the range of f16, and operator set {} cannot scale them",
                    self.graph.opset
                )
            }
            Ok(exponent) => {
                plan.exponent = exponent;
                return Ok(Ok(plan));
            }
            Err(why) => why,
        };
        Ok(Err(Stays { tensor: plan.tensor, why }))
    }

    fn write_blocks(
        &self,
        plans: &[Plan<'a>],
        folder: &mut NewFolder<'_>,
        path: &Path,
        packing: &Packing,
        call: &Call,
        progress: &mut dyn FnMut(PackProgress<'_>),
    ) -> Result<Written> {
        let mut writer = GgufWriter::new();
        writer.set("general.architecture", "onnx")?.set("general.name", self.name)?;
        writer.set("general.alignment", ALIGNMENT)?.set("selvedge.packed.scheme", packing.scheme.name())?;
        let names = stored_names(plans);
        for (plan, name) in plans.iter().zip(&names) {
            let tensor_type = match plan.format {
                BlockFormat::Q4_0 => TensorType::Q4_0,
                BlockFormat::Q8_0 => TensorType::Q8_0,
                _ => TensorType::F16,
            };
            writer.tensor(name, &plan.stored_dims(), tensor_type)?;
        }
        let io = |e| Error::io(path.display(), e);
        let (name, part) = (folder.inside(WEIGHTS), folder.inside(&format!(".{WEIGHTS}.part")));
        let file = NewFile::create(&mut *folder.disk, &name, &part).map_err(io)?;
        let mut data = writer.write_into(Hashing { out: file, hash: Hasher::default() }, path)?;
        let total = plans.iter().map(|plan| plan.tensor.check()).sum::<Result<u64>>()?;
        let (mut done, mut packed, mut begins) = (0, Vec::with_capacity(plans.len()), Vec::with_capacity(plans.len()));
        for (plan, stored) in plans.iter().zip(names) {
            call.check()?;
            let name = plan.tensor.name;
            progress(PackProgress { tensor: Some(name), done, total });
            let weights = self.data(&plan.tensor)?;
            let (blocks, loss) =
                encode::encode(plan, &weights).map_err(|e| e.during(format!("packing tensor '{name}'")))?;
            begins.push(data.written());
            data.write(&blocks)?;
            let before = plan.tensor.check()?;
            done += before;
            let operators: BTreeSet<&str> = plan.uses.iter().map(|(i, _)| self.graph.nodes[*i].op).collect();
            packed.push(PackedTensor {
                name: name.into(),
                stored,
                dims: plan.dims.clone(),
                format: plan.format.name(),
                operators: operators.into_iter().map(String::from).collect(),
                before,
                after: blocks.len() as u64,
                scale: power(plan.exponent),
                worst_error: loss.worst,
                row_error: loss.row,
                relative_error: loss.relative(),
            });
        }
        // Between the tensors and the end of the file is padding.
        let (Hashing { out, hash }, bytes) = data.end()?;
        out.publish().map_err(io)?;
        progress(PackProgress { tensor: None, done, total });
        Ok(Written { packed, begins, bytes, digest: hash.digest() })
    }
}

fn call_of(packing: &Packing) -> Call {
    Call { cancel: packing.cancel.clone(), ..Call::default() }
}

/// What is said of a model of so many bytes, of which everything stays.
fn nothing(mut stays: Vec<Stays<'_>>, model: u64) -> Error {
    let bytes = |s: &Stays<'_>| s.tensor.check().unwrap_or(0);
    // What would have been worth it stands first.
    stays.sort_by_key(|s| std::cmp::Reverse(bytes(s)));
    let mut why: Vec<String> = stays.iter().map(|s| format!("'{}': {}", s.tensor.name, s.why)).collect();
    if why.len() > 5 {
        let more = why.len() - 5;
        why.truncate(5);
        why.push(format!("and {more} more"));
    }
    if why.is_empty() {
        why.push("it has no weights in its outermost graph".into());
    } else if stays.iter().map(bytes).sum::<u64>() < model / 2 {
        why.insert(0, "most of its bytes lie in sub-graphs, or are no weights".into());
    }
    Error::unsupported(format!("there is nothing to pack: {}", why.join("; ")))
}

/// The weight file, once it is written.
struct Written {
    packed: Vec<PackedTensor>,
    /// Where each of them begins.
    begins: Vec<u64>,
    bytes: u64,
    digest: Digest,
}

/// Hashes what it writes.
struct Hashing<W> {
    out: W,
    hash: Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Plan<'_> {
    /// The dimensions in the weight file.
    fn stored_dims(&self) -> Vec<usize> {
        let (rows, _, padded) = self.rows();
        if self.format == BlockFormat::F16 && self.dims.len() <= 4 {
            return self.dims.iter().map(|d| *d as usize).collect();
        }
        vec![rows, padded]
    }
}

/// Names for the weight file, which has less room for them than a graph.
fn stored_names(plans: &[Plan<'_>]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let fits = |name: &str| (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.contains('\0');
    let name = |(i, plan): (usize, &Plan<'_>)| match plan.tensor.name {
        name if fits(name) => unique(&mut taken, name),
        _ => unique(&mut taken, &format!("tensor.{i}")),
    };
    plans.iter().enumerate().map(name).collect()
}

impl Place<'_> {
    /// Fails if a packed model cannot take this place.
    fn refuse(&mut self, overwrite: bool) -> Result<()> {
        let path = self.path.display();
        let io = |e| Error::io(path.to_string(), e);
        match self.disk.find(&self.name).map_err(io)? {
            None => return Ok(()),
            Some(Entry::Folder) if overwrite => {}
            Some(_) => return Err(Error::invalid(format!("{path}: expected no such file or folder, got one"))),
        }
        let names = self.disk.list(&self.name).map_err(io)?;
        match names.iter().find(|name| *name != GRAPH && *name != WEIGHTS) {
            None => Ok(()),
            Some(name) => Err(Error::invalid(format!(
                "{path}: expected nothing but {GRAPH} and {WEIGHTS} in a folder that is to be replaced, got '{name}'"
            ))),
        }
    }

    /// The name that the folder has until it is complete.
    fn part(&mut self) -> Result<String> {
        if self.disk.find("").ok().flatten() != Some(Entry::Folder) {
            let (parent, name) = (parent(self.path).display(), &self.name);
            return Err(Error::new(
                Code::NotFound,
                format!("{parent}: expected a folder to make '{name}' in, got none"),
            ));
        }
        self.unused("part")
    }

    /// The name for what is replaced, if anything is.
    fn old(&mut self, overwrite: bool) -> Result<Option<String>> {
        self.refuse(overwrite)?;
        let old = self.unused("old")?;
        let there = self.disk.find(&self.name).map_err(|e| Error::io(self.path.display(), e))?;
        Ok(there.map(|_| old))
    }

    /// A hidden name beside it that nothing has: of this process, and not of what processes of the same number have left.
    fn unused(&mut self, what: &str) -> Result<String> {
        let (path, name) = (self.path.display(), &self.name);
        if name.is_empty() {
            return Err(Error::invalid(format!("{path}: expected the path of a new folder")));
        }
        for attempt in 0..=MAX_LEFT {
            let again = if attempt == 0 { String::new() } else { format!("-{attempt}") };
            let hidden = format!(".{name}.{}{again}.{what}", std::process::id());
            if !matches!(self.disk.find(&hidden), Ok(Some(_))) {
                return Ok(hidden);
            }
        }
        Err(Error::new(Code::Busy, format!("{path}: expected a name beside it that is free")))
    }
}

fn parent(to: &Path) -> &Path {
    to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
