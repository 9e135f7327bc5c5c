//! Unsafe code: where it may stand, and how it is announced.

use crate::File;
use crate::rust::words;

pub(crate) fn violations(files: &[File], may_be_unsafe: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = files.iter().flat_map(|file| unsafe_rules(file, may_be_unsafe)).collect();
    for listed in may_be_unsafe {
        let has_it = |file: &File| covers(listed, &file.path) && !places_of(&file.code).is_empty();
        if !files.iter().any(has_it) {
            found.push(format!("{listed}: is listed as unsafe and is not"));
        }
    }
    found
}

fn covers(listed: &str, path: &str) -> bool {
    path == listed || listed.ends_with('/') && path.starts_with(listed)
}

/// Where the word stands, but for the types of pointers to functions: naming one does nothing unsafe.
fn places_of(code: &str) -> Vec<usize> {
    let is_type = |i: &usize| {
        let head = code[i + 6..].split('(').next().unwrap_or_default().trim();
        head == "fn" || head.starts_with("extern") && head.ends_with(" fn")
    };
    words(code, "unsafe").filter(|i| !is_type(i)).collect()
}

fn unsafe_rules(File { path, text, code }: &File, allowed: &[&str]) -> Vec<String> {
    let places = places_of(code);
    if places.is_empty() {
        return vec![];
    }
    let Some(listed) = allowed.iter().find(|listed| covers(listed, path)) else {
        return vec![format!("{path}: unsafe, and not in the list")];
    };
    let mut found = Vec::new();
    let announces = !listed.ends_with('/') || *path == format!("{listed}main.rs");
    if announces && words(code, "expect").all(|i| !code[i..].starts_with("expect(unsafe_code, reason =")) {
        found.push(format!("{path}: unsafe without expect(unsafe_code, reason = …)"));
    }
    let (code_lines, lines): (Vec<&str>, Vec<&str>) = (code.lines().collect(), text.lines().collect());
    for i in places {
        let rest = code[i + 6..].trim_start();
        let at = code[..i].matches('\n').count();
        let ends = |n: usize| code_lines[n].trim_end().ends_with([';', '{', '}']);
        // Up to the end of the statement before.
        let begin = (0..at).rev().find(|n| ends(*n)).map_or(0, |n| n + 1);
        let explained = lines[begin..=at].iter().any(|line| line.contains("// SAFETY: "));
        if (rest.starts_with('{') || words(rest, "impl").next() == Some(0)) && !explained {
            found.push(format!("{path}:{}: unsafe without a SAFETY comment", at + 1));
        }
    }
    found
}
