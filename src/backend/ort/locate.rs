//! Search for an ONNX Runtime library. Reads folder listings and the environment; loads nothing.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The environment variable of ours that names the library.
pub(super) const VARIABLE: &str = "SELVEDGE_ONNXRUNTIME";
/// The variable that other Rust programs with ONNX Runtime use.
const SHARED_VARIABLE: &str = "ORT_DYLIB_PATH";

/// What the search looks at: the process's surroundings, or a test's.
#[derive(Debug, Default, Clone)]
pub(super) struct Surroundings {
    /// The values of [`VARIABLE`] and [`SHARED_VARIABLE`].
    pub variables: [Option<OsString>; 2],
    /// The executable, and the shared library that this code is in.
    pub ourselves: Vec<PathBuf>,
    /// Folders of libraries outside the loader's own search path.
    pub system: Vec<PathBuf>,
    /// Roots of Python installations: folders that hold `lib/python3.*`.
    pub python: Vec<PathBuf>,
    /// Whether to ask the system's loader by name.
    pub loader: bool,
}

impl Surroundings {
    /// Those of this process; `library` is the shared library that this code is in, where that is known. Python installations
    /// are looked at only where `python` asks for it.
    pub(super) fn of_process(library: Option<PathBuf>, python: bool) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
        Self {
            variables: [variable(VARIABLE), variable(SHARED_VARIABLE)],
            ourselves: std::env::current_exe().ok().into_iter().chain(library).collect(),
            system: system_folders(),
            python: if python { installations() } else { Vec::new() },
            loader: true,
        }
    }
}

/// The roots of Python installations: of the active environment, on the path, of the user, of the system.
fn installations() -> Vec<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let mut python: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(folder).collect();
    // `bin/python3` on the path: its installation is the folder above `bin`.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let bins = std::env::split_paths(&path).filter(|bin| bin.is_absolute() && bin.join("python3").exists());
    python.extend(bins.filter_map(|bin| bin.parent().map(Path::to_path_buf)));
    python.extend(folder("HOME").map(|home| home.join(".local")));
    python.extend(["/usr/local", "/usr", "/opt/homebrew"].map(PathBuf::from));
    let mut seen = std::collections::BTreeSet::new();
    python.retain(|root| seen.insert(root.clone()));
    python
}

/// What to try, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Search {
    /// Who named the library, if anybody did: then nothing else is tried.
    pub named_by: Option<&'static str>,
    /// Library files, and bare names for the system's loader.
    pub candidates: Vec<PathBuf>,
    /// Where the candidates would have been, in words.
    pub places: Vec<String>,
}

/// Lists the candidates. An explicit name is the only candidate, whether it exists or not.
pub(super) fn search(option: Option<&Path>, around: &Surroundings) -> Search {
    let [ours, shared] = around.variables.each_ref().map(|v| v.as_ref().map(Path::new));
    let names = [("Options::onnxruntime", option), (VARIABLE, ours), (SHARED_VARIABLE, shared)];
    if let Some((by, path)) = names.into_iter().find_map(|(by, path)| path.map(|p| (by, p))) {
        return Search {
            named_by: Some(by),
            candidates: named(path),
            places: vec![format!("{by}={}", path.display())],
        };
    }
    let mut search = Search {
        named_by: None,
        candidates: Vec::new(),
        places: vec![format!("the option and the variables {VARIABLE} and {SHARED_VARIABLE} (not set)")],
    };
    let mut beside: Vec<&Path> = around.ourselves.iter().filter_map(|file| file.parent()).collect();
    beside.dedup();
    for folder in beside {
        search.folders([folder.into(), folder.join("lib"), folder.join("../lib"), folder.join("../Frameworks")]);
        search.places.push(format!("{} with lib, ../lib and ../Frameworks", folder.display()));
    }
    if around.loader {
        search.candidates.extend(LOADER_NAMES.iter().map(PathBuf::from));
        search.places.push(format!("the system's library path ({})", LOADER_NAMES.join(", ")));
    }
    search.folders(around.system.iter().cloned());
    search.places.extend(around.system.iter().map(|folder| folder.display().to_string()));
    search.folders(around.python.iter().flat_map(|root| wheels(root)));
    search.places.extend(around.python.iter().map(|root| format!("Python packages in {}", root.display())));
    search
}

