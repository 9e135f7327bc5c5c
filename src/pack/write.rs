//! The folder of a packed model: weight file and slim graph, written aside and published at once.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::graph::Slim;
use super::keys::{VERSION, WEIGHTS};
use super::model::Model;
use super::options::{KeptTensor, PackProgress, PackReport, PackedTensor, Packing, Scheme};
use super::select::{Plan, Stays, survey, unmatched};
use super::{encode, mixture};
use crate::digest::Digest;
use crate::engine::Call;
use crate::kernel::BlockFormat;
use crate::onnx::{self, External, Graph, unique};
use crate::source::{Access, GRAPH, Map, OpenedFile, Source, model_of};
use crate::tensor::Bytes;
use crate::weights::{Beginning, GgufWriter, TensorType, WeightFile};
use crate::{Code, Error, Result};

/// Of every tensor in the weight file: what kernels, and runtimes that use it in place, like best.
const ALIGNMENT: u32 = 64;
/// The most bytes of a tensor's name in GGUF.
const LONGEST_NAME: usize = 63;
/// How many killed processes of one number may have left a folder beside the same model.
const MOST_LEFT: u32 = 1000;

/// Packs an ONNX model into a new folder `to`, and tells `progress` how far it is. For a folder, the `model.onnx` in it
/// is packed.
///
/// The folder appears when it is complete: it is written under another name beside, made durable, and moved. A process
/// that is killed leaves nothing of that name, or what was there before, or all of it; what it was writing stays beside as
/// `.NAME.PROCESS.part`, and no other run touches it. Killed between the two moves of a replacement it leaves the model
/// that was there as `.NAME.PROCESS.old`.
///
/// Errors: `InvalidArgument` if `to` exists ([`Packing::overwrite`]), the model is packed, or [`Packing::mean_bits`] is
/// less than 4.5; `NotFound` for a model, or a folder for `to` to be in, that is not there; `Corrupt` for a file that
/// is no valid ONNX model; `Unsupported` for GGUF, for a model in which there is nothing to pack, for external data in
/// sub-graphs, and if the graph exceeds 2 GiB without its packed weights; `Io`, `Cancelled`.
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
    pack_model(&model, to, packing, &mut progress)
        .map_err(|e| e.during(format!("packing '{name}' into {}", to.display())))
}

