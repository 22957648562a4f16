//! Going on with the log that is there: what a crash left is mended, what somebody changed is set aside as it is and
//! another log begins. A head that contradicts an earlier one is never signed (c2sp.org/tlog-checkpoint). Must not
//! write records.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use execlayer_api::places;
use execlayer_audit::{Checkpoint, Hash, Tile, Tree, read, segment};

use super::{
    Settings, Trail,
    accounts::Accounts,
    closed::{self, Closed},
    device::{self, Device},
    files::{self, Segment},
};
use crate::{record::time, store, trust};

/// What is locked, in the folder.
const LOCK: &str = ".lock";
/// Longer than any signed head.
const MAX_HEAD: usize = 64 << 10;

/// Why there is no trail.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// Another daemon writes it.
    #[error("another daemon writes the audit trail in `{}`", .0.display())]
    InUse(PathBuf),
    /// The disk.
    #[error("cannot open the audit trail in `{}`: {source}", folder.display())]
    Io {
        /// Where it should be.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What was there when a trail was opened: for its next record, and for whoever looks at the daemon's state.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The log's name.
    pub origin: String,
    /// Records that were there.
    pub size: u64,
    /// How many of them no head covered: the daemon before did not end by itself.
    pub unsigned: u64,
    /// Bytes of a last record that was not written whole, and is gone.
    pub torn: u64,
    /// What is wrong with the log that was there, and where it is now.
    pub set_aside: Option<String>,
    /// The newest head of that log.
    pub before: Option<Checkpoint>,
}

enum Damage {
    Io(io::Error),
    /// Not what this device wrote.
    Changed(String),
}

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn changed<T>(what: impl Into<String>) -> Result<T, Damage> {
    Err(Damage::Changed(what.into()))
}

/// Opens the trail, or begins one.
///
/// # Errors
///
/// A [`TrailError`]. A log that was changed is none: see [`Found::set_aside`].
pub fn open(settings: Settings) -> Result<(Trail, Found), TrailError> {
    let folder = settings.folder.clone();
    let failed = |source| TrailError::Io { folder: folder.clone(), source };
    files::make_folder(&folder).map_err(failed)?;
    let mut locked = lock(&folder)?;
    let (device, lost_key) = Device::load(&settings.state_dir).map_err(failed)?;
    let before = copy_of_head(&settings.state_dir, &device);
    let resumed = match &lost_key {
        None => resume(&settings, &device, before.as_ref()),
        Some(lost) if is_empty(&folder) => changed(lost),
        Some(lost) => changed(format!("{lost}; its log was")),
    };
    let problem = match resumed {
        Ok(Some(resumed)) => {
            return finish(settings, device, locked, resumed, Found::default()).map_err(failed);
        }
        Ok(None) => None,
        Err(Damage::Io(source)) if is_passing(&source) => return Err(failed(source)),
        Err(Damage::Io(source)) => Some(format!("a file of it cannot be read: {source}")),
        Err(Damage::Changed(problem)) => Some(problem),
    };
    let mut found = Found { before, ..Found::default() };
    if let Some(problem) = problem {
        let mut aside = folder.clone().into_os_string();
        aside.push(format!(".set-aside-{}", time::now()));
        fs::rename(&folder, &aside).map_err(failed)?;
        found.set_aside =
            Some(format!("{problem}: it is now in `{}`", Path::new(&aside).display()));
        files::make_folder(&folder).map_err(failed)?;
        locked = lock(&folder)?;
    }
    files::make_folder(&folder.join(segment::FOLDER)).map_err(failed)?;
    let accounts = Accounts::load(&settings.state_dir);
    let begun = begin(&folder, &device, accounts).map_err(failed)?;
    finish(settings, device, locked, begun, found).map_err(failed)
}

/// Whether it has nothing to do with what is in the log's files: they stay where they are, and the next start may read
/// them.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::PermissionDenied
            | ErrorKind::OutOfMemory
    )
}

/// A log, ready to be written to.
struct Resumed {
    origin: String,
    tree: Tree,
    segment: Segment,
    signed: u64,
    torn: u64,
    /// Full tiles of its last records, which may not be on the disk.
    tiles: Vec<(Tile, Vec<u8>)>,
    accounts: Accounts,
}

fn begin(folder: &Path, device: &Device, accounts: Accounts) -> io::Result<Resumed> {
    let origin = device.new_origin()?;
    let key = device.signer.public().named(&origin).map_err(io::Error::other)?;
    store::write_whole_as(folder, segment::PUBLIC_KEY, format!("{key}\n").as_bytes(), 0o644)?;
    let segment = Segment::begin(folder, 0)?;
    Ok(Resumed {
        origin,
        tree: Tree::default(),
        segment,
        signed: 0,
        torn: 0,
        tiles: Vec::new(),
        // What the log before accounted for stays so: it is still there, beside this one.
        accounts,
    })
}

