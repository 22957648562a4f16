//! Numbers for sequences of words: equal sequences get the same number. Compares whole sequences;
//! a hash only says where to look.

/// Sequences by number, in the order in which they came.
#[derive(Debug)]
pub(super) struct Interner {
    words: Vec<u32>,
    /// By number: where the sequence ends, and its hash.
    ends: Vec<(usize, u32)>,
    /// Open addressing; number plus one, 0 where there is none.
    table: Vec<u32>,
}

impl Interner {
    pub(super) fn new() -> Self {
        Self { words: Vec::new(), ends: Vec::new(), table: vec![0; 64] }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Words of all sequences together.
    pub(super) fn volume(&self) -> usize {
        self.words.len()
    }

    pub(super) fn get(&self, number: u32) -> &[u32] {
        let at = number as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1].0 };
        &self.words[start..self.ends[at].0]
    }

    pub(super) fn intern(&mut self, key: &[u32]) -> u32 {
        let hash = hash(key);
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        while self.table[slot] != 0 {
            let number = self.table[slot] - 1;
            if self.ends[number as usize].1 == hash && self.get(number) == key {
                return number;
            }
            slot = (slot + 1) & mask;
        }
        let number = self.ends.len() as u32;
        self.table[slot] = number + 1;
        self.words.extend_from_slice(key);
        self.ends.push((self.words.len(), hash));
        if self.ends.len() * 4 > self.table.len() * 3 {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        let mask = self.table.len() * 2 - 1;
        self.table = vec![0; mask + 1];
        for (number, &(_, hash)) in (1..).zip(&self.ends) {
            let mut slot = hash as usize & mask;
            while self.table[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.table[slot] = number;
        }
    }
}

fn hash(key: &[u32]) -> u32 {
    let mixed = key.iter().fold(key.len() as u64, |hash, &word| {
        (hash.rotate_left(23) ^ u64::from(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    (mixed >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sequences_share_a_number_and_others_do_not() {
        let mut interner = Interner::new();
        let keys: Vec<Vec<u32>> = (0..500).map(|i| (0..i % 7).map(|j| i * j).collect()).collect();
        let numbers: Vec<u32> = keys.iter().map(|key| interner.intern(key)).collect();
        for (key, &number) in keys.iter().zip(&numbers) {
            assert_eq!(interner.get(number), key);
            assert_eq!(interner.intern(key), number);
        }
        let mut distinct = keys.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(interner.len(), distinct.len());
    }
}
