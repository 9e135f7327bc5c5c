//! Headers of each request of `selvedge sync`: from the command line, a file, or a variable of the environment.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::Read;

use ureq::http::{HeaderName, HeaderValue};

/// Bytes of a file or variable that holds headers.
const MOST: u64 = 64 << 10;

pub(crate) type Header = (HeaderName, HeaderValue);

/// Reads `NAME: VALUE`, or the lines of the file in `@FILE`.
pub(crate) fn of_argument(text: &str) -> Result<Vec<Header>, Box<dyn Error>> {
    match text.strip_prefix('@') {
        Some(path) => of_lines(&read(path)?, &format!("--header @{path}")),
        None => Ok(vec![of_line(text).map_err(|bad| format!("--header: {bad}"))?]),
    }
}

/// Reads the lines in a variable of the environment.
pub(crate) fn of_variable(name: &str) -> Result<Vec<Header>, Box<dyn Error>> {
    let bad = |what: &str| format!("--header-env {name}: {what}");
    let text = env::var_os(name).ok_or_else(|| bad("expected a variable of this name, got none"))?;
    let text = text.into_string().map_err(|_| bad("expected UTF-8"))?;
    of_lines(&text, &format!("--header-env {name}"))
}

fn read(path: &str) -> Result<String, Box<dyn Error>> {
    let bad = |what: String| format!("--header @{path}: {what}");
    let mut text = String::new();
    let file = File::open(path).map_err(|e| bad(e.to_string()))?;
    let read = file.take(MOST + 1).read_to_string(&mut text).map_err(|e| bad(e.to_string()))?;
    if read as u64 > MOST {
        return Err(bad(format!("expected at most {MOST} bytes, got more")).into());
    }
    Ok(text)
}

/// A header per line; empty lines, and those that begin with `#`, are none.
fn of_lines(text: &str, whence: &str) -> Result<Vec<Header>, Box<dyn Error>> {
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let headers = lines.map(|(i, line)| of_line(line).map_err(|bad| format!("{whence}: line {i}: {bad}").into()));
    let headers = headers.collect::<Result<Vec<Header>, Box<dyn Error>>>()?;
    if headers.is_empty() {
        Err(format!("{whence}: expected a line NAME: VALUE, got none").into())
    } else {
        Ok(headers)
    }
}

/// No error quotes the line: it may hold a secret.
fn of_line(line: &str) -> Result<Header, String> {
    let (name, value) = line.split_once(':').ok_or("expected NAME: VALUE, got no colon")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| "expected NAME: VALUE, got no name")?;
    let mut value = HeaderValue::from_str(value.trim())
        .map_err(|_| format!("expected a value of printable characters for '{name}', got others"))?;
    value.set_sensitive(true);
    Ok((name, value))
}
