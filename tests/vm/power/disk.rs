//! A disk in memory whose power goes at chosen moments: it keeps what it was told to flush, and of what came later
//! as much as luck leaves. It is a file on a FUSE mount of this process, below a loop device, which hands each write
//! and each flush on. Must not know what is on it.

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount, umount};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

const BLOCK: usize = 4096;
/// Between two copies there are at most so many writes and flushes.
const MOST_BETWEEN: u64 = 60;

/// What a disk would hold; blocks that are not there are zeros.
type Blocks = BTreeMap<u64, Arc<[u8]>>;

/// What the disk would have held if its power had gone.
pub(super) struct Copy {
    blocks: Blocks,
    /// What the clock said.
    pub(super) time: u64,
    /// Writes since the last flush, and how many of them are there.
    pub(super) unflushed: usize,
    pub(super) kept: usize,
}

impl Copy {
    pub(super) fn write(&self, path: &Path, size: u64) -> Result<()> {
        let file = File::create(path)?;
        file.set_len(size)?;
        for (number, block) in &self.blocks {
            file.write_all_at(block, number * BLOCK as u64)?;
        }
        Ok(())
    }
}

/// A disk that is attached.
pub(super) struct Disk {
    path: PathBuf,
    medium: Arc<Mutex<Medium>>,
}

impl Disk {
    /// Begins with this image. `clock` is noted with each copy.
    pub(super) fn new(path: &Path, image: &Path, clock: Arc<AtomicU64>, seed: u64) -> Result<Self> {
        let medium = Medium::read(image, clock, seed)?;
        let size = medium.size;
        let medium = Arc::new(Mutex::new(medium));
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
        File::create(path)?;
        // The root of the mount is the file itself.
        let options = format!("fd={},rootmode=100000,user_id=0,group_id=0", device.as_raw_fd());
        mount(Some("disk"), path, Some("fuse"), MsFlags::empty(), Some(options.as_str()))
            .context("cannot mount the disk's file")?;
        let served = Arc::clone(&medium);
        thread::Builder::new().name("disk".to_owned()).spawn(move || {
            if let Err(error) = serve(device, &served, size) {
                println!("the disk is gone: {error:#}");
            }
        })?;
        Ok(Self { path: path.to_owned(), medium })
    }

    /// Takes so many more copies.
    pub(super) fn copy(&self, copies: usize) {
        self.medium().wanted += copies;
    }

    /// Whether they are taken.
    pub(super) fn is_copied(&self) -> bool {
        self.medium().wanted == 0
    }

    pub(super) fn size(&self) -> u64 {
        self.medium().size
    }

    /// The copies; writes and flushes until now.
    pub(super) fn copies(&self) -> (Vec<Copy>, u64) {
        let mut medium = self.medium();
        (std::mem::take(&mut medium.copies), medium.acts)
    }

    fn medium(&self) -> std::sync::MutexGuard<'_, Medium> {
        self.medium.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = umount(&self.path) {
            println!("the disk's file stays mounted: {error}");
        }
    }
}

struct Medium {
    size: u64,
    current: Blocks,
    safe: Blocks,
    /// What came since the last flush, in order.
    unflushed: Vec<(u64, Vec<u8>)>,
    acts: u64,
    clock: Arc<AtomicU64>,
    random: u64,
    /// Copies that are to be taken, and how many acts later the next one is.
    wanted: usize,
    until: u64,
    copies: Vec<Copy>,
}

impl Medium {
    fn read(image: &Path, clock: Arc<AtomicU64>, seed: u64) -> Result<Self> {
        let bytes = fs::read(image)?;
        ensure!(bytes.len().is_multiple_of(BLOCK), "half a block");
        let is_used = |block: &&[u8]| block.iter().any(|byte| *byte != 0);
        let current: Blocks = (0..)
            .zip(bytes.chunks(BLOCK))
            .filter(|(_, block)| is_used(block))
            .map(|(number, block)| (number, Arc::from(block)))
            .collect();
        Ok(Self {
            size: bytes.len() as u64,
            safe: current.clone(),
            current,
            unflushed: Vec::new(),
            acts: 0,
            clock,
            random: seed | 1,
            wanted: 0,
            until: 1,
            copies: Vec::new(),
        })
    }

    fn read_at(&self, offset: u64, length: usize) -> Vec<u8> {
        let end = offset.saturating_add(length as u64).min(self.size);
        let mut bytes = Vec::with_capacity(length);
        let mut at = offset;
        while at < end {
            let inside = (at % BLOCK as u64) as usize;
            let count = (BLOCK - inside).min((end - at) as usize);
            match self.current.get(&(at / BLOCK as u64)) {
                Some(block) => bytes.extend(block.iter().skip(inside).take(count)),
                None => bytes.resize(bytes.len() + count, 0),
            }
            at += count as u64;
        }
        bytes
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        put(&mut self.current, offset, bytes);
        self.unflushed.push((offset, bytes.to_vec()));
        self.acted();
    }

    fn flush(&mut self) {
        self.safe = self.current.clone();
        self.unflushed.clear();
        self.acted();
    }

