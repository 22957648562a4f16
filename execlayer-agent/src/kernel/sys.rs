//! The bpf(2) commands that aya does not offer, and nothing above them: values whose size is known
//! only at run time, freezing, deleting from an array of maps, iterators. The only raw system calls
//! of the daemon. Must not know what a map is for.

use std::{
    ffi::{CStr, c_int, c_long},
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

// KERNEL: enum bpf_cmd, include/uapi/linux/bpf.h (6.1); numbers never change.
const MAP_CREATE: c_int = 0;
const MAP_LOOKUP: c_int = 1;
const MAP_UPDATE: c_int = 2;
const MAP_DELETE: c_int = 3;
const MAP_NEXT_KEY: c_int = 4;
const MAP_FREEZE: c_int = 22;
const LINK_CREATE: c_int = 28;
const ITER_CREATE: c_int = 33;
// KERNEL: enum bpf_map_type and enum bpf_attach_type, the same file.
const TYPE_ARRAY: u32 = 2;
const ATTACH_TRACE_ITER: u32 = 28;
const RDONLY_PROG: u32 = 1 << 7;
const BPF_EXIST: u64 = 2;

// KERNEL: the leading members of union bpf_attr for each command; what is left out reads as zero.
#[repr(C)]
struct Create {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    name: [u8; 16],
}

#[repr(C)]
struct Element {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct Descriptors {
    first: u32,
    second: u32,
    attach_type: u32,
    flags: u32,
}

/// A map by descriptor, with the sizes that the kernel will read and write.
#[derive(Debug)]
pub(super) struct RawMap {
    fd: OwnedFd,
    key_size: usize,
    value_size: usize,
}

impl RawMap {
    /// A map whose sizes are known. They decide how many bytes the kernel touches, so they must be
    /// the kernel's own: from its map info, or from what the map was created with.
    pub(super) fn new(fd: OwnedFd, key_size: u32, value_size: u32) -> Self {
        Self { fd, key_size: key_size as usize, value_size: value_size as usize }
    }

    /// Creates an array with one value of `value_size` bytes that programs cannot write.
    pub(super) fn one_value(name: &CStr, value_size: u32) -> io::Result<Self> {
        let mut short = [0; 16];
        // The last byte stays the terminator.
        for (to, from) in short.iter_mut().take(15).zip(name.to_bytes()) {
            *to = *from;
        }
        let attributes = Create {
            map_type: TYPE_ARRAY,
            key_size: 4,
            value_size,
            max_entries: 1,
            map_flags: RDONLY_PROG,
            inner_map_fd: 0,
            numa_node: 0,
            name: short,
        };
        let fd = owned(bpf(MAP_CREATE, &attributes)?)?;
        Ok(Self::new(fd, 4, value_size))
    }

    /// Writes a value.
    pub(super) fn set(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.check(key, Some(value))?;
        self.element(MAP_UPDATE, key.as_ptr() as u64, value.as_ptr() as u64)
    }

    /// Writes a value in place of the one that is there; false if none is.
    pub(super) fn replace(&self, key: &[u8], value: &[u8]) -> io::Result<bool> {
        self.check(key, Some(value))?;
        let (key, value) = (key.as_ptr() as u64, value.as_ptr() as u64);
        found(self.element_with(MAP_UPDATE, key, value, BPF_EXIST))
    }

    /// Reads a value into `value`; false if the key is not there.
    pub(super) fn get(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        self.check(key, Some(value))?;
        found(self.element(MAP_LOOKUP, key.as_ptr() as u64, value.as_mut_ptr() as u64))
    }

    /// Removes a key; false if it was not there.
    pub(super) fn remove(&self, key: &[u8]) -> io::Result<bool> {
        self.check(key, None)?;
        found(self.element(MAP_DELETE, key.as_ptr() as u64, 0))
    }

    /// The key after `key` (the first one if `None`) into `next`; false at the end.
    pub(super) fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
        self.check(next, None)?;
        if let Some(key) = key {
            self.check(key, None)?;
        }
        let key = key.map_or(0, |key| key.as_ptr() as u64);
        found(self.element(MAP_NEXT_KEY, key, next.as_mut_ptr() as u64))
    }

    /// Forbids user space every further write.
    pub(super) fn freeze(&self) -> io::Result<()> {
        let attributes =
            Descriptors { first: number(self.fd.as_fd()), second: 0, attach_type: 0, flags: 0 };
        bpf(MAP_FREEZE, &attributes).map(|_zero| ())
    }

    fn check(&self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        if key.len() == self.key_size && value.is_none_or(|value| value.len() == self.value_size) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "key or value has the wrong size"))
    }

    // INVARIANT(sizes): `check` ran on every buffer behind `key` and `value`.
    fn element(&self, command: c_int, key: u64, value: u64) -> io::Result<()> {
        self.element_with(command, key, value, 0)
    }

    // INVARIANT(sizes): as in `element`.
    fn element_with(&self, command: c_int, key: u64, value: u64, flags: u64) -> io::Result<()> {
        let map_fd = number(self.fd.as_fd());
        bpf(command, &Element { map_fd, padding: 0, key, value, flags }).map(|_zero| ())
    }
}

