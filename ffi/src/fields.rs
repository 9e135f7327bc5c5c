//! Fields of a JSON object, each taken once and by name: what is wrong is an error that names it, and what nobody took
//! is not known.

use selvedge::{Error, Result};
use serde_json::{Map, Value};

use crate::memory::invalid;

/// The fields of an object that were not taken yet.
pub(crate) struct Fields {
    /// Where the object stands: `config.probe[1]`.
    path: String,
    left: Map<String, Value>,
    known: Vec<&'static str>,
}

/// A value, and where it stands.
pub(crate) struct Field {
    pub(crate) path: String,
    pub(crate) value: Value,
}

impl Fields {
    /// Those of the outermost object.
    pub(crate) fn of_text(path: &str, text: &str) -> Result<Self> {
        let value = serde_json::from_str(text);
        let value = value.map_err(|e| invalid(format!("{path}: expected a JSON object")).because(e))?;
        Field { path: path.into(), value }.object()
    }

    /// Those of an object that was taken from another one before.
    pub(crate) fn of_value(path: &str, value: &Value) -> Result<Self> {
        Field { path: path.into(), value: value.clone() }.object()
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Takes a field; `None` if it is left out, or null.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Field> {
        self.known.push(name);
        let value = self.left.remove(name).filter(|value| !value.is_null())?;
        Some(Field { path: format!("{}.{name}", self.path), value })
    }

    /// Takes a field that must be there.
    pub(crate) fn require(&mut self, name: &'static str) -> Result<Field> {
        let path = format!("{}.{name}", self.path);
        self.take(name).ok_or_else(|| invalid(format!("{path}: expected a value, got none")))
    }

    /// Takes a field, if it is there, as `read` does.
    pub(crate) fn read<T>(&mut self, name: &'static str, read: impl FnOnce(Field) -> Result<T>) -> Result<Option<T>> {
        self.take(name).map(read).transpose()
    }

    /// Ends the object: a field that nobody took is refused.
    pub(crate) fn end(self) -> Result<()> {
        match self.left.into_iter().next() {
            None => Ok(()),
            Some((name, value)) => {
                let known = self.known.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
                Err(Field { path: self.path, value: Value::from(name) }.refused(&format!("one of {known}"), &value))
            }
        }
    }
}

impl Field {
    /// The outermost value.
    pub(crate) fn of_text(path: &str, text: &str) -> Result<Self> {
        let value = serde_json::from_str(text);
        let value = value.map_err(|e| invalid(format!("{path}: expected JSON")).because(e))?;
        Ok(Self { path: path.into(), value })
    }

    pub(crate) fn object(self) -> Result<Fields> {
        match self.value {
            Value::Object(left) => Ok(Fields { path: self.path, left, known: Vec::new() }),
            _ => Err(self.expected("an object")),
        }
    }

    pub(crate) fn list(self) -> Result<Vec<Field>> {
        match self.value {
            Value::Array(values) => {
                let at = |(i, value)| Field { path: format!("{}[{i}]", self.path), value };
                Ok(values.into_iter().enumerate().map(at).collect())
            }
            _ => Err(self.expected("a list")),
        }
    }

    pub(crate) fn text(self) -> Result<String> {
        match self.value {
            Value::String(text) => Ok(text),
            _ => Err(self.expected("a text")),
        }
    }

    pub(crate) fn flag(self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// A whole number of at most `most`.
    pub(crate) fn whole(self, most: u64) -> Result<u64> {
        let number = self.value.as_u64().filter(|n| *n <= most);
        number.ok_or_else(|| self.expected(&format!("a whole number from 0 to {most}")))
    }

    /// A number from `least` on.
    pub(crate) fn number(self, least: f64, most: f64) -> Result<f64> {
        let number = self.value.as_f64().filter(|n| (least..=most).contains(n));
        number.ok_or_else(|| match most < f64::MAX {
            true => self.expected(&format!("a number from {least} to {most}")),
            false => self.expected(&format!("a number of at least {least}")),
        })
    }

    /// The one of these names that it is.
    pub(crate) fn one_of<T: Copy>(self, names: &[(&str, T)]) -> Result<T> {
        let named = self.value.as_str().and_then(|name| names.iter().find(|(known, _)| *known == name));
        named.map(|(_, value)| *value).ok_or_else(|| {
            let known = names.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>();
            self.expected(&format!("one of {}", known.join(", ")))
        })
    }

    pub(crate) fn expected(&self, want: &str) -> Error {
        invalid(format!("{}: expected {want}, got {}", self.path, short(&self.value)))
    }

    fn refused(&self, want: &str, value: &Value) -> Error {
        invalid(format!("{}: expected {want}, got {}: {}", self.path, short(&self.value), short(value)))
    }
}

/// A value as it was written, cut where it is long.
fn short(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