    /// The moments at which power goes are those between two acts: the disk does not change at others.
    fn acted(&mut self) {
        self.acts += 1;
        if self.wanted == 0 {
            return;
        }
        self.until = self.until.saturating_sub(1);
        if self.until > 0 {
            return;
        }
        self.until = 1 + self.random() % MOST_BETWEEN;
        self.wanted -= 1;
        // Nothing that was not flushed is there, or all of it, or some of it in no order.
        let luck = self.random() % 3;
        let mut blocks = self.safe.clone();
        let mut kept = 0;
        for (offset, bytes) in std::mem::take(&mut self.unflushed) {
            let is_kept = luck == 1 || luck == 2 && self.random().is_multiple_of(2);
            if is_kept {
                put(&mut blocks, offset, &bytes);
                kept += 1;
            }
            self.unflushed.push((offset, bytes));
        }
        let (time, unflushed) = (self.clock.load(Ordering::SeqCst), self.unflushed.len());
        self.copies.push(Copy { blocks, time, unflushed, kept });
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}

fn put(blocks: &mut Blocks, offset: u64, bytes: &[u8]) {
    let mut rest = bytes;
    let mut at = offset;
    while !rest.is_empty() {
        let inside = (at % BLOCK as u64) as usize;
        let (now, later) = rest.split_at((BLOCK - inside).min(rest.len()));
        let mut block =
            blocks.get(&(at / BLOCK as u64)).map_or_else(|| vec![0; BLOCK], |block| block.to_vec());
        for (place, byte) in block.iter_mut().skip(inside).zip(now) {
            *place = *byte;
        }
        blocks.insert(at / BLOCK as u64, Arc::from(block));
        at += now.len() as u64;
        rest = later;
    }
}

/// Answers the kernel's requests (include/uapi/linux/fuse.h) until the file is unmounted.
fn serve(mut device: File, medium: &Mutex<Medium>, size: u64) -> Result<()> {
    const MOST: usize = 128 << 10;
    let mut buffer = vec![0; MOST + BLOCK];
    loop {
        let length = match device.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::NotFound) => {
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let request = Request(buffer.get(..length).unwrap_or_default());
        let mut medium = medium.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match request.code() {
            code::FORGET | code::BATCH_FORGET | code::INTERRUPT => continue,
            code::INIT => Ok(init(MOST as u32)),
            code::GETATTR | code::SETATTR => Ok(attributes(size)),
            // A handle, and no flags.
            code::OPEN => Ok(vec![0; 16]),
            code::READ => Ok(medium.read_at(request.long(8), request.word(16) as usize)),
            code::WRITE => {
                let bytes = request.after(40);
                medium.write_at(request.long(8), bytes);
                Ok(words(&[bytes.len() as u32, 0]))
            }
            code::FSYNC => {
                medium.flush();
                Ok(Vec::new())
            }
            code::RELEASE | code::FLUSH => Ok(Vec::new()),
            _ => Err(Errno::ENOSYS),
        };
        drop(medium);
        let (error, data) =
            answer.map_or_else(|error| (-(error as i32), Vec::new()), |data| (0, data));
        let mut reply = words(&[16 + data.len() as u32, error.cast_unsigned()]);
        reply.extend(request.unique());
        reply.extend(data);
        match device.write_all(&reply) {
            // Whoever asked does not wait any more.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
}

mod code {
    pub(super) const FORGET: u32 = 2;
    pub(super) const GETATTR: u32 = 3;
    pub(super) const SETATTR: u32 = 4;
    pub(super) const OPEN: u32 = 14;
    pub(super) const READ: u32 = 15;
    pub(super) const WRITE: u32 = 16;
    pub(super) const RELEASE: u32 = 18;
    pub(super) const FSYNC: u32 = 20;
    pub(super) const FLUSH: u32 = 25;
    pub(super) const INIT: u32 = 26;
    pub(super) const INTERRUPT: u32 = 36;
    pub(super) const BATCH_FORGET: u32 = 42;
}

/// One request: a header of 40 bytes, and what belongs to its code.
struct Request<'a>(&'a [u8]);

impl Request<'_> {
    const HEADER: usize = 40;

    fn code(&self) -> u32 {
        u32::from_le_bytes(self.array(4))
    }

    fn unique(&self) -> [u8; 8] {
        self.array(8)
    }

    fn word(&self, place: usize) -> u32 {
        u32::from_le_bytes(self.array(Self::HEADER + place))
    }

    fn long(&self, place: usize) -> u64 {
        u64::from_le_bytes(self.array(Self::HEADER + place))
    }

    fn after(&self, place: usize) -> &[u8] {
        self.0.get(Self::HEADER + place..).unwrap_or_default()
    }

    fn array<const N: usize>(&self, place: usize) -> [u8; N] {
        let bytes = self.0.get(place..).and_then(|rest| rest.first_chunk());
        bytes.copied().unwrap_or([0; N])
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// struct fuse_init_out: version 7.31, no read-ahead, no flags, defaults, and the most that is written at once.
fn init(most: u32) -> Vec<u8> {
    let mut answer = words(&[7, 31, 0, 0, 0, most, 1]);
    answer.resize(64, 0);
    answer
}

/// struct fuse_attr_out: one file, of root's, that never changes its size.
fn attributes(size: u64) -> Vec<u8> {
    const FOR_SECONDS: u64 = 3_600;
    const REGULAR: u32 = 0o100_600;
    let mut answer = Vec::new();
    for number in [FOR_SECONDS, 0, 1, size, size / 512, 0, 0, 0] {
        answer.extend(number.to_le_bytes());
    }
    // Parts of seconds, mode, links, owner, group, device, block size, flags.
    answer.extend(words(&[0, 0, 0, REGULAR, 1, 0, 0, 0, BLOCK as u32, 0]));
    answer
}
