//! A disk whose power may go at any moment, and whose calls may fail.
//!
//! What was written and not synced is a list of pending operations. A crash keeps any part of them, in any order, and
//! tears what it keeps at the borders of blocks.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::disk::Disk;

type Names = BTreeMap<String, usize>;

/// An operation that no sync has made durable.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    Data { inode: usize, offset: usize, bytes: Vec<u8> },
    Link { name: String, inode: usize },
    Unlink { name: String },
    Rename { from: String, to: String },
}

/// What a crash finds: what is durable, and what may be.
#[derive(Clone, Default)]
pub(super) struct Moment {
    pub(super) pending: Vec<Pending>,
    inodes: Vec<Vec<u8>>,
    names: Names,
    /// How many steps of the workload were done.
    pub(super) steps: usize,
}

/// Which call fails, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) forever: bool,
    pub(super) kind: io::ErrorKind,
    /// Says that it went well, and did nothing: for the negative control.
    pub(super) lies: bool,
}

#[derive(Default)]
pub(super) struct Sim {
    /// As the running process sees it.
    inodes: Vec<Vec<u8>>,
    names: Names,
    durable: Moment,
    /// After each call that changes something.
    pub(super) moments: Vec<Moment>,
    pub(super) steps: usize,
    pub(super) ignores_sync: bool,
    pub(super) fault: Option<Fault>,
    pub(super) calls: usize,
    /// What all files took at most, each rounded up to a block.
    pub(super) most_room: u64,
}

#[derive(Clone, Default)]
pub(super) struct SimDisk(Arc<Mutex<Sim>>);

impl SimDisk {
    /// A disk on which these files have been for long.
    pub(super) fn holding(files: BTreeMap<String, Vec<u8>>) -> Self {
        let names: Names = files.keys().cloned().zip(0..).collect();
        let inodes: Vec<Vec<u8>> = files.into_values().collect();
        let durable = Moment { inodes: inodes.clone(), names: names.clone(), ..Moment::default() };
        Self(Arc::new(Mutex::new(Sim { inodes, names, durable, ..Sim::default() })))
    }

    pub(super) fn sim(&self) -> MutexGuard<'_, Sim> {
        self.0.lock().unwrap()
    }

    pub(super) fn has_unsynced_data(&self) -> bool {
        let is_data = |op: &Pending| matches!(op, Pending::Data { .. } | Pending::Link { .. });
        self.sim().durable.pending.iter().any(is_data)
    }

    /// Turns the bits of one byte of a file.
    pub(super) fn flip(&self, name: &str, at: usize) {
        let mut sim = self.sim();
        let inode = sim.inode(name).unwrap();
        sim.inodes[inode][at] ^= 0xff;
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

    pub(super) fn keep_moment(&mut self) {
        let moment = Moment { steps: self.steps, ..self.durable.clone() };
        self.moments.push(moment);
    }

    fn inode(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn make_durable(&mut self, is_meant: impl Fn(&Pending) -> bool) {
        if self.ignores_sync {
            return;
        }
        let (meant, left) = std::mem::take(&mut self.durable.pending).into_iter().partition(is_meant);
        self.durable.pending = left;
        let meant: Vec<Pending> = meant;
        meant.iter().for_each(|op| self.durable.apply(op));
        self.keep_moment();
    }
}

impl Moment {
    fn apply(&mut self, op: &Pending) {
        match op {
            Pending::Data { inode, offset, bytes } => self.write(*inode, *offset, bytes),
            Pending::Link { name, inode } => drop(self.names.insert(name.clone(), *inode)),
            Pending::Unlink { name } => drop(self.names.remove(name)),
            Pending::Rename { from, to } => {
                if let Some(inode) = self.names.remove(from) {
                    self.names.insert(to.clone(), inode);
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

    fn files(self) -> BTreeMap<String, Vec<u8>> {
        let content = |inode: usize| self.inodes.get(inode).cloned().unwrap_or_default();
        self.names.into_iter().map(|(name, inode)| (name, content(inode))).collect()
    }

    /// The disks that a crash at this moment may leave.
    pub(super) fn crashes(&self) -> Vec<BTreeMap<String, Vec<u8>>> {
        let mut images = Vec::new();
        for kept in subsets(self.pending.len()) {
            let mut base = Self { pending: Vec::new(), ..self.clone() };
            kept.iter().for_each(|i| base.apply(&self.pending[*i]));
            images.push(base.files());
            // Any one of the writes that were kept may be torn.
            for torn in &kept {
                let Pending::Data { inode, offset, bytes } = &self.pending[*torn] else { continue };
                for (bytes, is_cut) in tears(*offset, bytes) {
                    let mut base = Self { pending: Vec::new(), ..self.clone() };
                    for i in &kept {
                        match i == torn {
                            true => base.write(*inode, *offset, &bytes),
                            false => base.apply(&self.pending[*i]),
                        }
                    }
                    if is_cut {
                        base.inodes[*inode].truncate(offset + bytes.len());
                    }
                    images.push(base.files());
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
    fn list(&mut self) -> io::Result<Vec<String>> {
        self.call()?;
        Ok(self.sim().names.keys().cloned().collect())
    }

    fn read(&mut self, name: &str, _most: u64) -> io::Result<Vec<u8>> {
        self.call()?;
        let sim = self.sim();
        Ok(sim.inodes[sim.inode(name)?].clone())
    }

    fn append(&mut self, name: &str, bytes: &[u8], is_new: bool) -> io::Result<()> {
        let called = self.call();
        let mut sim = self.sim();
        if let Ok(false) = called {
            return Ok(());
        }
        if is_new {
            if sim.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let inode = sim.inodes.len();
            sim.inodes.push(Vec::new());
            sim.names.insert(name.into(), inode);
            sim.push(Pending::Link { name: name.into(), inode });
        }
        let inode = sim.inode(name)?;
        let offset = sim.inodes[inode].len();
        // A write that fails may have got half way.
        let bytes = if called.is_err() { &bytes[..bytes.len() / 2] } else { bytes };
        sim.inodes[inode].extend_from_slice(bytes);
        let room = sim.names.values().map(|inode| (sim.inodes[*inode].len() as u64).next_multiple_of(4096)).sum();
        sim.most_room = sim.most_room.max(room);
        sim.push(Pending::Data { inode, offset, bytes: bytes.into() });
        called.map(drop)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let called = self.call()?;
        let mut sim = self.sim();
        let file = sim.inode(name)?;
        if called {
            sim.make_durable(|op| matches!(op, Pending::Data { inode, .. } if *inode == file));
        }
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        if self.call()? {
            self.sim().make_durable(|op| !matches!(op, Pending::Data { .. }));
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        if self.call()? {
            let mut sim = self.sim();
            sim.inode(name)?;
            sim.names.remove(name);
            sim.push(Pending::Unlink { name: name.into() });
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        if self.call()? {
            let mut sim = self.sim();
            let inode = sim.inode(from)?;
            sim.names.remove(from);
            sim.names.insert(to.into(), inode);
            sim.push(Pending::Rename { from: from.into(), to: to.into() });
        }
        Ok(())
    }
}
