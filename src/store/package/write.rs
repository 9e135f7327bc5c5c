//! An OCI image layout written from a folder: the same files, the same bytes.

use std::io::Write;
use std::path::Path;

use super::artifact::{Artifact, Descriptor, digest_of, write};
use super::checked::PackageFile;
use super::layout::{BLOBS, INDEX, IndexJson, LayoutJson, MARK, REF_NAME, VERSION};
use super::media;
use crate::disk::{self, Access, Folder, NewFile, create_folders, open};
use crate::{Digest, Error, Result};

/// The name of a file that is being written.
const PART: &str = "selvedge.part";

impl Artifact {
    /// Writes an OCI image layout of one manifest: the files are copied from the folder that the artifact was
    /// [made of](Self::of_folder), and checked on the way. Any tool that copies images can copy it to a registry.
    ///
    /// The index comes last: a layout that has one is whole.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if a layout is there already; `Corrupt` if a file was changed since the artifact was made;
    /// `NotFound`, `Io`.
    pub fn write_layout(&self, folder: impl AsRef<Path>, layout: impl AsRef<Path>, tag: Option<&str>) -> Result<()> {
        let (folder, layout) = (folder.as_ref(), layout.as_ref());
        if layout.join(INDEX).symlink_metadata().is_ok() {
            return Err(Error::invalid(format!("{}: expected no layout, got one", layout.display())));
        }
        let blobs = layout.join(BLOBS);
        create_folders(&blobs).map_err(|e| Error::io(blobs.display(), e))?;
        for file in self.files() {
            let path = file.name().split('/').fold(folder.to_owned(), |path, part| path.join(part));
            let mut reader = open(&path, Access::Read).map_err(|e| Error::io(path.display(), e))?;
            let (size, digest) = (file.blob().size(), file.blob().digest());
            copy(&blobs, digest, PackageFile::whole(file.name(), size, Some(digest), &mut reader))?;
        }
        for bytes in [self.config_bytes()?, self.manifest().to_vec()] {
            let digest = digest_of(&bytes);
            copy(&blobs, digest, PackageFile::whole("", bytes.len() as u64, Some(digest), &mut &bytes[..]))?;
        }
        let mark = write(&LayoutJson { image_layout_version: VERSION.into() })?;
        for (name, bytes) in [(MARK, mark), (INDEX, self.index(tag)?)] {
            let mut disk = Folder::new(layout.into());
            disk::replace(&mut disk, name, PART, &bytes).map_err(|e| Error::io(layout.join(name).display(), e))?;
        }
        Ok(())
    }

    fn index(&self, tag: Option<&str>) -> Result<Vec<u8>> {
        let manifest = Descriptor {
            media_type: media::OCI_MANIFEST.into(),
            digest: format!("sha256:{}", self.digest()),
            size: self.manifest().len() as u64,
            artifact_type: Some(media::MODEL.into()),
            annotations: tag.map(|tag| [(REF_NAME.to_string(), tag.to_string())].into()),
        };
        write(&IndexJson { schema_version: 2, media_type: Some(media::OCI_INDEX.into()), manifests: vec![manifest] })
    }
}

/// Writes a blob; it has its name once it is whole and right.
fn copy(blobs: &Path, digest: Digest, mut file: PackageFile<'_>) -> Result<()> {
    let name = digest.to_string();
    let io = |e| Error::io(blobs.join(&name).display(), e);
    let mut new = NewFile::over(Folder::new(blobs.into()), &name, PART).map_err(io)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return new.publish().map_err(io),
            read => new.write_all(&buffer[..read]).map_err(io)?,
        }
    }
}