fn finish(
    settings: Settings,
    device: Device,
    lock: File,
    resumed: Resumed,
    found: Found,
) -> io::Result<(Trail, Found)> {
    let Resumed { origin, tree, segment, signed, torn, tiles, accounts } = resumed;
    let size = tree.size();
    let found = Found { origin: origin.clone(), size, unsigned: size - signed, torn, ..found };
    let mut trail = Trail {
        settings,
        device,
        whence: device::whence(),
        origin,
        tree,
        segment,
        lock,
        gathered: Vec::new(),
        ends: Vec::new(),
        tiles,
        signed,
        signed_at: 0,
        is_unsynced: true,
        is_unwritable: false,
        is_unsyncable: false,
        closed: Closed::default(),
        accounts,
        unwritten: BTreeMap::new(),
        unwritten_in_all: 0,
    };
    for first in segments(&trail.settings.folder)? {
        let is_plain =
            trail.settings.folder.join(segment::FOLDER).join(segment::name(first)).exists();
        if is_plain && first < trail.segment.first() {
            trail.closed.add(first);
        }
    }
    files::clear_partial_tiles(&trail.settings.folder, size);
    // Also the first head of a log, without records, is signed at once: from here on it cannot vanish unseen.
    if let Err(error) = trail.checkpoint() {
        // A full disk keeps no gate from being put up: it is tried again with the first record.
        tracing::warn!("cannot sign the audit trail's head: {error}");
    }
    Ok((trail, found))
}

fn resume(
    settings: &Settings,
    device: &Device,
    copy: Option<&Checkpoint>,
) -> Result<Option<Resumed>, Damage> {
    let folder = &settings.folder;
    if copy.is_none_or(|copy| copy.size == 0) && !has_begun(folder)? {
        clear(folder)?;
        return Ok(None);
    }
    let Some(first) = last_segment(folder)? else {
        return match copy {
            None => changed("it has no records and no checkpoint of this device"),
            Some(copy) if is_empty(folder) => {
                changed(format!("its {} records are gone", copy.size))
            }
            Some(copy) => changed(format!("its {} records are gone; the rest", copy.size)),
        };
    };
    let head = match head(folder, Path::new(segment::CHECKPOINT), device)? {
        Some(head) => head,
        None => return changed("its checkpoint is gone"),
    };
    if let Some(copy) = copy {
        if copy.origin != head.origin {
            return changed(format!(
                "it is `{}`, and this device wrote `{}` last",
                head.origin, copy.origin
            ));
        }
        if copy.size < head.size {
            return changed("its checkpoint is newer than the one that this device signed last");
        }
    }
    let tree = match tree_before(folder, first, device)? {
        Some(tree) => tree,
        None => {
            return changed(format!(
                "the records before number {first} do not fit what was signed"
            ));
        }
    };
    let mut must_fit = vec![&head];
    must_fit.extend(copy);
    let mut accounts = Accounts::load(&settings.state_dir);
    let Replayed { tree, tiles, good, torn } =
        replay(folder, first, tree, &must_fit, &mut accounts)?;
    let segment = Segment::resume(folder, first, good)?;
    let signed = must_fit.iter().map(|head| head.size).max().unwrap_or_default();
    Ok(Some(Resumed { origin: head.origin.clone(), tree, segment, signed, torn, tiles, accounts }))
}

/// Whether anything was written into the folder that a daemon cannot have left there when it was killed while it began.
fn has_begun(folder: &Path) -> io::Result<bool> {
    if folder.join(segment::CHECKPOINT).exists() {
        return Ok(true);
    }
    for first in segments(folder)? {
        let plain = folder.join(segment::FOLDER).join(segment::name(first));
        if fs::symlink_metadata(plain).map_or(true, |found| found.len() != 0) {
            return Ok(true);
        }
    }
    Ok(fs::read_dir(folder)?.flatten().any(|entry| {
        let name = entry.file_name();
        name != segment::FOLDER && name != segment::PUBLIC_KEY && name != "log.new" && name != LOCK
    }))
}

