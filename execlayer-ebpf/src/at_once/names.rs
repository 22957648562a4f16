//! The automaton over a name's components. Must not know where they come from.

use execlayer_common::{
    access::{Access, Operation},
    automaton::{self, Table, is_over},
    decide::Masks,
    image,
    limits::{CLASS_WORDS, MAX_LANES},
    slot::Slot,
};

use crate::{
    kread::{within, word_of},
    maps::{TABLES_0, TABLES_1, TABLES_2, TABLES_3},
    scratch::{COMPONENT, COMPONENTS, Name, Names, Scratch},
};

/// Lanes that are walked: mostly there is one in each direction.
const LANES: u32 = 2;
const _: () = assert!(LANES < MAX_LANES);

/// An image with `MASK + 1` words: nothing but a pointer, so that a step keeps its registers.
struct Cells<const MASK: u32>(*const u32);

impl<const MASK: u32> Table for Cells<MASK> {
    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        // SAFETY: the class's map values have so many words.
        unsafe { word_of::<MASK>(self.0, index) }
    }
}

impl<const MASK: u32> Cells<MASK> {
    /// A word of the header.
    #[inline(always)]
    fn header<const INDEX: u32>(&self) -> u32 {
        const { assert!(INDEX < image::HEADER_WORDS) };
        // SAFETY: every image has a header.
        unsafe { self.0.add(INDEX as usize).read() }
    }
}

/// Whether the image that `slot` points to allows at once what is asked in `scratch` of the name there.
#[inline(always)]
pub fn allow(scratch: *mut Scratch, slot: Slot) -> bool {
    let allowed = match slot.class() {
        0 => allow_class_0(scratch, slot.0),
        1 => allow_class_1(scratch, slot.0),
        2 => allow_class_2(scratch, slot.0),
        _ => allow_class_3(scratch, slot.0),
    };
    allowed != 0
}

/// A function for each size class, as in `judge.rs`.
macro_rules! class {
    ($name:ident, $map:ident, $class:literal) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(scratch: *mut Scratch, slot: u64) -> u32 {
            let slot = Slot(slot);
            if scratch.is_null() {
                return 0;
            }
            let Some(table) = $map.get_value(slot.table(), &0) else { return 0 };
            let cells = Cells::<{ CLASS_WORDS[$class] - 1 }>(table.as_ptr());
            let is_new = cells.header::<{ image::H_GENERATION }>() != slot.generation();
            if is_new || cells.header::<{ image::H_FLAGS }>() & image::FLAG_RECORD_ALL != 0 {
                return 0;
            }
            // SAFETY: this task owns the buffer.
            let (names, operation, wanted) = unsafe {
                let event = &raw const (*scratch).event;
                (&(*scratch).names, (*event).operation, Access((*event).access))
            };
            let Some(operation) = Operation::from_raw(operation) else { return 0 };
            u32::from(
                find(&cells, names, operation).is_some_and(|masks| masks.allow_at_once(wanted)),
            )
        }
    };
}

class!(allow_class_0, TABLES_0, 0);
class!(allow_class_1, TABLES_1, 1);
class!(allow_class_2, TABLES_2, 2);
class!(allow_class_3, TABLES_3, 3);

/// What all lanes of an operation find, or `None` if that is not known.
#[inline(always)]
fn find<const MASK: u32>(
    cells: &Cells<MASK>,
    names: &Names,
    operation: Operation,
) -> Option<Masks> {
    let first = image::start_index(operation, 0);
    let mut masks = Masks::default();
    for lane in 0..=LANES {
        let start = cells.word(first.wrapping_add(lane));
        // The compiler fills lanes in order, so the first empty one is the end.
        if start == 0 {
            return Some(masks);
        }
        let last = if lane == LANES {
            return None;
        } else if start & image::START_BACKWARD == 0 {
            forward(cells, names, start)
        } else {
            backward(cells, names, start & !image::START_BACKWARD)?
        };
        let set = automaton::accepted(cells, last);
        if set != 0 {
            masks.add(cells, set);
        }
    }
    None
}

macro_rules! steps {
    ($cells:ident, $name:ident, $state:ident, $($index:literal)*) => {
        'name: {
            $(
                if $name.len <= $index {
                    break 'name;
                }
                // SAFETY: below COMPONENT.
                let byte = unsafe { $name.words.as_ptr().cast::<u8>().add($index).read() };
                // No component has a slash.
                match automaton::hit($cells, $state, byte) {
                    Some(next) => $state = next,
                    None => {
                        $state = automaton::miss($cells, $state);
                        if is_over($state) {
                            return $state;
                        }
                    }
                }
            )*
        }
    };
}

/// The state behind the last component.
#[inline(always)]
fn forward<const MASK: u32>(cells: &Cells<MASK>, names: &Names, start: u32) -> u32 {
    let mut state = start;
    let mut left = names.depth;
    for _ in 0..COMPONENTS {
        if left == 0 {
            break;
        }
        left = left.wrapping_sub(1);
        let name = name_at(names, left);
        state = automaton::step(cells, state, b'/');
        if is_over(state) {
            return state;
        }
        steps!(cells, name, state, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    }
    state
}

/// The state in which a walk from the last byte on is over, if that is within the last component.
#[inline(always)]
fn backward<const MASK: u32>(cells: &Cells<MASK>, names: &Names, start: u32) -> Option<u32> {
    let name = name_at(names, 0);
    let mut state = start;
    let mut left = name.len;
    for _ in 0..COMPONENT {
        if left == 0 {
            break;
        }
        left = left.wrapping_sub(1);
        state = automaton::step(cells, state, byte(name, left));
        if is_over(state) {
            return Some(state);
        }
    }
    state = automaton::step(cells, state, b'/');
    is_over(state).then_some(state)
}

#[inline(always)]
fn name_at(names: &Names, at: u64) -> &Name {
    let at = within::<{ COMPONENTS as u64 - 1 }>(at);
    // SAFETY: below COMPONENTS by the mask.
    unsafe { &*names.names.as_ptr().add(at as usize) }
}

#[inline(always)]
fn byte(name: &Name, at: u64) -> u8 {
    let at = within::<{ COMPONENT as u64 - 1 }>(at);
    // SAFETY: below COMPONENT by the mask.
    unsafe { name.words.as_ptr().cast::<u8>().add(at as usize).read() }
}
