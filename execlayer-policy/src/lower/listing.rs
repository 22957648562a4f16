//! An image written out for people: header, lanes, decision sets, conditions. Reads the words only,
//! so that it shows what the kernel sees; ids and who is asked, which the kernel does not know, are the
//! provenance's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use execlayer_common::{
    access::{Access, Operation},
    automaton::{self, DEFAULT, END, Table as _},
    call::Number,
    context::{self, Kind},
    image::{self, ImageError},
    limits,
    provenance::Provenance,
};

use crate::{asking, image_world::View};

/// The listing of an image; rules by the ids in `provenance`.
///
/// # Errors
///
/// An [`ImageError`] if the words are no image.
pub fn listing(words: &[u32], provenance: &Provenance) -> Result<String, ImageError> {
    image::check_header(words)?;
    let listing = Listing { view: View(words), provenance };
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = listing.write(&mut out);
    Ok(out)
}

struct Listing<'a> {
    view: View<'a>,
    provenance: &'a Provenance,
}

impl Listing<'_> {
    fn write(&self, out: &mut String) -> core::fmt::Result {
        let Provenance { policy, version, agent, .. } = self.provenance;
        let at = |index| self.view.word(index);
        writeln!(out, "image of `{policy}` version {version} for `{agent}`")?;
        writeln!(out, "format {}, {} words", at(image::H_FORMAT), at(image::H_WORDS))?;
        let flags = at(image::H_FLAGS);
        for (flag, meaning) in FLAGS {
            if flags & flag != 0 {
                writeln!(out, "flag: {meaning}")?;
            }
        }
        writeln!(out, "rules: {}", at(image::H_RULE_COUNT))?;
        let mut sets = BTreeSet::new();
        for operation in Operation::ALL {
            for lane in 0..limits::MAX_LANES {
                let start = at(image::start_index(operation, lane));
                if start != 0 {
                    self.write_lane(out, operation, start, &mut sets)?;
                }
            }
        }
        let numbers: BTreeMap<u32, usize> = sets.iter().copied().zip(1..).collect();
        for (&set, number) in &numbers {
            writeln!(out, "\nset {number}")?;
            self.write_set(out, set)?;
        }
        self.write_conditions(out)?;
        self.write_asking(out)
    }

    fn write_lane(
        &self,
        out: &mut String,
        operation: Operation,
        start: u32,
        sets: &mut BTreeSet<u32>,
    ) -> core::fmt::Result {
        let backward = start & image::START_BACKWARD != 0;
        let walked = Reached::from(&self.view, start & !image::START_BACKWARD);
        let direction = if backward { "backward" } else { "forward" };
        let (name, states) = (operation.name(), walked.states.len());
        writeln!(out, "lane: {name} {direction}, {states} states, {} cells", walked.cells)?;
        sets.extend(walked.sets);
        Ok(())
    }

    fn write_set(&self, out: &mut String, set: u32) -> core::fmt::Result {
        let count = self.view.word(set + 3) & !image::SET_CONDITIONAL;
        for entry in 0..count.min(limits::MAX_SET_ENTRIES) {
            let at = set + image::SET_HEADER_WORDS + entry * image::ENTRY_WORDS;
            let (access, word) = (Access(self.view.word(at)), self.view.word(at + 1));
            let effect = match image::entry_effect(word) {
                0 => "deny",
                1 => "ask",
                _ => "allow",
            };
            let bits = names(access);
            write!(out, "  {effect} {bits}")?;
            if !access.contains(Access::GOVERN) {
                let number = image::entry_rule(word);
                let rule = self.provenance.rules.get(usize::from(number));
                let id = rule.map_or("?", |rule| rule.id.as_str());
                write!(out, " by rule {number} `{id}`")?;
            }
            match image::entry_condition(word) {
                0 => writeln!(out)?,
                condition => writeln!(out, " under condition {condition}")?,
            }
        }
        Ok(())
    }

    fn write_conditions(&self, out: &mut String) -> core::fmt::Result {
        let first = self.view.word(image::H_CONDITIONS);
        for number in 0..self.view.word(image::H_CONDITION_COUNT) {
            let at = first + number * image::CONDITION_WORDS;
            let word = |offset| self.view.word(at + offset);
            write!(out, "\ncondition {}:", number + 1)?;
            if word(0) & image::CONDITION_UID != 0 {
                write!(out, " uid {}", word(1))?;
            }
            if word(0) & image::CONDITION_TIME != 0 {
                let (from, to) = (word(2) & 0xffff, word(2) >> 16);
                let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
                write!(out, " from {} to {}", clock(from), clock(to))?;
            }
            if word(0) & image::CONDITION_BUDGET != 0 {
                write!(out, " budget {}: {} in {} s", word(3), word(4), word(5))?;
            }
            if word(0) & image::CONDITION_CONTEXT != 0 {
                self.write_tests(out, word(0) >> image::CONDITION_TESTS_SHIFT)?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn write_tests(&self, out: &mut String, tests: u32) -> core::fmt::Result {
        for number in 0..self.view.word(tests) {
            let at = tests + 1 + number * context::TEST_WORDS;
            let head = self.view.word(at);
            let name = self.provenance.context.get((head & 0xff) as usize);
            let name = name.map_or("?", String::as_str);
            let number = |first: u32| {
                Number::from_words([0, 1, 2, 3].map(|word| self.view.word(at + first + word)))
            };
            match Kind::from_raw((head >> 8) & 0xff) {
                Some(Kind::Flag) => write!(out, " {name} is {}", self.view.word(at + 1) == 1)?,
                Some(Kind::Number) => write!(out, " {name} from {} to {}", number(2), number(6))?,
                Some(Kind::Given) => write!(out, " {name} given")?,
                Some(Kind::Absent) => write!(out, " {name} not given")?,
                Some(kind) => {
                    let walked = Reached::from(&self.view, self.view.word(at + 1));
                    let kind = format!("{kind:?}").to_lowercase();
                    write!(out, " {name} {kind} by {} states", walked.states.len())?;
                }
                None => write!(out, " {name} ?")?,
            }
        }
        Ok(())
    }

    fn write_asking(&self, out: &mut String) -> core::fmt::Result {
        for (number, rule) in self.provenance.rules.iter().enumerate() {
            if let Some(asking) = &rule.asking {
                let chain = asking::chain(asking, &self.provenance.deciders);
                writeln!(out, "\nrule {number} `{}` {chain}", rule.id)?;
            }
        }
        for decider in &self.provenance.deciders {
            writeln!(out, "\ndecider {}", asking::decider(decider))?;
        }
        Ok(())
    }
}

const FLAGS: [(u32, &str); 4] = [
    (image::FLAG_MONITOR, "monitor: records what it would deny and lets it pass"),
    (image::FLAG_RECORD_ALL, "records what it allows too"),
    (image::FLAG_SELECTS_CGROUP, "selects tasks by their cgroup"),
    (image::FLAG_SELECTS_EXE, "selects tasks by what they execute"),
];

fn names(access: Access) -> String {
    if access.contains(Access::GOVERN) {
        return "govern".to_owned();
    }
    access.names().collect::<Vec<_>>().join("+")
}

/// What can be reached from a start.
#[derive(Default)]
struct Reached {
    states: BTreeSet<u32>,
    cells: u32,
    sets: BTreeSet<u32>,
}

impl Reached {
    fn from(view: &View<'_>, start: u32) -> Self {
        let mut out = Self::default();
        let mut stack = vec![start];
        while let Some(state) = stack.pop() {
            if state == automaton::DEAD || !out.states.insert(state) {
                continue;
            }
            for byte in 0..=u8::MAX {
                let next = automaton::step(view, state, byte) & !automaton::HALT;
                if !out.states.contains(&next) {
                    stack.push(next);
                }
            }
            for label in (0..END).chain([END, DEFAULT]) {
                out.cells += u32::from(view.word(state + label) & 0x1ff == label);
            }
            let set = automaton::accepted(view, state);
            if set != 0 {
                out.sets.insert(set);
            }
        }
        out
    }
}
