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
//! # How it is proven
//!
//! A fault, how many cases of it are gone through, and the control: what is broken on purpose and must be found out, since a
//! check that finds nothing may be blind. *Lib* is `cargo test --no-default-features --lib store::`, *store* is
//! `cargo test --no-default-features --test store`.
//!
//! | promise | fault | cases | control | by |
//! |---|---|---|---|---|
//! | a version never changes | damage, another name for a file, a change while it is read | each kind, in folders of the system | the version as it came is taken | lib `real` |
//! | `current` is the old one or the new one, and what was acknowledged stays | loss of power on a simulated disk, at every call of import, activation, rollback, quarantine and gc | all states that it may leave, 710 | each sync left out by itself; a disk that lies | lib `crash` |
//! | | loss of power under ext4, as mostly mounted and with the least that it promises | 2,000 images of the disk, at random moments with any part of the unflushed writes lost | fsync that does nothing, for files, folders, both | `tests/long/power` |
//! | | SIGKILL | 100; 2,000 with `SELVEDGE_LONG=1` | a child that tells before it is done | store `kill` |
//! | | two processes | one writes and one reads; a second writer | the second writer is refused | store `shared` |
//! | a full or failing disk is an error, and the old version serves | the n-th call fails once, or from then on; the disk is full from then on | every n, of more than 100 | a call that was not done and says that it was | lib `errors` |
//! | a file that could not be made durable is not believed | the n-th sync fails | every n | the file is gone under both of its names | lib `errors` |
//! | no way back below the ratchet | a lower number, or the same for other files; after a restart, once the version is gone | also on each image under ext4 | where nothing was admitted, they are taken | lib `hostile`, `trust` |
//! | a package is what was signed | a file more, less, changed, cut, of another name; a link; each byte of a tar, of a signature | see the tests | the package as it came is taken | lib `hostile`, `package`, `trust` |
//! | a model that ended the process twice serves no more | SIGABRT, SIGSEGV and kills in a real runtime | see [`crash`](crate::crash) | a mark that is not synced, or written after the call | `cargo test --test crash` |
//!
//! What telemetry acknowledges, and what of a torn end it gives up, is proven in the same way in [`telemetry`](crate::telemetry).
//!
//! # Who else writes and reads it
//!
//! | wrote | read | by |
//! |---|---|---|
//! | `model-signing` 1.1.1, ECDSA P-256 and P-384 | Selvedge | `tests/interop/trust/run` |
//! | `model-signing` 1.1.1, certificates of an authority of one's own, with ECDSA and RSA | Selvedge, with `keyless` | `tests/interop/trust/run` |
//! | `model-signing` 1.1.0 and the public Sigstore, keyless: the vector `sigstore` of OpenSSF Model Signing 1.0 | Selvedge, with `keyless` | lib `trust` |
//! | Selvedge's `sign` | `model-signing` 1.1.1, which refuses another key and a changed file | `tests/interop/trust/run` |
//! | `tuf` 7.0.1: root, timestamp, snapshot, targets, with a change of keys | Selvedge | `tests/interop/trust/run` |
//! | the vectors of OpenSSF Model Signing 1.0; those of Wycheproof for the curves and RSA | Selvedge | lib `trust` |
//! | the system's tar: GNU, pax, ustar, v7 | Selvedge | lib `package` |
//! | `selvedge store push`, to a registry | `selvedge store pull`; `oras` 0.2.43; `skopeo` 1.9.3 into a layout, then Selvedge | `tests/interop/registry/run` |
//! | `oras` 0.2.43, to a registry | `selvedge store pull` | `tests/interop/registry/run` |
//! | Selvedge, a layout; `skopeo` 1.9.3 from there to a registry | `selvedge store pull` | `tests/interop/registry/run` |
//!
//! Each way through a registry is gone with two: `distribution` 3.1.2 and Debian's `docker-registry` 2.8.2; with a password,
//! too, and with the registry killed on the way. `tests/run` does all of this where the tools are.
//!
//! # What it costs
//!
//! `cargo bench -p selvedge-benches --bench rollout` prints the figures of a machine beside what they are held to: an import
//! has at least 0.7 of the speed of hashing and copying the same bytes durably, by crates and by `sha256sum` and `cp`; an
//! activation of a model of 100 MB writes less than 256 KiB, reads nothing of the model in the process that imported it and
//! reads it once, to verify it, in a later one; what is opened then is the store's own file, mapped where it lies. Seen on two
//! cores of a shared AMD EPYC (Zen 4): 712 MB/s, 1.07 and 2.5 of the peers' speed; 430 and 562 bytes written.
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
