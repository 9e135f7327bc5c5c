//! A disk whose power may go at any moment, and whose calls may fail.
//!
//! What was written and not synced is a list of pending operations. A crash keeps any part of them, in any order, and
//! tears what it keeps at the borders of blocks.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, Entry};

/// The names in one folder.
type Names = BTreeMap<String, Node>;
/// What crashes leave: files by their names; a folder with nothing in it is `NAME/`.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// What a name stands for, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    File(usize),
    Folder(usize),
}

/// An operation that no sync has made durable.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    Data {
        inode: usize,
        offset: usize,
        bytes: Vec<u8>,
    },
    Link {
        folder: usize,
        name: String,
        node: Node,
    },
    Unlink {
        folder: usize,
        name: String,
    },
    /// Each a folder and a name in it.
    Rename {
        from: (usize, String),
        to: (usize, String),
    },
}

/// What a crash finds: what is durable, and what may be.
#[derive(Clone, Default)]
pub(crate) struct Moment {
    pub(crate) pending: Vec<Pending>,
    tree: Tree,
    /// How many steps of the workload were done.
    pub(crate) steps: usize,
}

/// Files and folders; folder 0 is the disk itself.
#[derive(Clone, Default)]
struct Tree {
    inodes: Vec<Vec<u8>>,
    folders: Vec<Names>,
}

/// Which call fails, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) forever: bool,
    pub(crate) kind: io::ErrorKind,
    /// Says that it went well, and did nothing: for the negative control.
    pub(crate) lies: bool,
}

#[derive(Default)]
pub(crate) struct Sim {
    /// As the running process sees it.
    tree: Tree,
    durable: Moment,
    /// After each call that changes something.
    pub(crate) moments: Vec<Moment>,
    pub(crate) steps: usize,
    pub(crate) ignores_sync: bool,
    pub(crate) fault: Option<Fault>,
    pub(crate) calls: usize,
    /// What all files took at most, each rounded up to a block.
    pub(crate) most_room: u64,
}

#[derive(Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<Sim>>);

impl SimDisk {
    /// A disk on which these files have been for long.
    pub(crate) fn holding(files: Image) -> Self {
        let mut tree = Tree::default();
        for (name, bytes) in files {
            let (folder, name) = match name.split_once('/') {
                Some((folder, name)) => (tree.folder_or_new(folder), name),
                None => (0, &*name),
            };
            if !name.is_empty() {
                let inode = tree.inodes.len();
                tree.inodes.push(bytes);
                tree.names_mut(folder).insert(name.into(), Node::File(inode));
            }
        }
        let durable = Moment { tree: tree.clone(), ..Moment::default() };
        Self(Arc::new(Mutex::new(Sim { tree, durable, ..Sim::default() })))
    }

    pub(crate) fn sim(&self) -> MutexGuard<'_, Sim> {
        self.0.lock().unwrap()
    }

    pub(crate) fn has_unsynced_data(&self) -> bool {
        let is_data = |op: &Pending| matches!(op, Pending::Data { .. } | Pending::Link { .. });
        self.sim().durable.pending.iter().any(is_data)
    }

    /// Turns the bits of one byte of a file.
    pub(crate) fn flip(&self, name: &str, at: usize) {
        let mut sim = self.sim();
        let inode = sim.tree.inode(name).unwrap();
        sim.tree.inodes[inode][at] ^= 0xff;
    }

    /// `Ok(false)`: the call is to do nothing and say that it went well.
    fn call(&self) -> io::Result<bool> {
        let mut sim = self.sim();
        sim.calls += 1;
        match sim.fault {
            Some(fault) if sim.calls == fault.at || fault.forever && sim.calls > fault.at => {
                if fault.lies {
                    Ok(false)
                } else {
                    Err(fault.kind.into())
                }
            }
            _ => Ok(true),
        }
    }
}

impl Sim {
    fn push(&mut self, op: Pending) {
        self.durable.pending.push(op);
        self.keep_moment();
    }

    pub(crate) fn keep_moment(&mut self) {
        let moment = Moment { steps: self.steps, ..self.durable.clone() };
        self.moments.push(moment);
    }

    fn make_durable(&mut self, is_meant: impl Fn(&Pending) -> bool) {
        if self.ignores_sync {
            return;
        }
        let (meant, left) = std::mem::take(&mut self.durable.pending).into_iter().partition(is_meant);
        self.durable.pending = left;
        let meant: Vec<Pending> = meant;
        meant.iter().for_each(|op| self.durable.tree.apply(op));
        self.keep_moment();
    }
}

impl Tree {
    fn names_mut(&mut self, folder: usize) -> &mut Names {
        if self.folders.len() <= folder {
            self.folders.resize(folder + 1, Names::new());
        }
        &mut self.folders[folder]
    }

    fn get(&self, folder: usize, name: &str) -> Option<Node> {
        self.folders.get(folder)?.get(name).copied()
    }

