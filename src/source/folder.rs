//! The model in a folder: as it was downloaded, or as it was packed.

use super::{Access, OpenedFile, Source};
use crate::Result;

/// The graph of a packed model, in its folder.
pub(crate) const GRAPH: &str = "model.onnx";

/// The model's file, which for a folder is the one in it.
pub(crate) fn model_of(source: Source, access: Access) -> Result<OpenedFile> {
    let (source, folder) = graph_in(weights_in(source));
    let mut model = OpenedFile::open(source, access)?;
    if let Some(name) = model.name.strip_suffix(".safetensors.index") {
        model.name = name.to_owned();
    }
    model.name = folder.unwrap_or(model.name);
    Ok(model)
}

/// The weights in a folder that holds a model as it was downloaded; anything else as it is.
fn weights_in(source: Source) -> Source {
    match source {
        Source::Path(path) if path.is_dir() => {
            let names = ["model.safetensors", "model.safetensors.index.json"];
            let model = names.into_iter().map(|name| path.join(name)).find(|path| path.is_file());
            Source::Path(model.unwrap_or(path))
        }
        other => other,
    }
}

/// The graph in the folder of a packed model, and the folder's name; anything else as it is.
fn graph_in(source: Source) -> (Source, Option<String>) {
    match source {
        Source::Path(path) if path.join(GRAPH).is_file() => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            (Source::Path(path.join(GRAPH)), name)
        }
        other => (other, None),
    }
}
