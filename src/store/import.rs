//! Import: a package becomes a version, once every file of it is there and vouched for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use super::files::CHUNK;
use super::manifest::{Manifest, ManifestFile};
use super::open::{Store, UNFINISHED};
use super::package::{Artifact, Package, PackageFile, SIGNATURE};
use super::staged::{STAGING, whole};
use super::trust::{Content, Listing, Release, RepositoryFiles, Signed, Step};
use super::version::{CONTENTS, MANIFEST, MAX_RELEASE, RELEASE, VERSIONS, Version, folder_of};
use crate::disk::Disk;
use crate::threads::unpoisoned;
use crate::{Code, Digest, Error, Result};

/// The most bytes of a signature.
const MAX_SIGNATURE: u64 = 16 << 20;

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportProgress<'a> {
    /// The file that is being received.
    pub file: &'a str,
    /// Bytes of it that are there.
    pub done: u64,
    /// Bytes that it has.
    pub size: u64,
}

impl Store {
    /// Takes in a package: a folder, a tar or an OCI image layout. Nothing of it is believed before all of it is there, as
    /// a signature that the store trusts has it: every file that is listed, and no other. The files are written once and
    /// hashed meanwhile. An import that ended half way is gone on with by the next one of the same package.
    ///
    /// `progress` hears of each MiB, and may end the import by an error, such as that of [`Call::check`](crate::Call::check).
    ///
    /// The version does not serve before it is [activated](Self::activate). A package that is there already is the same
    /// version. A signed statement that takes a version back is a package, too; what comes back is the version that it goes
    /// back to.
    ///
    /// # Errors
    ///
    /// `Untrusted` for a package that no trusted key signed, that has expired, or that the ratchet refuses: with a number
    /// that is lower than before, or the same for other files; `Corrupt` for files that are not as the signature has them,
    /// missing, too many, or of names that no package may have; `Unsupported` for links and archives, and if the store was
    /// opened for reading; `InvalidArgument` for a package of another model; `NotFound` where there is none, or not the
    /// version that a statement goes back to; `Busy` while another import goes on; `Io`, where a full disk has
    /// [`StorageFull`](std::io::ErrorKind::StorageFull) underneath; that of `progress`.
    pub fn import(
        &self,
        package: impl Into<Package>,
        progress: impl FnMut(ImportProgress<'_>) -> Result<()>,
    ) -> Result<Version> {
        self.import_at(package.into(), progress, clock())
    }

    pub(super) fn import_at(
        &self,
        package: Package,
        mut progress: impl FnMut(ImportProgress<'_>) -> Result<()>,
        clock: u64,
    ) -> Result<Version> {
        self.trust()?;
        let _importing = self.importing.try_lock().map_err(|_| Error::new(Code::Busy, "another import goes on"))?;
        let mut incoming = Incoming { store: self, clock, signature: None, files: BTreeMap::new() };
        package.visit(&mut |file| incoming.take(file, &mut progress))?;
        incoming.install().map_err(|e| e.during("importing a package"))
    }

    /// Takes in a package whose files were [staged](Self::stage) one by one, as [`import`](Self::import) does.
    ///
    /// # Errors
    ///
    /// Those of [`import`](Self::import); `NotFound` for a file that is not staged.
    pub fn import_artifact(
        &self,
        artifact: &Artifact,
        mut progress: impl FnMut(ImportProgress<'_>) -> Result<()>,
    ) -> Result<Version> {
        self.trust()?;
        let _importing = self.importing.try_lock().map_err(|_| Error::new(Code::Busy, "another import goes on"))?;
        let mut incoming = Incoming { store: self, clock: clock(), signature: None, files: BTreeMap::new() };
        for file in artifact.files() {
            let (name, digest, size) = (file.name(), file.blob().digest(), file.blob().size());
            self.staging.verify(digest, size, &mut |done| progress(ImportProgress { file: name, done, size }))?;
            if name == SIGNATURE {
                incoming.sign(self.files.call(&whole(digest), |disk, name| disk.read(name, MAX_SIGNATURE))?)?;
            } else {
                incoming.files.insert(name.into(), (digest, size));
            }
        }
        incoming.install().map_err(|e| e.during("importing a package"))
    }

    /// Verifies the metadata of a repository, and remembers what they allow: the packages that are listed, their shares, the
    /// minimum. For a [`Trust`](super::Trust) with a [root](super::Trust::root), which takes no package that is not listed.
    ///
    /// # Errors
    ///
    /// `Untrusted` for metadata that are not signed as the root demands, older than those before, or expired; `Corrupt`;
    /// `InvalidArgument` without a root; `Unsupported` if the store was opened for reading; `Io`.
    pub fn refresh(&self, metadata: &RepositoryFiles) -> Result<()> {
        let _work = unpoisoned(self.work.lock());
        let next = self.trust()?.refresh(&self.ratchet(), metadata, clock())?;
        self.keep_ratchet(next)
    }

    /// How many of 10,000 devices are to take a version: what verified metadata say of it, or else its package.
    pub fn share(&self, version: &Version) -> u16 {
        let release = version.release();
        let is_it = |listed: &Listing| (&listed.name, listed.version) == (&release.name, release.version);
        self.ratchet().listings().into_iter().find(is_it).map_or(release.share, |listed| listed.share)
    }
}

/// A package that is being received.
struct Incoming<'s> {
    store: &'s Store,
    /// Seconds since 1970.
    clock: u64,
    signature: Option<(Signed, Vec<u8>)>,
    /// Digest and size of each file that is staged, whole.
    files: BTreeMap<String, (Digest, u64)>,
}

impl Incoming<'_> {
    fn take(
        &mut self,
        file: &mut PackageFile<'_>,
        progress: &mut dyn FnMut(ImportProgress<'_>) -> Result<()>,
    ) -> Result<()> {
        let (name, size) = (file.name, file.size);
        if name == SIGNATURE {
            return self.sign(file.read_all(MAX_SIGNATURE)?);
        }
        let expected = match &self.signature {
            Some((signed, _)) if signed.ignores(name) => return Ok(()),
            Some((signed, _)) => Some(signed.find(name).ok_or_else(|| unlisted(name))?),
            None => None,
        };
        let mut check = |done| progress(ImportProgress { file: name, done, size });
        let received = self.store.staging.receive(file, expected, &mut check);
        let digest = received.map_err(|e| e.during(format!("receiving '{name}'")))?;
        check(size)?;
        self.files.insert(name.into(), (digest, size));
        Ok(())
    }

    fn sign(&mut self, bytes: Vec<u8>) -> Result<()> {
        let signed = self.store.trust()?.verify(&self.store.ratchet(), &bytes, self.clock)?;
        self.signature = Some((signed, bytes));
        Ok(())
    }

    /// Makes a version of what was received.
    fn install(mut self) -> Result<Version> {
        let (store, clock) = (self.store, self.clock);
        store.files.sync_names(STAGING)?;
        let (signed, signature) = match self.signature.take() {
            Some((signed, bytes)) => (signed, Some(bytes)),
            None => {
                let files = self.files.iter().map(|(name, (digest, _))| (name.clone(), *digest)).collect();
                (store.trust()?.unsigned(files)?, None)
            }
        };
        self.files.retain(|name, _| !signed.ignores(name));
        let manifest = self.manifest(&signed)?;
        let release = self.release()?;
        let _work = unpoisoned(store.work.lock());
        if let Some(other) = store.versions()?.iter().find(|version| version.name() != release.name) {
            let (expected, got) = (other.name(), &release.name);
            return Err(Error::invalid(format!("package: expected a version of '{expected}', got one of '{got}'")));
        }
        // What was admitted is remembered before anything is made of it.
        let mut ratchet = store.ratchet();
        let step = ratchet.admit(store.trust()?, &release, &signed, clock)?.step;
        store.keep_ratchet(ratchet)?;
        let back = if let Step::Back { digest, .. } = step { Some(digest) } else { None };
        if step != Step::Same {
            store.change(|state| {
                state.send_back(back);
                Ok(())
            })?;
        }
        if let Content::Rollback { digest, .. } = release.content {
            return store.version(digest).map_err(|e| e.during("going back, as a signed statement demands"));
        }
        match store.version(signed.root) {
            Ok(version) if *version.manifest() == manifest && version.verify().is_ok() => return Ok(version),
            // It is damaged, and comes anew.
            Ok(_) => store.take_away(signed.root)?,
            Err(e) if e.code() == Code::Corrupt => store.take_away(signed.root)?,
            Err(_) => {}
        }
        self.assemble(&manifest, signature.as_deref())?;
        store.version(signed.root)
    }

    /// The list of files, if what was received is what was signed.
    fn manifest(&self, signed: &Signed) -> Result<Manifest> {
        let listed: BTreeSet<&str> = signed.files.iter().map(|(name, _)| &**name).collect();
        if let Some(name) = self.files.keys().find(|name| !listed.contains(&***name)) {
            return Err(unlisted(name));
        }
        let mut files = Vec::with_capacity(signed.files.len());
        for (name, expected) in &signed.files {
            let Some((got, size)) = self.files.get(name) else {
                return Err(Error::corrupt(format!("package: expected a file '{name}', which is signed, got none")));
            };
            if got != expected {
                let message = format!("package: file '{name}': expected sha256:{expected}, got sha256:{got}");
                return Err(Error::corrupt(message));
            }
            files.push(ManifestFile::new(name, *size, *got));
        }
        let manifest = Manifest::new(files, signed.key);
        if manifest.id() != signed.root {
            return Err(Error::internal("the digest over all files differs from the signature's"));
        }
        Ok(manifest)
    }

    fn release(&self) -> Result<Release> {
        let missing = || Error::corrupt(format!("package: expected a file '{RELEASE}', got none"));
        let (digest, _) = self.files.get(RELEASE).ok_or_else(missing)?;
        Release::parse(&self.store.files.call(&whole(*digest), |disk, name| disk.read(name, MAX_RELEASE))?)
    }

    /// Puts the version together aside, and gives it its name once it is durable.
    fn assemble(&self, manifest: &Manifest, signature: Option<&[u8]>) -> Result<()> {
        let (files, id) = (&self.store.files, manifest.id());
        let (aside, place) = (format!("{UNFINISHED}/{id}"), folder_of(id));
        files.remove(&aside)?;
        files.create_folder(&aside)?;
        files.sync_names(UNFINISHED)?;
        let mut moved = Vec::new();
        let done = (|| {
            self.write(&format!("{aside}/{MANIFEST}"), &manifest.to_bytes()?)?;
            if let Some(signature) = signature {
                self.write(&format!("{aside}/{SIGNATURE}"), signature)?;
            }
            let contents = format!("{aside}/{CONTENTS}");
            let folders = self.create_folders(&contents)?;
            self.fill(&contents, &mut moved)?;
            // From the inside out: whoever sees a folder finds all that is in it.
            folders.iter().rev().try_for_each(|folder| files.sync_names(folder))?;
            files.sync_names(&aside)?;
            files.call(&aside, |disk, aside| disk.rename(aside, &place))?;
            files.moved(&aside, Some(&place));
            moved.clear();
            files.sync_names(VERSIONS)
        })();
        if done.is_err() {
            // What was received stays for the next try. The error that counts is the first.
            for (name, digest) in moved {
                let _ = files.call(&name, |disk, name| disk.rename(name, &whole(digest)));
            }
        }
        done
    }

    /// The folder for the files, and those in it; each after the one that it lies in.
    fn create_folders(&self, contents: &str) -> Result<Vec<String>> {
        let inside = self.files.keys().flat_map(|name| name.match_indices('/').map(|(end, _)| &name[..end]));
        let inside: BTreeSet<String> = inside.map(|folder| format!("{contents}/{folder}")).collect();
        let folders: Vec<String> = std::iter::once(contents.to_owned()).chain(inside).collect();
        folders.iter().try_for_each(|folder| self.store.files.create_folder(folder))?;
        Ok(folders)
    }

    /// Moves the files to their place; of several that are the same, all but the last are copied.
    fn fill(&self, contents: &str, moved: &mut Vec<(String, Digest)>) -> Result<()> {
        let files = &self.store.files;
        let mut left: BTreeMap<[u8; 32], usize> = BTreeMap::new();
        self.files.values().for_each(|(digest, _)| *left.entry(digest.0).or_default() += 1);
        for (name, (digest, size)) in &self.files {
            let (from, to) = (whole(*digest), format!("{contents}/{name}"));
            let count = left.entry(digest.0).or_default();
            *count -= 1;
            if *count > 0 {
                self.copy(&from, &to, *size)?;
                files.remember(&to, *digest)?;
            } else {
                files.rename_known(&from, &to, *digest)?;
                moved.push((to, *digest));
            }
        }
        Ok(())
    }

    fn copy(&self, from: &str, to: &str, size: u64) -> Result<()> {
        let (files, mut chunk, mut at) = (&self.store.files, vec![0; CHUNK], 0);
        files.call(to, |disk, to| disk.append(to, &[], true))?;
        files.call(to, |disk, to| disk.reserve(to, size))?;
        while at < size {
            let read = files.call(from, |disk, from| disk.read_at(from, at, &mut chunk))?;
            if read == 0 {
                return Err(Error::internal("a staged file became shorter"));
            }
            files.call(to, |disk, to| disk.append(to, &chunk[..read], false))?;
            at += read as u64;
        }
        self.close(to)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.store.files.call(name, |disk, name| disk.append(name, bytes, true))?;
        self.close(name)
    }

    fn close(&self, name: &str) -> Result<()> {
        self.store.files.call(name, |disk: &mut dyn Disk, name| {
            disk.set_read_only(name)?;
            disk.sync(name)
        })
    }
}

fn unlisted(name: &str) -> Error {
    Error::corrupt(format!("package: file '{name}': expected only files that are signed"))
}

/// Seconds since 1970; a clock before that is one that is wrong.
fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