/// Removes what a daemon left that was killed while it began.
fn clear(folder: &Path) -> io::Result<()> {
    let records = fs::remove_dir_all(folder.join(segment::FOLDER));
    let key = fs::remove_file(folder.join(segment::PUBLIC_KEY));
    for removed in [records, key] {
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The last segment, put onto the tree before it.
struct Replayed {
    tree: Tree,
    tiles: Vec<(Tile, Vec<u8>)>,
    /// Bytes of whole records, and behind them.
    good: u64,
    torn: u64,
}

fn replay(
    folder: &Path,
    first: u64,
    mut tree: Tree,
    heads: &[&Checkpoint],
    accounts: &mut Accounts,
) -> Result<Replayed, Damage> {
    let fits = |tree: &Tree| {
        heads.iter().filter(|head| head.size == tree.size()).all(|head| head.root == tree.root())
    };
    let mut full = Vec::new();
    let (mut good, mut torn) = (0, 0);
    let mut is_fitting = fits(&tree);
    let newest = heads.iter().map(|head| head.size).max().unwrap_or_default();
    each_line(folder, first, |line, is_whole| {
        if torn != 0 || !is_whole {
            torn += line.len() as u64 + u64::from(is_whole);
            return Ok(());
        }
        if segment::seq_of(line) != Some(tree.size()) {
            if tree.size() >= newest {
                // What was not synced can be anything after a lost power. No head covers it.
                torn = line.len() as u64 + 1;
                return Ok(());
            }
            return changed(format!("record {} is not in its place", tree.size()));
        }
        accounts.add_again(tree.size(), line);
        tree.append(Hash::of_leaf(line), |tile, hashes| full.push((tile, Tile::to_bytes(hashes))));
        is_fitting &= fits(&tree);
        good += line.len() as u64 + 1;
        Ok(())
    })?;
    if let Some(head) = heads.iter().find(|head| head.size > tree.size() || head.size < first) {
        return changed(format!("it has {} records, and {} were signed", tree.size(), head.size));
    }
    if !is_fitting {
        return changed(format!("its records behind number {first} do not fit what was signed"));
    }
    Ok(Replayed { tree, tiles: full, good, torn })
}

/// The tree of all records before a segment, if it is what was signed when the segment before it was closed.
fn tree_before(folder: &Path, first: u64, device: &Device) -> Result<Option<Tree>, Damage> {
    if first == 0 {
        return Ok(Some(Tree::default()));
    }
    // Its records may have been removed, as the settings ask.
    let heads = numbers(folder, segment::closed_of)?;
    let Some(before) = heads.into_iter().rfind(|&other| other < first) else { return Ok(None) };
    let name = Path::new(segment::FOLDER).join(segment::checkpoint_name(before));
    let Some(head) = head(folder, &name, device)?.filter(|head| head.size == first) else {
        return Ok(None);
    };
    let by_tiles = Tree::restore(first, |tile| {
        let bytes = fs::read(folder.join(tile.path()))?;
        tile.hashes_of(&bytes).ok_or(io::Error::from(io::ErrorKind::InvalidData))
    });
    if let Ok(tree) = by_tiles
        && tree.root() == head.root
    {
        return Ok(Some(tree));
    }
    // Tiles can be lost with the power: the records say the same.
    let mut tree = Tree::default();
    let mut full = Vec::new();
    let mut all = segments(folder)?;
    all.retain(|&other| other < first);
    all.sort_unstable();
    for other in all {
        each_line(folder, other, |line, _is_whole| {
            tree.append(Hash::of_leaf(line), |tile, hashes| {
                full.push((tile, Tile::to_bytes(hashes)))
            });
            Ok(())
        })?;
    }
    if (tree.size(), tree.root()) != (first, head.root) {
        return Ok(None);
    }
    for (tile, bytes) in full {
        // What cannot be written can be computed again.
        let _later = files::write_tile(folder, tile, &bytes);
    }
    Ok(Some(tree))
}

/// Each line of a segment without its newline, and whether it had one.
fn each_line(
    folder: &Path,
    first: u64,
    mut each: impl FnMut(&[u8], bool) -> Result<(), Damage>,
) -> Result<(), Damage> {
    let mut reader = closed::reader(folder, first)?;
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? != 0 {
        let whole = line.strip_suffix(b"\n");
        each(whole.unwrap_or(&line), whole.is_some())?;
        line.clear();
    }
    Ok(())
}

fn last_segment(folder: &Path) -> io::Result<Option<u64>> {
    Ok(segments(folder)?.into_iter().max())
}

fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    numbers(folder, segment::first_of)
}

/// The numbers that names of files have, in order; none where there is no folder yet.
fn numbers(folder: &Path, of: impl Fn(&str) -> Option<u64>) -> io::Result<Vec<u64>> {
    match read::numbers(folder, of) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        numbers => numbers,
    }
}

/// A signed head of this device.
fn head(folder: &Path, name: &Path, device: &Device) -> Result<Option<Checkpoint>, Damage> {
    let text = match fs::read(folder.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => String::from_utf8(bytes?).unwrap_or_default(),
    };
    match Checkpoint::open(&text, device.signer.public()) {
        Ok(head) => Ok(Some(head)),
        Err(error) => changed(format!("`{}` does not count, because {error}", name.display())),
    }
}

/// What this device signed last. Without it only the log itself tells.
fn copy_of_head(state_dir: &Path, device: &Device) -> Option<Checkpoint> {
    let mut file = trust::open_regular(&state_dir.join(places::AUDIT_HEAD)).ok()?;
    let bytes = trust::read_bounded(&mut file, MAX_HEAD).ok()?;
    Checkpoint::open(core::str::from_utf8(&bytes).ok()?, device.signer.public()).ok()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().all(|one| one.file_name() == LOCK))
}

/// A child of a writer that has just ended has the lock, too, between its fork and its exec: that is over in a moment.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// One writer at a time: held until the file is closed, however that comes about. A file of its own that nobody else can
/// open: whoever may read the folder could lock that.
fn lock(folder: &Path) -> Result<File, TrailError> {
    let failed = |source| TrailError::Io { folder: folder.to_owned(), source };
    let file = store::lock_file(&folder.join(LOCK)).map_err(failed)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
    Err(TrailError::InUse(folder.to_owned()))
}
