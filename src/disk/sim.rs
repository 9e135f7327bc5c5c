//! A disk whose power may go at any moment, and whose calls may fail.
//!
//! What was written and not synced is a list of pending operations. A crash keeps any part of them, in any order, and
//! tears what it keeps at the borders of blocks. `calls` is what the calls of a disk do here.

mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

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
    Truncate {
        inode: usize,
        len: usize,
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
    /// The bytes that were put at the end of files.
    pub(crate) appended: u64,
    /// The names that were synced, in order; a folder's is that of its own.
    pub(crate) syncs: Vec<String>,
    /// The sync, by its number, that does nothing and says that it went well.
    pub(crate) leaves_out: Option<usize>,
    /// The name whose syncs do nothing and say that they went well.
    pub(crate) leaves_out_all: Option<String>,
    /// The sync, by its number, that fails.
    pub(crate) fails_sync: Option<usize>,
    pub(crate) fault: Option<Fault>,
    pub(crate) calls: usize,
    /// Files that are not to be written again.
    read_only: BTreeSet<usize>,
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
            let (folder, name) = match name.rsplit_once('/') {
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
    /// What the process sees.
    pub(crate) fn image(&self) -> Image {
        self.tree.image()
    }

    /// Whether a sync is to do anything.
    fn syncs(&mut self, name: &str) -> io::Result<bool> {
        let number = self.syncs.len();
        self.syncs.push(name.into());
        if self.fails_sync == Some(number) {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(self.leaves_out != Some(number) && self.leaves_out_all.as_deref() != Some(name))
    }

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
    fn folder(&self, path: &str) -> io::Result<usize> {
        let inside = |folder, name| match self.get(folder, name) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        path.split('/').filter(|name| !name.is_empty()).try_fold(0, inside)
    }

    fn folder_or_new(&mut self, path: &str) -> usize {
        let mut folder = 0;
        for name in path.split('/') {
            folder = match self.get(folder, name) {
                Some(Node::Folder(inside)) => inside,
                _ => {
                    let new = self.folders.len().max(1);
                    self.names_mut(new);
                    self.names_mut(folder).insert(name.into(), Node::Folder(new));
                    new
                }
            };
        }
        folder
    }

    /// Takes all names out of a folder and those in it; each with the folder that had it.
    fn empty(&mut self, folder: usize) -> Vec<(usize, String)> {
        let mut taken = Vec::new();
        for (name, node) in std::mem::take(self.names_mut(folder)) {
            if let Node::Folder(inside) = node {
                taken.extend(self.empty(inside));
            }
            taken.push((folder, name));
        }
        taken
    }

    /// The number of the folder that something lies in, and its name there.
    fn place(&self, path: &str) -> io::Result<(usize, String)> {
        match path.rsplit_once('/') {
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
            Pending::Truncate { inode, len } => {
                if let Some(file) = self.inodes.get_mut(*inode) {
                    file.truncate(*len);
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
        let mut image = Image::new();
        self.add_to(&mut image, 0, "");
        image
    }

    fn add_to(&self, image: &mut Image, folder: usize, prefix: &str) {
        for (name, node) in self.folders.get(folder).into_iter().flatten() {
            match node {
                Node::File(inode) => {
                    image.insert(format!("{prefix}{name}"), self.inodes.get(*inode).cloned().unwrap_or_default());
                }
                Node::Folder(inside) => {
                    let (before, prefix) = (image.len(), format!("{prefix}{name}/"));
                    self.add_to(image, *inside, &prefix);
                    if image.len() == before {
                        image.insert(prefix, Vec::new());
                    }
                }
            }
        }
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
