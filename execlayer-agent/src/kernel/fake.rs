//! A gate in memory, for tests of everything above the kernel. It can be told to fail at any step.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use execlayer_common::{
    event::Counts,
    label::Label,
    limits,
    question::{Grant, GrantKey, Key, Question, STATE_MEASURE, STATE_OPEN},
    slot::Slot,
};

use super::{Gate, Hold, Pass};
use crate::passages::Passages;

/// The gate's state, as a kernel would hold it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fake {
    pub(crate) tables: BTreeMap<(u8, u8), Vec<u32>>,
    pub(crate) slots: BTreeMap<u32, u64>,
    pub(crate) selectors: [u64; 3],
    pub(crate) passages: Passages,
    /// Ways that were there in between, each time.
    pub(crate) passages_before: Vec<Passages>,
    pub(crate) budgets: BTreeMap<u32, u64>,
    pub(crate) scopes: BTreeMap<u64, u32>,
    pub(crate) governed: BTreeMap<u32, u64>,
    /// Governed processes, and their sessions.
    pub(crate) sessions: BTreeMap<i32, u64>,
    pub(crate) counts: BTreeMap<u32, Counts>,
    pub(crate) clock: u64,
    pub(crate) words: BTreeMap<u32, u64>,
    pub(crate) grants: Vec<(GrantKey, Grant)>,
    pub(crate) measured: BTreeMap<u32, u64>,
    pub(crate) questions: Vec<(Key, Question)>,
    pub(crate) woken: Vec<u32>,
    /// What the next passes of adoption label, for profile 1.
    pub(crate) adoptions: Vec<Pass>,
    /// Names of the operations that fail.
    pub(crate) failing: BTreeSet<&'static str>,
}

impl Fake {
    fn step(&self, name: &'static str) -> io::Result<()> {
        if self.failing.contains(name) { Err(io::Error::other(name)) } else { Ok(()) }
    }

    /// The image that judges for the profile, found as the kernel finds it.
    pub(crate) fn image(&self, profile: u32) -> Option<&Vec<u32>> {
        let slot = Slot(*self.slots.get(&profile)?);
        let key = (u8::try_from(slot.class()).ok()?, u8::try_from(slot.table()).ok()?);
        let image = self.tables.get(&key)?;
        let generation = image.get(execlayer_common::image::H_GENERATION as usize)?;
        (slot.is_used() && *generation == slot.generation()).then_some(image)
    }
}

impl Gate for Fake {
    fn put_table(&mut self, class: u8, index: u8, words: &[u32]) -> io::Result<()> {
        self.step("put_table")?;
        assert!(words.len() <= limits::CLASS_WORDS[usize::from(class)] as usize);
        self.tables.insert((class, index), words.to_vec());
        Ok(())
    }

    fn drop_table(&mut self, class: u8, index: u8) -> io::Result<()> {
        self.step("drop_table")?;
        self.tables.remove(&(class, index));
        Ok(())
    }

    fn slot(&self, profile: u32) -> io::Result<Slot> {
        self.step("slot")?;
        Ok(Slot(self.slots.get(&profile).copied().unwrap_or_default()))
    }

    fn set_slot(&mut self, profile: u32, slot: Slot) -> io::Result<()> {
        self.step("set_slot")?;
        self.slots.insert(profile, slot.0);
        Ok(())
    }

    fn selectors(&self) -> io::Result<[u64; 3]> {
        self.step("selectors")?;
        Ok(self.selectors)
    }

    fn set_selectors(&mut self, words: [u64; 3]) -> io::Result<()> {
        if self.failing.remove("set_selectors_once") {
            return Err(io::Error::other("set_selectors_once"));
        }
        self.step("set_selectors")?;
        self.selectors = words;
        Ok(())
    }

    fn passages(&self) -> io::Result<Passages> {
        self.step("passages")?;
        Ok(self.passages.clone())
    }

    fn set_passages(&mut self, passages: &Passages) -> io::Result<()> {
        self.step("set_passages")?;
        self.passages_before.push(std::mem::replace(&mut self.passages, passages.clone()));
        Ok(())
    }

    fn zero_budgets(&mut self, profile: u32) -> io::Result<()> {
        self.step("zero_budgets")?;
        self.budgets.insert(profile, 0);
        Ok(())
    }

