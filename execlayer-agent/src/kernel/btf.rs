//! Reads BTF, the kernel's own type information, for one purpose: at which byte of a structure does
//! a field lie. Every index and length comes from bytes and is checked. Must not know which fields
//! the gate needs.
//!
//! KERNEL: the format is Documentation/bpf/btf.rst; sizes of kind-specific data are from
//! kernel/bpf/btf.c (7.0 knows no other kind).

const MAGIC: u16 = 0xeb9f;
/// Anonymous members inside anonymous members: more than any kernel has.
const MAX_DEPTH: u32 = 16;

const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// Why BTF cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// Not BTF, or of the other byte order.
    #[error("the kernel's type information is not BTF")]
    Magic,
    /// Something reaches past the end.
    #[error("the kernel's type information is cut short")]
    Short,
    /// A kind this version does not know: what follows it cannot be found.
    #[error("the kernel's type information has the unknown kind {0}")]
    Kind(u32),
}

/// The types of a kernel.
#[derive(Debug)]
pub struct Types<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Offset of each type in `types`; type 0 is void and has no entry, so type `n` is at `n - 1`.
    starts: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Type {
    name: u32,
    info: u32,
    size_or_type: u32,
    /// Where the kind's own data begins.
    data: usize,
}

impl Type {
    fn kind(self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    fn members(self) -> usize {
        (self.info & 0xffff) as usize
    }

    fn has_bit_fields(self) -> bool {
        self.info >> 31 == 1
    }

    fn is_aggregate(self) -> bool {
        matches!(self.kind(), KIND_STRUCT | KIND_UNION)
    }
}

impl<'a> Types<'a> {
    /// Reads the header and finds where each type begins.
    ///
    /// # Errors
    ///
    /// If the bytes are not BTF or contradict themselves.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let magic = bytes.get(..2).and_then(|two| two.try_into().ok()).map(u16::from_le_bytes);
        if magic != Some(MAGIC) {
            return Err(BtfError::Magic);
        }
        let header = word(bytes, 4)? as usize;
        let section = |offset: usize, length: usize| -> Result<&'a [u8], BtfError> {
            let start = header.checked_add(word(bytes, offset)? as usize).ok_or(BtfError::Short)?;
            let end = start.checked_add(word(bytes, length)? as usize).ok_or(BtfError::Short)?;
            bytes.get(start..end).ok_or(BtfError::Short)
        };
        let types = section(8, 12)?;
        let strings = section(16, 20)?;
        let mut starts = Vec::new();
        let mut at = 0;
        while at < types.len() {
            starts.push(u32::try_from(at).map_err(|_too_large| BtfError::Short)?);
            let entry = entry(types, at)?;
            at = entry.data + data_size(entry)?;
        }
        if at == types.len() { Ok(Self { types, strings, starts }) } else { Err(BtfError::Short) }
    }

    /// Whether there is a structure of this tag.
    ///
    /// # Errors
    ///
    /// If the bytes contradict themselves.
    pub fn has_structure(&self, tag: &str) -> Result<bool, BtfError> {
        Ok(self.structure(tag)?.is_some())
    }

    /// Byte offset of `member` in the structure `tag`, or `None`. A dot in `member` goes into a named
    /// member, a number behind a last dot into an array of integers; anonymous members are looked through. A bit field has no byte offset.
    ///
    /// # Errors
    ///
    /// If the bytes contradict themselves.
    pub fn offset(&self, tag: &str, member: &str) -> Result<Option<u32>, BtfError> {
        let Some(mut aggregate) = self.structure(tag)? else { return Ok(None) };
        let mut bits = 0_u64;
        let mut names = member.split('.').peekable();
        while let Some(name) = names.next() {
            let Some((offset, type_id)) = self.member(aggregate, name, MAX_DEPTH)? else {
                return Ok(None);
            };
            bits += u64::from(offset);
            let element = names.peek().and_then(|next| next.parse::<u32>().ok());
            if let Some(index) = element {
                let Some(offset) = self.element(type_id, index)? else { return Ok(None) };
                bits += offset;
                break;
            }
            if names.peek().is_some() {
                let Some(inner) = self.aggregate(type_id)? else { return Ok(None) };
                aggregate = inner;
            }
        }
        Ok(if bits.is_multiple_of(8) { u32::try_from(bits / 8).ok() } else { None })
    }

    /// How many arguments the function `name` takes, or `None` if there is no such function.
    ///
    /// # Errors
    ///
    /// If the bytes contradict themselves.
    pub fn arguments(&self, name: &str) -> Result<Option<usize>, BtfError> {
        let Some(function) = self.find(KIND_FUNC, name)? else { return Ok(None) };
        let prototype = self.of_id(function.size_or_type)?.ok_or(BtfError::Short)?;
        Ok(Some(prototype.members()))
    }

    fn structure(&self, tag: &str) -> Result<Option<Type>, BtfError> {
        self.find(KIND_STRUCT, tag)
    }

    /// The first type of that kind and name.
    fn find(&self, kind: u32, name: &str) -> Result<Option<Type>, BtfError> {
        for &start in &self.starts {
            let found = entry(self.types, start as usize)?;
            if found.kind() == kind && self.name(found.name)? == name.as_bytes() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The type with that number, `None` for void.
    fn of_id(&self, id: u32) -> Result<Option<Type>, BtfError> {
        let Some(index) = id.checked_sub(1) else { return Ok(None) };
        let start = self.starts.get(index as usize).ok_or(BtfError::Short)?;
        entry(self.types, *start as usize).map(Some)
    }

    /// Bit offset and type of a member, through anonymous ones.
    fn member(
        &self,
        aggregate: Type,
        name: &str,
        depth: u32,
    ) -> Result<Option<(u32, u32)>, BtfError> {
        for index in 0..aggregate.members() {
            let at = aggregate.data + index * 12;
            let (member_name, type_id) = (word(self.types, at)?, word(self.types, at + 4)?);
            let raw = word(self.types, at + 8)?;
            let (offset, bit_size) =
                if aggregate.has_bit_fields() { (raw & 0x00ff_ffff, raw >> 24) } else { (raw, 0) };
            let found = self.name(member_name)?;
            if found == name.as_bytes() {
                return Ok((bit_size == 0).then_some((offset, type_id)));
            }
            if found.is_empty()
                && depth > 0
                && let Some(inner) = self.aggregate(type_id)?
                && let Some((deeper, type_id)) = self.member(inner, name, depth - 1)?
            {
                let offset = offset.checked_add(deeper).ok_or(BtfError::Short)?;
                return Ok(Some((offset, type_id)));
            }
        }
        Ok(None)
    }

    /// Bit offset of an element, if `id` is an array of integers that is so long.
    fn element(&self, id: u32, index: u32) -> Result<Option<u64>, BtfError> {
        let Some(array) = self.behind(id)?.filter(|found| found.kind() == KIND_ARRAY) else {
            return Ok(None);
        };
        let (of, count) = (word(self.types, array.data)?, word(self.types, array.data + 8)?);
        let Some(integer) = self.behind(of)?.filter(|found| found.kind() == KIND_INT) else {
            return Ok(None);
        };
        Ok((index < count).then(|| 8 * u64::from(index) * u64::from(integer.size_or_type)))
    }

    /// The structure or union behind `id`, through typedefs and qualifiers.
    fn aggregate(&self, id: u32) -> Result<Option<Type>, BtfError> {
        Ok(self.behind(id)?.filter(|found| found.is_aggregate()))
    }

    /// The type behind `id`'s typedefs and qualifiers.
    fn behind(&self, mut id: u32) -> Result<Option<Type>, BtfError> {
        for _ in 0..MAX_DEPTH {
            let Some(found) = self.of_id(id)? else { return Ok(None) };
            match found.kind() {
                KIND_TYPEDEF..=KIND_RESTRICT | KIND_TYPE_TAG => id = found.size_or_type,
                _ => return Ok(Some(found)),
            }
        }
        Ok(None)
    }

    fn name(&self, offset: u32) -> Result<&'a [u8], BtfError> {
        let rest = self.strings.get(offset as usize..).ok_or(BtfError::Short)?;
        let end = rest.iter().position(|&byte| byte == 0).ok_or(BtfError::Short)?;
        rest.get(..end).ok_or(BtfError::Short)
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let end = at.checked_add(4).ok_or(BtfError::Short)?;
    let four = bytes.get(at..end).and_then(|four| four.try_into().ok()).ok_or(BtfError::Short)?;
    Ok(u32::from_le_bytes(four))
}

fn entry(types: &[u8], at: usize) -> Result<Type, BtfError> {
    Ok(Type {
        name: word(types, at)?,
        info: word(types, at + 4)?,
        size_or_type: word(types, at + 8)?,
        data: at + 12,
    })
}

fn data_size(entry: Type) -> Result<usize, BtfError> {
    let members = entry.members();
    Ok(match entry.kind() {
        KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => members * 12,
        KIND_ENUM | KIND_FUNC_PROTO => members * 8,
        // Pointer, forward, typedef and qualifiers, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        unknown => return Err(BtfError::Kind(unknown)),
    })
}

#[cfg(test)]
mod tests;
