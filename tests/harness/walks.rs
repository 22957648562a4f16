//! How many bytes of a subject are read before nothing can change any more. Must not decide.

use execlayer_common::{
    access::Operation,
    automaton::{is_over, step},
    image::{START_BACKWARD, start_index},
    limits::MAX_LANES,
};
use execlayer_policy::image_world::View;

/// Bytes that each lane of the operation reads.
#[must_use]
pub fn read(words: &[u32], operation: Operation, subject: &[u8]) -> Vec<usize> {
    (0..MAX_LANES).map_while(|lane| walk(words, operation, lane, subject)).collect()
}

/// `None` if there is no such lane.
fn walk(words: &[u32], operation: Operation, lane: u32, subject: &[u8]) -> Option<usize> {
    let start = *words.get(start_index(operation, lane) as usize)?;
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