fn pack_model(
    model: &OpenedFile,
    to: &Path,
    packing: &Packing,
    progress: &mut dyn FnMut(PackProgress<'_>),
) -> Result<PackReport> {
    let bytes = model.bytes.as_slice();
    expect_onnx(bytes)?;
    let graph = Graph::read(bytes)?;
    if graph.metadata.iter().any(|(key, _)| *key == VERSION) {
        return Err(Error::invalid("expected a model that is not packed yet"));
    }
    refuse(to, packing.overwrite)?;
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
    pub(super) fn pack(
        &self,
        to: &Path,
        packing: &Packing,
        progress: &mut dyn FnMut(PackProgress<'_>),
    ) -> Result<PackReport> {
        let (plans, stays) = self.plan(packing)?;
        let folder = Folder::beside(to)?;
        let call = Call { cancel: packing.cancel.clone(), ..Call::default() };
        let packed = self.write_blocks(&plans, &folder.path.join(WEIGHTS), packing, &call, progress)?;
        let file = WeightFile::open(folder.path.join(WEIGHTS), Map::Mapped)?;
        let digest = Digest::of_parts(file.files().iter().map(Bytes::as_slice), || call.check(), |_, _| {})?;
        let graph = Slim { model: self, plans: &plans, packed: &packed, stays: &stays, file: &file }
            .write(packing.scheme, digest)?;
        let graph_path = folder.path.join(GRAPH);
        put(&graph_path, &graph).map_err(|e| Error::io(graph_path.display(), e))?;
        let after = graph.len() as u64 + file.files().iter().map(|bytes| bytes.as_slice().len() as u64).sum::<u64>();
        drop(file);
        call.check()?;
        folder.publish(to, packing.overwrite)?;
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
        for plan in planned {
            if encode::fits(&self.data(&plan.tensor)?) {
                plans.push(plan);
            } else {
                let why = "expected finite weights within ±65504, the range of f16".into();
                stays.push(Stays { tensor: plan.tensor, why });
            }
        }
        if plans.is_empty() {
            // What would have been worth it stands first.
            stays.sort_by_key(|s| std::cmp::Reverse(s.tensor.check().unwrap_or(0)));
            let mut why: Vec<String> = stays.iter().map(|s| format!("'{}': {}", s.tensor.name, s.why)).collect();
            if why.len() > 5 {
                let more = why.len() - 5;
                why.truncate(5);
                why.push(format!("and {more} more"));
            }
            return Err(Error::unsupported(format!("there is nothing to pack: {}", why.join("; "))));
        }
        if packing.scheme == Scheme::Int4 {
            mixture::mix(&mut plans, &self.graph, packing)?;
        }
        Ok((plans, stays))
    }

    fn write_blocks(
        &self,
        plans: &[Plan<'a>],
        to: &Path,
        packing: &Packing,
        call: &Call,
        progress: &mut dyn FnMut(PackProgress<'_>),
    ) -> Result<Vec<PackedTensor>> {
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
        let mut data = writer.create(to)?;
        let total = plans.iter().map(|plan| plan.tensor.check()).sum::<Result<u64>>()?;
        let (mut done, mut packed) = (0, Vec::with_capacity(plans.len()));
        for (plan, stored) in plans.iter().zip(names) {
            call.check()?;
            let name = plan.tensor.name;
            progress(PackProgress { tensor: Some(name), done, total });
            let weights = self.data(&plan.tensor)?;
            let (blocks, loss) =
                encode::encode(plan, &weights).map_err(|e| e.during(format!("packing tensor '{name}'")))?;
            data.write(&blocks)?;
            done += weights.len() as u64;
            let operators: BTreeSet<&str> = plan.uses.iter().map(|(i, _)| self.graph.nodes[*i].op).collect();
            packed.push(PackedTensor {
                name: name.into(),
                stored,
                dims: plan.dims.clone(),
                format: plan.format.name(),
                operators: operators.into_iter().map(String::from).collect(),
                before: weights.len() as u64,
                after: blocks.len() as u64,
                worst_error: loss.worst,
                relative_error: loss.relative(),
            });
        }
        data.finish()?;
        progress(PackProgress { tensor: None, done, total });
        Ok(packed)
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
    let fits = |name: &str| (1..=LONGEST_NAME).contains(&name.len()) && !name.contains('\0');
    let name = |(i, plan): (usize, &Plan<'_>)| match plan.tensor.name {
        name if fits(name) => unique(&mut taken, name),
        _ => unique(&mut taken, &format!("tensor.{i}")),
    };
    plans.iter().enumerate().map(name).collect()
}

fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Fails if a packed model cannot become `to`.
pub(super) fn refuse(to: &Path, overwrite: bool) -> Result<()> {
    let io = |e| Error::io(to.display(), e);
    match to.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io(e)),
        Ok(meta) if !overwrite || !meta.is_dir() => {
            return Err(Error::invalid(format!("{}: expected no such file or folder, got one", to.display())));
        }
        Ok(_) => {}
    }
    for entry in fs::read_dir(to).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if name != GRAPH && name != WEIGHTS {
            return Err(Error::invalid(format!(
                "{}: expected nothing but {GRAPH} and {WEIGHTS} in a folder that is to be replaced, got '{}'",
                to.display(),
                name.to_string_lossy()
            )));
        }
    }
    Ok(())
}

/// A folder under another name, until it is complete. Removed if it never is; a process that is killed leaves it there,
/// and the next one takes another name.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn beside(to: &Path) -> Result<Self> {
        let parent = parent(to);
        if !parent.is_dir() {
            let (parent, name) = (parent.display(), to.file_name().unwrap_or_default().to_string_lossy());
            return Err(Error::new(
                Code::NotFound,
                format!("{parent}: expected a folder to make '{name}' in, got none"),
            ));
        }
        let path = unused(to, "part")?;
        fs::create_dir(&path).map_err(|e| Error::io(path.display(), e))?;
        Ok(Self { path })
    }

    fn publish(self, to: &Path, overwrite: bool) -> Result<()> {
        let io = |e| Error::io(to.display(), e);
        // Whoever sees the folder under its new name finds both files in it.
        sync(&self.path).map_err(|e| Error::io(self.path.display(), e))?;
        refuse(to, overwrite)?;
        let old = unused(to, "old")?;
        let replaces = to.exists();
        if replaces {
            fs::rename(to, &old).map_err(io)?;
        }
        if let Err(e) = fs::rename(&self.path, to) {
            if replaces {
                // The error that counts is the first.
                let _ = fs::rename(&old, to);
            }
            return Err(io(e));
        }
        sync(parent(to)).map_err(io)?;
        if replaces {
            fs::remove_dir_all(&old).map_err(|e| Error::io(old.display(), e))?;
        }
        Ok(())
    }
}

/// Makes the names in a folder durable. Windows has no such thing to sync.
fn sync(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

impl Drop for Folder {
    fn drop(&mut self) {
        // After the move there is nothing of this name.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn parent(to: &Path) -> &Path {
    to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A hidden name beside `to` that nothing has.
fn unused(to: &Path, what: &str) -> Result<PathBuf> {
    for attempt in 0..=MOST_LEFT {
        let path = hidden(to, what, attempt)?;
        if path.symlink_metadata().is_err() {
            return Ok(path);
        }
    }
    Err(Error::new(Code::Busy, format!("{}: expected a name beside it that is free", to.display())))
}

/// A name beside `to` for this process, and for what processes of the same number have left.
fn hidden(to: &Path, what: &str, attempt: u32) -> Result<PathBuf> {
    let Some(name) = to.file_name() else {
        return Err(Error::invalid(format!("{}: expected the path of a new folder", to.display())));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    let again = if attempt == 0 { String::new() } else { format!("-{attempt}") };
    hidden.push(format!(".{}{again}.{what}", std::process::id()));
    Ok(to.with_file_name(hidden))
}
