//! Files of models: what is said of them, what a static-embedding model makes of a text, and files made to do harm.

#![deny(unsafe_code)]

#[path = "../support/corpus.rs"]
mod corpus;
#[path = "../support/counting.rs"]
mod counting;
mod hostile;
mod inspect;
#[cfg(feature = "table")]
mod table;
