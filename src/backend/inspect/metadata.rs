//! Values of a file's metadata, free of the file.

use std::fmt;

use crate::backend::metadata::describe;
use crate::weights::ValueRef;

/// A value of a file's metadata.
///
/// ```
/// use selvedge::backend::MetadataValue;
/// let layers = MetadataValue::Integer(32);
/// assert_eq!(layers.to_string(), "32");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetadataValue {
    /// True or false.
    Bool(bool),
    /// A whole number of up to 64 bits, with a sign or without.
    Integer(i128),
    /// Another number; one of 32 bits as the shortest decimal number that stands for it.
    Real(f64),
    /// A text; what is not UTF-8 in it is replaced.
    Text(String),
    /// A list, as the type of its items and their number: `string[32000]`.
    List(String),
}

impl MetadataValue {
    pub(super) fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Bool(b) => MetadataValue::Bool(b),
            // Its digits are those of the 32 bits: 0.00001, not 0.000009999999747378752.
            ValueRef::F32(x) => MetadataValue::Real(x.to_string().parse().unwrap_or(x.into())),
            ValueRef::F64(x) => MetadataValue::Real(x),
            ValueRef::U64(n) => MetadataValue::Integer(n.into()),
            other => match other.as_i64() {
                Some(n) => MetadataValue::Integer(n.into()),
                None if other.as_array().is_some() => MetadataValue::List(describe(other)),
                None => MetadataValue::Text(describe(other)),
            },
        }
    }
}

impl fmt::Display for MetadataValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetadataValue::Bool(b) => b.fmt(f),
            MetadataValue::Integer(n) => n.fmt(f),
            MetadataValue::Real(x) => x.fmt(f),
            MetadataValue::Text(text) | MetadataValue::List(text) => f.write_str(text),
        }
    }
}
