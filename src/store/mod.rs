//! Store: the versions of a model on disk. A package comes in, is verified whole, becomes current, and gives way again.
//!
//! Enters: a [`Package`], and the [`Trust`] by which it is judged. Leaves: [`Version`]s, whose files are mapped where they
//! lie. May import: disk, digest, source, threads.
//!
//! `package` reads packages, `trust` judges them; both know nothing of the store. `staged` receives files, `import` makes a
//! version of them, `serving` says which one is current, `state` remembers it.
//!
//! ```text
//! store/
//!   store.lock                whoever has it locked may write
//!   state, state.copy         JSON and its digest: current, history, misses, quarantine; twice, for a disk that forgets
//!   ratchet, ratchet.copy     what signatures have allowed so far; twice, too
//!   rollout, rollout.copy     what a deployment over the versions remembers; twice, too
//!   staging/
//!     HEX                     a file that is whole and of no version yet; HEX is its SHA-256
//!     HEX.part                one that is received
//!   unfinished/               versions that are being put together or taken away
//!   versions/
//!     ID/                     ID is the digest over all files, as the signature has it
//!       manifest              JSON and its digest: names, sizes and digests of the files, and whose signature it was
//!       model.sig             the signature
//!       files/                the files, named as in the package, 0444
//! ```
//!
//! Each version has files of its own, and each file one name: what another version holds is copied, not linked, so that
//! no damage reaches two versions, and a file whose names are not one is known to be somebody else's. A file system that
//! shares blocks, as Btrfs and XFS do, may do so below.
//!
//! # What holds after a crash, a full disk, a loss of power
//!
//! | promise | how it is kept |
//! |---|---|
//! | a version never changes | its files are read-only and durable before the folder gets its name; it is taken away by another renaming, and what is mapped stays |
//! | `current` is the old one or the new one, both whole | a version has its name, durably, before the state says so; the state is replaced as one file |
//! | what was acknowledged stays | a call returns once the names are durable |
//! | a full or failing disk is an error, and the old version serves | room is reserved first; nothing that serves is touched |
//! | a file that could not be made durable is not believed | it is removed, and written anew |
//! | no way back below the ratchet | what a signature allowed is durable before anything is made of the package |
//!
//! Nobody but the owner can read the folder. Who may write in it can replace a model, as who may write the app could: the
//! digests guard against damage, and against whoever makes packages, not against the owner of the device.

mod files;
mod import;
mod manifest;
mod open;
mod package;
mod rollout;
mod sealed;
mod serving;
mod staged;
mod state;
#[cfg(test)]
mod tests;
mod trust;
mod twice;
mod version;

pub use import::ImportProgress;
pub use open::Store;
pub use package::{Artifact, ArtifactBlob, ArtifactFile, Package};
pub use serving::Standing;
pub use staged::Staged;
pub use trust::{Content, Release, RepositoryFiles, Trust, sign};
pub use version::Version;