    fn set_scope(&mut self, cgroup: u64, profile: Option<u32>) -> io::Result<()> {
        self.step("set_scope")?;
        match profile {
            Some(profile) => self.scopes.insert(cgroup, profile),
            None => self.scopes.remove(&cgroup),
        };
        Ok(())
    }

    fn scopes(&self) -> io::Result<BTreeSet<u64>> {
        self.step("scopes")?;
        Ok(self.scopes.keys().copied().collect())
    }

    fn governed(&self) -> io::Result<BTreeMap<u32, u64>> {
        self.step("governed")?;
        Ok(self.governed.clone())
    }

    fn label(&self, pid: i32) -> io::Result<Option<Label>> {
        self.step("label")?;
        let session = self.sessions.get(&pid).copied();
        Ok(session.map(|session| Label { profile: 1, pending: 0, session }))
    }

    fn counts(&self, profile: u32) -> io::Result<Counts> {
        self.step("counts")?;
        Ok(self.counts.get(&profile).copied().unwrap_or_default())
    }

    fn set_clock(&mut self, nanoseconds: u64) -> io::Result<()> {
        self.step("set_clock")?;
        self.clock = nanoseconds;
        Ok(())
    }

    fn holding(&mut self) -> &mut dyn Hold {
        self
    }

    fn adopt_once(&mut self) -> io::Result<Pass> {
        self.step("adopt_once")?;
        if self.adoptions.is_empty() {
            return Ok(Pass::default());
        }
        let pass = self.adoptions.remove(0);
        *self.governed.entry(1).or_default() += pass.adopted;
        Ok(pass)
    }

    fn as_fake(&mut self) -> &mut Fake {
        self
    }

    fn attached(&self) -> &[&'static str] {
        &["task_alloc"]
    }
}

impl Hold for Fake {
    fn tell(&mut self, index: u32, word: u64) -> io::Result<()> {
        self.step("tell")?;
        self.words.insert(index, word);
        Ok(())
    }

    fn told(&self, index: u32) -> io::Result<u64> {
        self.step("told")?;
        Ok(self.words.get(&index).copied().unwrap_or_default())
    }

    fn measure(&mut self, tid: u32, question: Option<u64>) -> io::Result<()> {
        self.step("measure")?;
        match question {
            Some(id) => self.measured.insert(tid, id),
            None => self.measured.remove(&tid),
        };
        Ok(())
    }

    fn measure_nothing(&mut self) -> io::Result<()> {
        self.step("measure_nothing")?;
        self.measured.clear();
        Ok(())
    }

    fn grant(&mut self, key: &GrantKey, grant: &Grant) -> io::Result<()> {
        self.step("grant")?;
        self.grants.retain(|(known, _grant)| known != key);
        self.grants.push((*key, *grant));
        Ok(())
    }

    fn grants(&self) -> io::Result<Vec<(GrantKey, Grant)>> {
        self.step("grants")?;
        Ok(self.grants.clone())
    }

    fn revoke(&mut self, key: &GrantKey) -> io::Result<()> {
        self.step("revoke")?;
        self.grants.retain(|(known, _grant)| known != key);
        Ok(())
    }

    fn questions(&self) -> io::Result<Vec<(Key, Question)>> {
        self.step("questions")?;
        Ok(self.questions.clone())
    }

    fn answer(&mut self, key: &Key, id: u64, state: u32, expires: u64) -> io::Result<bool> {
        self.step("answer")?;
        let open = |(known, question): &&mut (Key, Question)| {
            known == key
                && question.id == id
                && matches!(question.state, STATE_OPEN | STATE_MEASURE)
        };
        let Some((_key, question)) = self.questions.iter_mut().find(open) else {
            return Ok(false);
        };
        *question = Question { state, expires, ..*question };
        Ok(true)
    }

    fn forget(&mut self, key: &Key, id: u64) -> io::Result<()> {
        self.step("forget")?;
        self.questions.retain(|(known, question)| known != key || question.id != id);
        Ok(())
    }

    fn wake(&mut self, tgid: u32) -> io::Result<()> {
        self.step("wake")?;
        self.woken.push(tgid);
        Ok(())
    }
}