impl AsFd for RawMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens one run of the iterator program: reading the file to its end visits every item.
pub(super) fn run_of_iterator(program: BorrowedFd<'_>) -> io::Result<File> {
    let attributes =
        Descriptors { first: number(program), second: 0, attach_type: ATTACH_TRACE_ITER, flags: 0 };
    let link = owned(bpf(LINK_CREATE, &attributes)?)?;
    let attributes =
        Descriptors { first: number(link.as_fd()), second: 0, attach_type: 0, flags: 0 };
    owned(bpf(ITER_CREATE, &attributes)?).map(File::from)
}

/// A descriptor of a process, for as long as it is held never another one's.
pub(crate) fn process_descriptor(pid: i32) -> io::Result<OwnedFd> {
    let flags: c_int = 0;
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { owned(fd) }
}

/// A folder of a kernfs file system (cgroup2) by its id, opened as a mere place: `mount` is any folder of it.
pub(crate) fn folder_by_id(mount: BorrowedFd<'_>, id: u64) -> io::Result<OwnedFd> {
    /// KERNEL: struct file_handle (include/uapi/linux/fcntl.h), with what follows it there.
    #[repr(C)]
    struct Handle {
        head: libc::file_handle,
        id: [u8; 8],
    }
    // KERNEL: enum fid_type, FILEID_KERNFS (include/linux/exportfs.h, 5.5): 64 bits of id.
    const KERNFS: c_int = 0xfe;
    let head = libc::file_handle { handle_bytes: 8, handle_type: KERNFS, f_handle: [] };
    let mut handle = Handle { head, id: id.to_ne_bytes() };
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    let at: *mut Handle = &raw mut handle;
    // SAFETY: `at` is a whole `Handle` that lives to the end of this function; the eight bytes that `handle_bytes`
    // names follow the head without a gap, as both have no more than its alignment. The kernel reads, and writes none.
    let fd = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), at.cast(), flags) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { owned(fd.into()) }
}

/// Sends SIGCONT to a process; one that is gone needs none.
pub(super) fn go_on(process: BorrowedFd<'_>) -> io::Result<()> {
    let (info, flags): (*const libc::siginfo_t, c_int) = (std::ptr::null(), 0);
    let fd = process.as_raw_fd();
    // SAFETY: pidfd_send_signal takes a descriptor, a number, a null pointer for the usual information,
    // and no flags.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGCONT, info, flags) };
    if sent == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}

/// Has small memory stay small: the kernel would round a heap of some kilobytes up to huge pages.
pub fn refuse_huge_pages() {
    let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: PR_SET_THP_DISABLE takes integers and changes how later pages are chosen, nothing in
    // memory that is there. That it may fail does not matter.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, on, unused, unused, unused);
    }
}

/// Gives memory that the allocator holds back to the kernel. Loading needs ten times what running
/// needs. musl's allocator does that by itself.
pub fn return_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim only walks the allocator's own lists, under its locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn found(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    // A descriptor is never negative.
    fd.as_raw_fd().unsigned_abs()
}

fn owned(fd: c_long) -> io::Result<OwnedFd> {
    let fd = c_int::try_from(fd)
        .map_err(|_too_large| io::Error::other("the kernel returned no descriptor"))?;
    // SAFETY: every caller passes what the kernel has just returned for a command that makes a new
    // descriptor, and passes it once: nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf<T>(command: c_int, attributes: &T) -> io::Result<c_long> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of `attributes`, which is a plain structure
    // laid out as the command wants it. Addresses inside it come from slices that the caller
    // borrows across this call and whose lengths are the sizes that the kernel has for the map
    // (INVARIANT(sizes)); only look-ups write, and theirs are borrowed mutably.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>())
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}