impl Search {
    fn folders(&mut self, folders: impl IntoIterator<Item = PathBuf>) {
        for library in folders.into_iter().flat_map(|folder| libraries(&folder)) {
            if !self.candidates.contains(&library) {
                self.candidates.push(library);
            }
        }
    }
}

/// The candidates for a name that somebody gave: a file, a folder that holds one, or a bare name.
fn named(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        let within = libraries(path);
        return if within.is_empty() { vec![path.into()] } else { within };
    }
    if path.exists() {
        // A relative path without a separator would send the loader to the system's folders.
        return vec![std::path::absolute(path).unwrap_or_else(|_| path.into())];
    }
    vec![path.into()]
}

/// The folders below a Python installation where the `onnxruntime` package keeps its library.
fn wheels(root: &Path) -> Vec<PathBuf> {
    let mut wheels = Vec::new();
    for lib in ["lib", "lib64", "Lib"] {
        let lib = root.join(lib);
        let mut packages = vec![lib.join("site-packages")];
        for python in entries(&lib).into_iter().filter(|(name, _)| name.starts_with("python3")).map(|(_, path)| path) {
            packages.extend(["site-packages", "dist-packages"].map(|packages| python.join(packages)));
        }
        wheels.extend(packages.into_iter().map(|p| p.join("onnxruntime").join("capi")).filter(|p| p.is_dir()));
    }
    wheels
}

/// The ONNX Runtime libraries in a folder, the newest by name first.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = entries(folder).into_iter().filter(|(name, _)| is_library(name)).collect();
    found.sort_by_cached_key(|(name, _)| std::cmp::Reverse(numbers(name)));
    found.into_iter().map(|(_, path)| path).collect()
}

fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    // A folder that cannot be listed holds nothing for us: it is named among the places.
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut entries: Vec<_> =
        entries.flatten().map(|e| (e.file_name().to_string_lossy().into_owned(), e.path())).collect();
    entries.sort_by(|a, b| b.cmp(a));
    entries
}

fn is_library(name: &str) -> bool {
    if cfg!(windows) {
        return name.eq_ignore_ascii_case("onnxruntime.dll");
    }
    let Some(rest) = name.strip_prefix("libonnxruntime.") else { return false };
    match cfg!(target_vendor = "apple") {
        true => rest == "dylib" || rest.ends_with(".dylib"),
        false => rest == "so" || rest.starts_with("so."),
    }
}

fn numbers(name: &str) -> Vec<u32> {
    name.split('.').filter_map(|part| part.parse().ok()).collect()
}

const LOADER_NAMES: &[&str] = if cfg!(windows) {
    &["onnxruntime.dll"]
} else if cfg!(target_vendor = "apple") {
    &["libonnxruntime.dylib", "onnxruntime.framework/onnxruntime"]
} else {
    &["libonnxruntime.so.1", "libonnxruntime.so"]
};

fn system_folders() -> Vec<PathBuf> {
    let folders: &[&str] = if cfg!(windows) {
        &[]
    } else if cfg!(target_vendor = "apple") {
        &["/opt/homebrew/lib", "/usr/local/lib", "/opt/local/lib"]
    } else {
        &["/usr/local/lib", "/usr/local/lib64", "/usr/lib", "/usr/lib64", "/opt/onnxruntime/lib"]
    };
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let multiarch = cfg!(target_os = "linux").then_some(multiarch);
    folders.iter().map(PathBuf::from).chain(multiarch.map(PathBuf::from)).collect()
}
