//! The library's manifests: they name nothing that opens a socket, and no tool, and say where what they include lies.

/// Of the command, and the peers of the benchmarks.
const NOT_OF_THE_LIBRARY: &[&str] =
    &["ureq", "reqwest", "hyper", "clap", "indicatif", "candle-core", "llama-cpp-2", "rtrb", "rusqlite"];

/// What `[dependencies]`, also those of one target, name and shouldn't. Tests may need more: `[dev-dependencies]` are
/// free.
pub(crate) fn violations(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut section = "";
    for line in text.lines().map(|line| line.split('#').next().unwrap_or("").trim()) {
        let mut named = Vec::new();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').trim();
            // `[dependencies.clap]`
            named.extend(section.strip_prefix("dependencies.").or(section.split(".dependencies.").nth(1)));
        } else if let Some((key, value)) = line.split_once('=') {
            let is_list = section == "dependencies" || section.ends_with(".dependencies");
            let is_one = section.starts_with("dependencies.") || section.contains(".dependencies.");
            named.extend(is_list.then(|| key.trim().split('.').next().unwrap_or("")));
            // `web = { package = "ureq" }`, and the same in a section of its own.
            let renamed = value.split_once("package").map(|(_, name)| name).filter(|_| is_list);
            let renamed = renamed.or((is_one && key.trim() == "package").then_some(value));
            named.extend(renamed.and_then(|name| name.split('"').nth(1)));
            // `src` is every folder of that name, such as that of a binding.
            let files = value.split('"').skip(1).step_by(2).filter(|_| section == "package" && key.trim() == "include");
            for file in files.filter(|file| !file.starts_with('/')) {
                found.push(format!("{path}: include: '{file}' is a name in any folder, '/{file}' one in this"));
            }
        }
        for name in named.iter().map(|name| name.trim_matches('"')) {
            if NOT_OF_THE_LIBRARY.contains(&name) {
                found.push(format!("{path}: {name}: not a dependency of the library"));
            }
        }
    }
    found
}
