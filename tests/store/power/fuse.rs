//! The disk as a file that the kernel can read and write: a folder with one file, by the protocol of FUSE.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use super::disk::Disk;
use super::mounts::{Mount, run};

/// The most bytes of one write.
const MAX_WRITE: u32 = 128 << 10;
const HEADER: usize = 40;
const FOLDER: u64 = 1;
const FILE: u64 = 2;
const NAME: &[u8] = b"disk\0";
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const ENOSYS: i32 = 38;

/// While it is there, the disk is a file. To be dropped after all that is mounted of it.
pub(super) struct DiskFile {
    mount: Option<Mount>,
    server: Option<JoinHandle<()>>,
    path: PathBuf,
}

impl DiskFile {
    pub(super) fn serve(disk: &Disk, folder: &Path) -> Result<Self, String> {
        let device =
            OpenOptions::new().read(true).write(true).open("/dev/fuse").map_err(|e| format!("/dev/fuse: {e}"))?;
        std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-i", "-t", "fuse", "-o", "fd=0,rootmode=40000,user_id=0,group_id=0", "disk"]).arg(folder);
        run(mount.stdin(Stdio::from(device.try_clone().map_err(|e| e.to_string())?)))?;
        let (disk, mount) = (disk.clone(), Mount::at(folder));
        let server = std::thread::spawn(move || serve(device, &disk));
        Ok(Self { mount: Some(mount), server: Some(server), path: folder.join("disk") })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        // The end of the mount ends the server.
        drop(self.mount.take());
        let _ = self.server.take().map(JoinHandle::join);
    }
}

fn serve(mut device: File, disk: &Disk) {
    let mut request = vec![0; MAX_WRITE as usize + (64 << 10)];
    loop {
        let len = match device.read(&mut request) {
            Ok(len) if len >= HEADER => len,
            // A request that was taken back, or a signal.
            Err(e) if matches!(e.raw_os_error(), Some(ENOENT | 4 | 11)) => continue,
            // The mount is gone.
            _ => return,
        };
        let request = &request[..len];
        let Some(answer) = answer(disk, request) else { continue };
        let (error, body) = answer.map_or_else(|error| (-error, Vec::new()), |body| (0, body));
        let len = (16 + body.len()) as u32;
        let head = [&len.to_ne_bytes()[..], &error.to_ne_bytes(), &request[8..16]].concat();
        // The asker may be gone.
        let _ = device.write_all(&[head, body].concat());
    }
}

/// What is answered to a request, or the number of an error; `None` for one that wants no answer.
fn answer(disk: &Disk, request: &[u8]) -> Option<Result<Vec<u8>, i32>> {
    let (head, body) = request.split_at(HEADER);
    let node = u64_at(head, 16);
    Some(match u32_at(head, 4) {
        // LOOKUP
        1 if body == NAME => Ok([words64(&[FILE, 0, 3600, 3600, 0]), attributes(FILE, disk)].concat()),
        1 => Err(ENOENT),
        // FORGET, INTERRUPT, BATCH_FORGET
        2 | 36 | 42 => return None,
        // GETATTR, SETATTR
        3 | 4 => Ok([words64(&[3600, 0]), attributes(node, disk)].concat()),
        // OPEN, OPENDIR: past the kernel's cache, so that each write comes here.
        14 | 27 => Ok([words64(&[0]), words32(&[1, 0])].concat()),
        // READ
        15 => Ok(disk.read(u64_at(body, 8) as usize, u32_at(body, 16) as usize)),
        // WRITE
        16 => {
            let bytes = &body[40..40 + u32_at(body, 16) as usize];
            let is_written = disk.write(u64_at(body, 8) as usize, bytes);
            if is_written { Ok(words32(&[bytes.len() as u32, 0])) } else { Err(EIO) }
        }
        // STATFS
        17 => Ok(vec![0; 80]),
        // FSYNC
        20 => {
            disk.flush();
            Ok(Vec::new())
        }
        // RELEASE, FLUSH (of a closed file, which keeps nothing), RELEASEDIR, DESTROY
        18 | 25 | 29 | 38 => Ok(Vec::new()),
        // INIT: version 7.31, large writes.
        26 => Ok([words32(&[7, 31, 0, 1 << 5, 12 | 9 << 16, MAX_WRITE, 1]), vec![0; 36]].concat()),
        _ => Err(ENOSYS),
    })
}

fn attributes(node: u64, disk: &Disk) -> Vec<u8> {
    let (size, mode) = if node == FOLDER { (0, 0o040_755) } else { (disk.len() as u64, 0o100_600) };
    // Number, size, blocks, three times; their nanoseconds, mode, links, user, group, device, block size, flags.
    [words64(&[node, size, size / 512, 0, 0, 0]), words32(&[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0])].concat()
}

fn words64(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn words32(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}
