//! How many bytes of typical subjects are read before nothing can change any more.

use execlayer_common::{
    access::Operation,
    automaton::{is_over, step},
    image::{START_BACKWARD, start_index},
    limits::MAX_LANES,
};
use execlayer_policy::image_world::View;

const SUBJECTS: [&str; 14] = [
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/python3.11/encodings/__init__.py",
    "/usr/share/locale/de/LC_MESSAGES/git.mo",
    "/usr/bin/git",
    "/etc/ld.so.cache",
    "/etc/passwd",
    "/proc/self/status",
    "/dev/null",
    "/workspace/src/main.rs",
    "/workspace/target/debug/deps/libserde-0123456789abcdef.rmeta",
    "/workspace/.git/objects/ab/cdef0123456789",
    "/tmp/cc0a1b2c.s",
    "/home/dev/.ssh/id_ed25519",
    "/srv/app/key.pem",
];

pub(crate) fn print(name: &str, words: &[u32]) {
    let (mut bytes, mut read) = (0, 0);
    for subject in SUBJECTS {
        let lanes = (0..MAX_LANES).filter_map(|lane| walked(words, lane, subject.as_bytes()));
        let lanes: Vec<usize> = lanes.collect();
        println!("{name}: {subject} ({} bytes): read {lanes:?}", subject.len());
        bytes += subject.len();
        read += lanes.iter().sum::<usize>();
    }
    println!("{name}: read {read} of {bytes} bytes");
}

/// Bytes that a lane of `open` reads, or `None` if there is none.
fn walked(words: &[u32], lane: u32, subject: &[u8]) -> Option<usize> {
    let start = *words.get(start_index(Operation::File, lane) as usize)?;
    if start == 0 {
        return None;
    }
    let backward = start & START_BACKWARD != 0;
    let mut state = start & !START_BACKWARD;
    for read in 0..subject.len() {
        let at = if backward { subject.len() - 1 - read } else { read };
        state = step(&View(words), state, *subject.get(at)?);
        if is_over(state) {
            return Some(read + 1);
        }
    }
    Some(subject.len())
}
