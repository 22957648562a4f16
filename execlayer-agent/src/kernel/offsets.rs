//! Writes structure offsets into the instructions of the kernel object, where it has marks
//! ([`execlayer_common::fields`]). Must not know where the offsets come from.

use execlayer_common::fields::{FIELDS, MARK, WIDE_MARK};
use object::{Object as _, ObjectSection as _, SectionKind};

/// Bytes of an instruction: opcode, registers, `i16` offset, `i32` immediate.
///
/// KERNEL: include/uapi/linux/bpf.h, `struct bpf_insn`.
const INSTRUCTION: usize = 8;
/// KERNEL: include/uapi/linux/bpf_common.h and bpf.h: `BPF_LDX | BPF_MEM` of four, two and eight bytes.
const LOADS: [u8; 3] = [0x61, 0x69, 0x79];
/// `BPF_ALU64 | BPF_K` of `BPF_ADD` and `BPF_MOV`.
const WIDE: [u8; 2] = [0x07, 0xb7];

/// An object whose marks are offsets; aligned as loading needs it.
#[derive(Debug)]
pub(super) struct Written(Vec<u64>);

impl Written {
    /// The object's bytes, and at most seven zeros behind them.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: as many bytes as the words have, of which each is initialised; any address will do.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast(), size_of_val(&self.0[..])) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let size = size_of_val(&self.0[..]);
        // SAFETY: as in `bytes`; every byte is a good part of a word.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), size) }
    }
}

/// Writes `offsets`, in the order of [`FIELDS`], where the marks are.
///
/// # Errors
///
/// What is wrong with the object, or which offset is too large for a load.
pub(super) fn write(object: &[u8], offsets: &[u32]) -> Result<Written, String> {
    if offsets.len() != FIELDS.len() {
        return Err(format!("{} offsets for {} fields", offsets.len(), FIELDS.len()));
    }
    let sections = {
        let file = object::File::parse(object).map_err(|error| error.to_string())?;
        let code = file.sections().filter(|section| section.kind() == SectionKind::Text);
        code.filter_map(|section| section.file_range()).collect::<Vec<_>>()
    };
    let mut written = Written(vec![0; object.len().div_ceil(size_of::<u64>())]);
    let bytes = written.bytes_mut();
    bytes[..object.len()].copy_from_slice(object);
    for (begin, size) in sections {
        let range =
            usize::try_from(begin).ok().zip(usize::try_from(begin.saturating_add(size)).ok());
        let code = range.and_then(|(begin, end)| bytes.get_mut(begin..end));
        let code = code.ok_or("a section lies outside of the object")?;
        for instruction in code.chunks_exact_mut(INSTRUCTION) {
            place(instruction, offsets)?;
        }
    }
    Ok(written)
}

fn place(instruction: &mut [u8], offsets: &[u32]) -> Result<(), String> {
    let [opcode, _registers, short @ .., a, b, c, d] = instruction else { return Ok(()) };
    let number = |mark: i32, first: i32| {
        let number = usize::try_from(mark.checked_sub(first)?).ok()?;
        FIELDS.get(number).zip(offsets.get(number))
    };
    if LOADS.contains(opcode) {
        let [low, high] = short else { return Ok(()) };
        let mark = i16::from_le_bytes([*low, *high]);
        if let Some((field, &offset)) = number(mark.into(), MARK.into()) {
            let offset = i16::try_from(offset).map_err(|_too_large| {
                let (structure, member) = (field.structure, field.members.join("` or `"));
                format!("the offset of `{member}` in `struct {structure}`, {offset}, is too large")
            })?;
            [*low, *high] = offset.to_le_bytes();
        }
    } else if WIDE.contains(opcode) {
        let mark = i32::from_le_bytes([*a, *b, *c, *d]);
        if let Some((_field, offset)) = number(mark, WIDE_MARK) {
            [*a, *b, *c, *d] = offset.to_le_bytes();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(mut instruction: [u8; 8], offsets: &[u32]) -> Result<[u8; 8], String> {
        place(&mut instruction, offsets).map(|()| instruction)
    }

    fn load(offset: i16) -> [u8; 8] {
        let [low, high] = offset.to_le_bytes();
        [0x79, 0x12, low, high, 0, 0, 0, 0]
    }

    fn wide(opcode: u8, immediate: i32) -> [u8; 8] {
        let [a, b, c, d] = immediate.to_le_bytes();
        [opcode, 0x01, 0, 0, a, b, c, d]
    }

    #[test]
    fn marks_become_offsets_of_their_fields() {
        let offsets: Vec<u32> = (0..FIELDS.len() as u32).map(|number| 100 + number).collect();
        assert_eq!(placed(load(MARK + 3), &offsets), Ok(load(103)));
        assert_eq!(placed(wide(0x07, WIDE_MARK), &offsets), Ok(wide(0x07, 100)));
        assert_eq!(placed(wide(0xb7, WIDE_MARK + 1), &offsets), Ok(wide(0xb7, 101)));
    }

    #[test]
    fn what_is_no_mark_stays() {
        let offsets = vec![7; FIELDS.len()];
        let behind = FIELDS.len() as i16;
        for instruction in [
            load(MARK - 1),
            load(MARK + behind),
            load(16),
            wide(0x07, WIDE_MARK - 1),
            // The second half of a 64-bit constant has no opcode.
            wide(0x00, WIDE_MARK),
            wide(0x18, WIDE_MARK),
        ] {
            assert_eq!(placed(instruction, &offsets), Ok(instruction));
        }
    }

    #[test]
    fn an_offset_that_no_load_can_hold_is_refused_by_its_field() {
        let offsets = vec![40_000; FIELDS.len()];
        let refused = placed(load(MARK), &offsets).unwrap_err();
        assert!(refused.contains(FIELDS[0].structure), "{refused}");
        assert_eq!(placed(wide(0x07, WIDE_MARK), &offsets), Ok(wide(0x07, 40_000)));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let offsets = vec![0; FIELDS.len()];
        assert!(write(b"no object", &offsets).is_err());
        assert!(write(b"no object", &offsets[1..]).unwrap_err().contains("fields"));
    }
}
