//! The calls of a simulated disk. What is written is pending until it is synced.

use std::io;

use super::{Node, Pending, SimDisk};
use crate::disk::{Disk, Entry, Stamp};

impl Disk for SimDisk {
    fn list(&mut self, folder: &str) -> io::Result<Vec<String>> {
        self.call()?;
        let tree = &self.sim().tree;
        Ok(tree.folders.get(tree.folder(folder)?).into_iter().flatten().map(|(name, _)| name.clone()).collect())
    }

    fn find(&mut self, name: &str) -> io::Result<Option<Entry>> {
        self.call()?;
        Ok(match self.sim().tree.node(name) {
            _ if name.is_empty() => Some(Entry::Folder),
            Ok(Node::File(_)) => Some(Entry::File),
            Ok(Node::Folder(_)) => Some(Entry::Folder),
            Err(_) => None,
        })
    }

    fn read(&mut self, name: &str, _most: u64) -> io::Result<Vec<u8>> {
        self.call()?;
        let tree = &self.sim().tree;
        Ok(tree.inodes[tree.inode(name)?].clone())
    }

    fn append(&mut self, name: &str, bytes: &[u8], is_new: bool) -> io::Result<()> {
        let called = self.call();
        let mut guard = self.sim();
        let sim = &mut *guard;
        if let Ok(false) = called {
            return Ok(());
        }
        if is_new {
            let (folder, name) = sim.tree.place(name)?;
            if sim.tree.get(folder, &name).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let node = Node::File(sim.tree.inodes.len());
            sim.tree.inodes.push(Vec::new());
            sim.tree.names_mut(folder).insert(name.clone(), node);
            sim.push(Pending::Link { folder, name, node });
        }
        let inode = sim.tree.inode(name)?;
        if sim.read_only.contains(&inode) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let offset = sim.tree.inodes[inode].len();
        // A write that fails may have got half way.
        let bytes = if called.is_err() { &bytes[..bytes.len() / 2] } else { bytes };
        sim.tree.inodes[inode].extend_from_slice(bytes);
        sim.appended += bytes.len() as u64;
        let room = sim.tree.image().values().map(|file| (file.len() as u64).next_multiple_of(4096)).sum();
        sim.most_room = sim.most_room.max(room);
        sim.push(Pending::Data { inode, offset, bytes: bytes.into() });
        called.map(drop)
    }

    fn create_folder(&mut self, name: &str) -> io::Result<()> {
        if self.call()? {
            let mut sim = self.sim();
            if sim.tree.node(name).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let (folder, within) = sim.tree.place(name)?;
            let node = Node::Folder(sim.tree.folder_or_new(name));
            sim.push(Pending::Link { folder, name: within, node });
        }
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let called = self.call()?;
        let mut sim = self.sim();
        let file = sim.tree.inode(name)?;
        if sim.syncs(name)? && called {
            sim.make_durable(
                |op| matches!(op, Pending::Data { inode, .. } | Pending::Truncate { inode, .. } if *inode == file),
            );
        }
        Ok(())
    }

    fn sync_names(&mut self, folder: &str) -> io::Result<()> {
        let called = self.call()?;
        let mut sim = self.sim();
        if sim.syncs(folder)? && called {
            let meant = sim.tree.folder(folder)?;
            sim.make_durable(|op| match op {
                Pending::Data { .. } | Pending::Truncate { .. } => false,
                Pending::Link { folder, .. } | Pending::Unlink { folder, .. } => *folder == meant,
                Pending::Rename { from, to } => from.0 == meant || to.0 == meant,
            });
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        if self.call()? {
            let mut sim = self.sim();
            if let Node::Folder(folder) = sim.tree.node(name)? {
                for (folder, name) in sim.tree.empty(folder) {
                    sim.push(Pending::Unlink { folder, name });
                }
            }
            let (folder, name) = sim.tree.place(name)?;
            sim.tree.names_mut(folder).remove(&name);
            sim.push(Pending::Unlink { folder, name });
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        if self.call()? {
            let mut sim = self.sim();
            let (node, from, to) = (sim.tree.node(from)?, sim.tree.place(from)?, sim.tree.place(to)?);
            if let Some(Node::Folder(_)) = sim.tree.get(to.0, &to.1) {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            sim.tree.names_mut(from.0).remove(&from.1);
            sim.tree.names_mut(to.0).insert(to.1.clone(), node);
            sim.push(Pending::Rename { from, to });
        }
        Ok(())
    }

    fn stamp(&mut self, name: &str) -> io::Result<Stamp> {
        self.call()?;
        let sim = self.sim();
        let inode = sim.tree.inode(name)?;
        let bytes = &sim.tree.inodes[inode];
        // Here a change of the bytes is a change of the time.
        let changed = i128::from(crc32c::crc32c(bytes));
        Ok(Stamp { len: bytes.len() as u64, names: 1, file: (0, inode as u64), changed: (changed, 0) })
    }

    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.call()?;
        let sim = self.sim();
        let bytes = sim.tree.inodes[sim.tree.inode(name)?].get(offset as usize..).unwrap_or_default();
        let len = bytes.len().min(into.len());
        into[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        if self.call()? {
            let mut sim = self.sim();
            let (inode, len) = (sim.tree.inode(name)?, len as usize);
            sim.tree.inodes[inode].truncate(len);
            sim.push(Pending::Truncate { inode, len });
        }
        Ok(())
    }

    fn reserve(&mut self, name: &str, _len: u64) -> io::Result<()> {
        self.call()?;
        self.sim().tree.inode(name).map(drop)
    }

    fn set_read_only(&mut self, name: &str) -> io::Result<()> {
        if self.call()? {
            let mut sim = self.sim();
            let inode = sim.tree.inode(name)?;
            sim.read_only.insert(inode);
        }
        Ok(())
    }
}
