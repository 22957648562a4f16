//! The gate of the running kernel: [`Gate`]'s operations on its maps. Must not decide when or why.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use aya::programs::links::FdLink;
use execlayer_common::{adoption, event::Counts, label::Label, limits, slot::Slot};

use crate::passages::Passages;

use super::{
    Gate, Hold, Holding, Pass,
    sys::{self, RawMap},
};

const LABEL: usize = size_of::<Label>();

/// The maps, the iterator, and what keeps the programs attached.
#[derive(Debug)]
pub struct Live {
    /// Labels by task, and late ones, whose tasks can be among the others, too.
    pub(super) tasks: [RawMap; 2],
    pub(super) scopes: RawMap,
    pub(super) selectors: RawMap,
    pub(super) leading: RawMap,
    pub(super) passages: RawMap,
    pub(super) slots: RawMap,
    pub(super) tables: [RawMap; 4],
    pub(super) budgets: RawMap,
    pub(super) counts: RawMap,
    pub(super) clock: RawMap,
    pub(super) holding: Holding,
    pub(super) adopt: OwnedFd,
    pub(super) attached: Vec<&'static str>,
    /// Attached for as long as these are held. Empty for a service: its links are pinned.
    pub(super) links: Vec<FdLink>,
}

impl Live {
    fn tables(&self, class: u8) -> io::Result<&RawMap> {
        self.tables.get(usize::from(class)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "there is no such size class")
        })
    }

    /// Detaches everything that is not pinned.
    pub fn detach(&mut self) {
        self.links.clear();
    }
}

impl Gate for Live {
    fn put_table(&mut self, class: u8, index: u8, words: &[u32]) -> io::Result<()> {
        let tables = self.tables(class)?;
        let room = limits::CLASS_WORDS.get(usize::from(class)).copied().unwrap_or_default();
        let mut value = Vec::with_capacity(room as usize * 4);
        words.iter().for_each(|word| value.extend(word.to_le_bytes()));
        value.resize(room as usize * 4, 0);
        let table = RawMap::one_value(c"execlayer_image", room * 4)?;
        table.set(&0_u32.to_ne_bytes(), &value)?;
        table.freeze()?;
        let descriptor = table.as_fd().as_raw_fd();
        tables.set(&u32::from(index).to_ne_bytes(), &descriptor.to_ne_bytes())
    }

    fn drop_table(&mut self, class: u8, index: u8) -> io::Result<()> {
        self.tables(class)?.remove(&u32::from(index).to_ne_bytes()).map(|_was_there| ())
    }

    fn slot(&self, profile: u32) -> io::Result<Slot> {
        read_u64(&self.slots, slot_index(profile)?).map(Slot)
    }

    fn set_slot(&mut self, profile: u32, slot: Slot) -> io::Result<()> {
        self.slots.set(&slot_index(profile)?.to_ne_bytes(), &slot.0.to_ne_bytes())
    }

    fn selectors(&self) -> io::Result<[u64; 3]> {
        Ok([
            read_u64(&self.selectors, 0)?,
            read_u64(&self.selectors, 1)?,
            read_u64(&self.selectors, 2)?,
        ])
    }

    fn set_selectors(&mut self, words: [u64; 3]) -> io::Result<()> {
        for (index, word) in (0_u32..).zip(words) {
            self.selectors.set(&index.to_ne_bytes(), &word.to_ne_bytes())?;
        }
        Ok(())
    }

    fn passages(&self) -> io::Result<Passages> {
        let mut ways = BTreeMap::new();
        let (mut key, mut next) = (None, [0; 8]);
        // Only the daemon changes the map, so the walk meets each key once.
        while self.passages.next_key(key.as_ref().map(<[u8; 8]>::as_slice), &mut next)? {
            let mut profile = [0; 4];
            if self.passages.get(&next, &mut profile)? {
                ways.insert(u64::from_ne_bytes(next), u32::from_ne_bytes(profile));
            }
            key = Some(next);
        }
        Ok(Passages { leading: read_u64(&self.leading, 0)?, ways })
    }

    fn set_passages(&mut self, passages: &Passages) -> io::Result<()> {
        let known = self.passages()?;
        for way in known.ways.keys().filter(|way| !passages.ways.contains_key(way)) {
            self.passages.remove(&way.to_ne_bytes())?;
        }
        for (way, profile) in &passages.ways {
            if known.ways.get(way) != Some(profile) {
                self.passages.set(&way.to_ne_bytes(), &profile.to_ne_bytes())?;
            }
        }
        self.leading.set(&0_u32.to_ne_bytes(), &passages.leading.to_ne_bytes())
    }