    /// The number of a folder.
    fn folder(&self, name: &str) -> io::Result<usize> {
        match self.get(0, name) {
            _ if name.is_empty() => Ok(0),
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn folder_or_new(&mut self, name: &str) -> usize {
        if let Some(Node::Folder(folder)) = self.get(0, name) {
            return folder;
        }
        let folder = self.folders.len().max(1);
        self.names_mut(folder);
        self.names_mut(0).insert(name.into(), Node::Folder(folder));
        folder
    }

    /// The number of the folder that something lies in, and its name there.
    fn place(&self, path: &str) -> io::Result<(usize, String)> {
        match path.split_once('/') {
            Some((folder, name)) => Ok((self.folder(folder)?, name.into())),
            None => Ok((0, path.into())),
        }
    }

    fn node(&self, path: &str) -> io::Result<Node> {
        let (folder, name) = self.place(path)?;
        self.get(folder, &name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode(&self, path: &str) -> io::Result<usize> {
        match self.node(path)? {
            Node::File(inode) => Ok(inode),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn apply(&mut self, op: &Pending) {
        match op {
            Pending::Data { inode, offset, bytes } => self.write(*inode, *offset, bytes),
            Pending::Link { folder, name, node } => drop(self.names_mut(*folder).insert(name.clone(), *node)),
            Pending::Unlink { folder, name } => drop(self.names_mut(*folder).remove(name)),
            Pending::Rename { from, to } => {
                if let Some(node) = self.names_mut(from.0).remove(&from.1) {
                    self.names_mut(to.0).insert(to.1.clone(), node);
                }
            }
        }
    }

    fn write(&mut self, inode: usize, offset: usize, bytes: &[u8]) {
        if self.inodes.len() <= inode {
            self.inodes.resize(inode + 1, Vec::new());
        }
        let file = &mut self.inodes[inode];
        file.resize(file.len().max(offset + bytes.len()), 0);
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn image(&self) -> Image {
        let content = |inode: usize| self.inodes.get(inode).cloned().unwrap_or_default();
        let mut image = Image::new();
        for (name, node) in self.folders.first().into_iter().flatten() {
            match node {
                Node::File(inode) => drop(image.insert(name.clone(), content(*inode))),
                Node::Folder(folder) => {
                    let names = self.folders.get(*folder).into_iter().flatten();
                    let files = names.filter_map(|(file, node)| match node {
                        Node::File(inode) => Some((format!("{name}/{file}"), content(*inode))),
                        Node::Folder(_) => None,
                    });
                    let before = image.len();
                    image.extend(files);
                    if image.len() == before {
                        image.insert(format!("{name}/"), Vec::new());
                    }
                }
            }
        }
        image
    }
}

impl Moment {
    /// The disks that a crash at this moment may leave.
    pub(crate) fn crashes(&self) -> Vec<Image> {
        let mut images = Vec::new();
        for kept in subsets(self.pending.len()) {
            let mut base = self.tree.clone();
            kept.iter().for_each(|i| base.apply(&self.pending[*i]));
            images.push(base.image());
            // Any one of the writes that were kept may be torn.
            for torn in &kept {
                let Pending::Data { inode, offset, bytes } = &self.pending[*torn] else { continue };
                for (bytes, is_cut) in tears(*offset, bytes) {
                    let mut base = self.tree.clone();
                    for i in &kept {
                        match i == torn {
                            true => base.write(*inode, *offset, &bytes),
                            false => base.apply(&self.pending[*i]),
                        }
                    }
                    if is_cut {
                        base.inodes[*inode].truncate(offset + bytes.len());
                    }
                    images.push(base.image());
                }
            }
        }
        images
    }
}

/// All subsets of a few; of many: none, all, each beginning, all but one, only one.
fn subsets(n: usize) -> Vec<Vec<usize>> {
    if n <= 5 {
        return (0..1 << n).map(|bits| (0..n).filter(|i| bits >> i & 1 == 1).collect()).collect();
    }
    let beginnings = (0..=n).map(|end| (0..end).collect());
    let without = (0..n).map(|out| (0..n).filter(|i| *i != out).collect());
    let only = (0..n).map(|i| vec![i]);
    beginnings.chain(without).chain(only).collect()
}

/// A write of which some blocks did not arrive: the first blocks alone, with the file cut there or not, all but one, and
/// all but the first ones. What did not arrive is zeros, or what was on the disk before.
fn tears(offset: usize, bytes: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let mut tears = Vec::new();
    for block in [512, 4096] {
        let borders: Vec<usize> =
            (offset / block + 1..).map(|b| b * block - offset).take_while(|b| *b < bytes.len()).collect();
        let mut begin = 0;
        for border in borders {
            for fill in [0, 0xa5] {
                let mut first = bytes.to_vec();
                first[border..].fill(fill);
                tears.push((first, false));
                let mut last = bytes.to_vec();
                last[..border].fill(fill);
                tears.push((last, false));
                let mut hole = bytes.to_vec();
                hole[begin..border].fill(fill);
                tears.push((hole, false));
            }
            tears.push((bytes[..border].to_vec(), true));
            begin = border;
        }
    }
    tears
}

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
        let offset = sim.tree.inodes[inode].len();
        // A write that fails may have got half way.
        let bytes = if called.is_err() { &bytes[..bytes.len() / 2] } else { bytes };
        sim.tree.inodes[inode].extend_from_slice(bytes);
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
            let node = Node::Folder(sim.tree.folder_or_new(name));
            sim.push(Pending::Link { folder: 0, name: name.into(), node });
        }
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let called = self.call()?;
        let mut sim = self.sim();
        let file = sim.tree.inode(name)?;
        if called {
            sim.make_durable(|op| matches!(op, Pending::Data { inode, .. } if *inode == file));
        }
        Ok(())
    }

    fn sync_names(&mut self, folder: &str) -> io::Result<()> {
        if self.call()? {
            let mut sim = self.sim();
            let meant = sim.tree.folder(folder)?;
            sim.make_durable(|op| match op {
                Pending::Data { .. } => false,
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
                for (name, _) in std::mem::take(sim.tree.names_mut(folder)) {
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
}
