//! The reader against hand-made bytes, and against this machine's kernel if it has BTF.

use super::{BtfError, KIND_ARRAY, KIND_STRUCT, KIND_UNION, Types};

/// Builds BTF: type ids are given out in order, from 1.
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Builder {
    fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0] }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        at
    }

    fn words(&mut self, words: &[u32]) {
        words.iter().for_each(|word| self.types.extend(word.to_le_bytes()));
    }

    fn int(mut self) -> Self {
        let name = self.string("int");
        self.words(&[name, 1 << 24, 4, 32]);
        self
    }

    fn array(mut self, of: u32, count: u32) -> Self {
        self.words(&[0, KIND_ARRAY << 24, 0, of, 1, count]);
        self
    }

    fn typedef(mut self, name: &str, of: u32) -> Self {
        let name = self.string(name);
        self.words(&[name, 8 << 24, of]);
        self
    }

    fn aggregate(mut self, kind: u32, flag: bool, tag: &str, members: &[(&str, u32, u32)]) -> Self {
        let tag = self.string(tag);
        let info = (u32::from(flag) << 31) | (kind << 24) | members.len() as u32;
        self.words(&[tag, info, 64]);
        for &(name, of, offset) in members {
            let name = self.string(name);
            self.words(&[name, of, offset]);
        }
        self
    }

    fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes.extend(self.types);
        bytes.extend(self.strings);
        bytes
    }
}

fn sample() -> Vec<u8> {
    Builder::new()
        .int() // 1
        .aggregate(KIND_STRUCT, false, "path", &[("mnt", 1, 0), ("dentry", 1, 64)]) // 2
        .aggregate(KIND_UNION, false, "", &[("f_path", 2, 0), ("__f_path", 2, 0)]) // 3
        .aggregate(KIND_STRUCT, false, "file", &[("f_mode", 1, 32), ("", 3, 128)]) // 4
        .typedef("path_t", 2) // 5
        .aggregate(KIND_STRUCT, true, "bits", &[("one", 1, 1 << 24 | 3), ("p", 5, 256)]) // 6
        .bytes()
}

#[test]
fn a_plain_member_has_its_byte_offset() {
    let bytes = sample();
    let types = Types::parse(&bytes).unwrap();
    assert_eq!(types.offset("file", "f_mode"), Ok(Some(4)));
    assert_eq!(types.offset("path", "dentry"), Ok(Some(8)));
}

#[test]
fn anonymous_members_are_looked_through_and_their_offset_counts() {
    let bytes = sample();
    let types = Types::parse(&bytes).unwrap();
    assert_eq!(types.offset("file", "f_path"), Ok(Some(16)));
    assert_eq!(types.offset("file", "__f_path"), Ok(Some(16)));
}

#[test]
fn a_dot_goes_into_a_named_member_and_through_typedefs() {
    let bytes = sample();
    let types = Types::parse(&bytes).unwrap();
    assert_eq!(types.offset("file", "f_path.dentry"), Ok(Some(24)));
    assert_eq!(types.offset("bits", "p.dentry"), Ok(Some(40)));
    assert_eq!(types.offset("file", "f_mode.dentry"), Ok(None), "an int has no members");
}

#[test]
fn a_number_goes_into_an_array_and_no_further_than_its_end() {
    let bytes = Builder::new()
        .int() // 1
        .typedef("u_t", 1) // 2
        .array(2, 31) // 3
        .array(4, 2) // 4: of itself
        .aggregate(KIND_STRUCT, false, "regs", &[("sp", 1, 0), ("x", 3, 64), ("y", 4, 0)]) // 5
        .bytes();
    let types = Types::parse(&bytes).unwrap();
    assert_eq!(types.offset("regs", "x"), Ok(Some(8)));
    assert_eq!(types.offset("regs", "x.0"), Ok(Some(8)));
    assert_eq!(types.offset("regs", "x.30"), Ok(Some(8 + 4 * 30)));
    for none in ["x.31", "sp.0", "y.0", "x.z"] {
        assert_eq!(types.offset("regs", none), Ok(None), "{none}");
    }
}

#[test]
fn a_bit_field_is_refused_because_it_has_no_byte_offset() {
    let bytes = sample();
    let types = Types::parse(&bytes).unwrap();
    assert_eq!(types.offset("bits", "one"), Ok(None));
}

#[test]
fn what_is_not_there_is_not_found() {
    let bytes = sample();
    let types = Types::parse(&bytes).unwrap();
    assert_eq!(types.offset("file", "f_missing"), Ok(None));
    assert_eq!(types.offset("missing", "f_mode"), Ok(None));
    assert_eq!(types.has_structure("file"), Ok(true));
    assert_eq!(types.has_structure("backing_file"), Ok(false));
}

#[test]
fn every_cut_is_refused_and_none_panics() {
    let bytes = sample();
    for end in 0..bytes.len() {
        let refused = Types::parse(&bytes[..end]).is_err();
        assert!(refused, "cut at {end} of {}", bytes.len());
    }
}

#[test]
fn every_flipped_byte_is_read_without_a_panic() {
    let bytes = sample();
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut broken = bytes.clone();
            broken[at] ^= flip;
            if let Ok(types) = Types::parse(&broken) {
                let _any = types.offset("file", "f_path.dentry");
                let _any = types.offset("bits", "p.mnt");
            }
        }
    }
}

#[test]
fn a_structure_that_contains_itself_ends() {
    let bytes = Builder::new().aggregate(KIND_STRUCT, false, "loop", &[("", 1, 8)]).bytes();
    assert_eq!(Types::parse(&bytes).unwrap().offset("loop", "x"), Ok(None));
}

#[test]
fn other_bytes_are_refused_by_name() {
    assert_eq!(Types::parse(b"\x7fELF").unwrap_err(), BtfError::Magic);
    let mut unknown = Builder::new();
    unknown.words(&[0, 31 << 24, 0]);
    assert_eq!(Types::parse(&unknown.bytes()).unwrap_err(), BtfError::Kind(31));
}

#[test]
fn this_machines_kernel_has_the_fields_that_every_kernel_has() {
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("not run here: this kernel has no /sys/kernel/btf/vmlinux");
        return;
    };
    let types = Types::parse(&bytes).unwrap();
    assert_eq!(types.offset("path", "mnt"), Ok(Some(0)));
    assert_eq!(types.offset("path", "dentry"), Ok(Some(8)));
    let whole = types.offset("sock", "__sk_common").unwrap().unwrap();
    let inner = types.offset("sock_common", "skc_family").unwrap().unwrap();
    assert_eq!(types.offset("sock", "__sk_common.skc_family"), Ok(Some(whole + inner)));
    assert!(types.offset("file", "f_path").unwrap().is_some());
}