    fn zero_budgets(&mut self, profile: u32) -> io::Result<()> {
        let first = slot_index(profile)? * limits::MAX_BUDGETS;
        for budget in 0..limits::MAX_BUDGETS {
            self.budgets.set(&(first + budget).to_ne_bytes(), &0_u64.to_ne_bytes())?;
        }
        Ok(())
    }

    fn set_scope(&mut self, cgroup: u64, profile: Option<u32>) -> io::Result<()> {
        match profile {
            Some(profile) => self.scopes.set(&cgroup.to_ne_bytes(), &profile.to_ne_bytes()),
            None => self.scopes.remove(&cgroup.to_ne_bytes()).map(|_was_there| ()),
        }
    }

    fn scopes(&self) -> io::Result<BTreeSet<u64>> {
        let (mut key, mut next) = (None, [0; 8]);
        let mut cgroups = BTreeSet::new();
        // Nobody else changes these.
        while self.scopes.next_key(key.as_ref().map(<[u8; 8]>::as_slice), &mut next)? {
            cgroups.insert(u64::from_ne_bytes(next));
            key = Some(next);
        }
        Ok(cgroups)
    }

    fn governed(&self) -> io::Result<BTreeMap<u32, u64>> {
        let mut counts = BTreeMap::new();
        let [kept, _late] = &self.tasks;
        for (place, tasks) in self.tasks.iter().enumerate() {
            let (mut key, mut next) = (None, [0; 8]);
            // A key that is removed meanwhile sends the kernel back to the first one: the bound ends a
            // walk that keeps starting anew.
            for _ in 0..2 * limits::MAX_GOVERNED_TASKS {
                if !tasks.next_key(key.as_ref().map(<[u8; 8]>::as_slice), &mut next)? {
                    break;
                }
                let mut label = [0; LABEL];
                let is_counted = place != 0 && kept.get(&next, &mut label)?;
                if !is_counted && tasks.get(&next, &mut label)? {
                    let profile = profile_of(&label);
                    if profile != 0 {
                        *counts.entry(profile).or_default() += 1;
                    }
                }
                key = Some(next);
            }
        }
        Ok(counts)
    }

    fn counts(&self, profile: u32) -> io::Result<Counts> {
        let mut value = [0; size_of::<Counts>()];
        self.counts.get(&profile.to_ne_bytes(), &mut value)?;
        let word =
            |at: usize| value.as_chunks::<8>().0.get(at).copied().map_or(0, u64::from_ne_bytes);
        Ok(Counts { events: word(0), lost: word(1), put: word(2) })
    }

    fn set_clock(&mut self, nanoseconds: u64) -> io::Result<()> {
        self.clock.set(&0_u32.to_ne_bytes(), &nanoseconds.to_ne_bytes())
    }

    fn label(&self, pid: i32) -> io::Result<Option<Label>> {
        self.holding.label(pid)
    }

    fn holding(&mut self) -> &mut dyn Hold {
        &mut self.holding
    }

    fn adopt_once(&mut self) -> io::Result<Pass> {
        let mut iterator = sys::run_of_iterator(self.adopt.as_fd())?;
        let (mut pass, mut bytes) = (Pass::default(), [0; 256]);
        loop {
            let count = iterator.read(&mut bytes)?;
            if count == 0 {
                return Ok(pass);
            }
            for byte in bytes.get(..count).unwrap_or_default() {
                match *byte {
                    adoption::ADOPTED => pass.adopted += 1,
                    _failed => pass.failed += 1,
                }
            }
        }
    }

    fn attached(&self) -> &[&'static str] {
        &self.attached
    }
}

fn profile_of(label: &[u8; LABEL]) -> u32 {
    let [a, b, c, d, ..] = *label;
    u32::from_ne_bytes([a, b, c, d])
}

fn slot_index(profile: u32) -> io::Result<u32> {
    match profile.checked_sub(1) {
        Some(index) if index < limits::MAX_PROFILES => Ok(index),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no such profile")),
    }
}

fn read_u64(map: &RawMap, index: u32) -> io::Result<u64> {
    let mut value = [0; 8];
    map.get(&index.to_ne_bytes(), &mut value)?;
    Ok(u64::from_ne_bytes(value))
}
