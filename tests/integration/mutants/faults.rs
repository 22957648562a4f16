//! The faults: a piece of a source file that stands there once, and what stands there instead.

/// A fault.
pub(crate) struct Fault {
    pub(crate) what: &'static str,
    /// Below the crate's `src`.
    pub(crate) file: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

const fn fault(
    what: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
) -> Fault {
    Fault { what, file, from, to }
}

const AUTOMATON: &str = "automaton.rs";
const DECIDE: &str = "decide.rs";
const PACK: &str = "lower/pack.rs";

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "a missing cell keeps the state instead of ending it",
        AUTOMATON,
        "if word & LABEL_MASK != DEFAULT {\n        return DEAD;",
        "if word & LABEL_MASK != DEFAULT {\n        return state;",
    ),
    fault(
        "every default ends the walk",
        AUTOMATON,
        "if cell & ABSORBING != 0 { next | HALT } else { next }",
        "if cell & ABSORBING != 4 { next | HALT } else { next }",
    ),
    fault(
        "the owner of a cell is not looked at",
        AUTOMATON,
        "(word & LABEL_MASK == label).then_some(",
        "(word & LABEL_MASK != FREE).then_some(",
    ),
    fault(
        "ask beats deny",
        DECIDE,
        "if tally.deny != NOBODY {",
        "if tally.deny != NOBODY && tally.ask == NOBODY {",
    ),
    fault(
        "allow beats ask",
        DECIDE,
        "if tally.ask != NOBODY {",
        "if tally.ask != NOBODY && tally.allow == NOBODY {",
    ),
    fault(
        "one listed bit covers all that are wanted",
        DECIDE,
        "        self.wanted & !(self.asked | self.allowed)",
        "        if self.wanted & (self.asked | self.allowed) != 0 { 0 } else { self.wanted }",
    ),
    fault(
        "a span of the day has its last minute twice",
        DECIDE,
        "from <= now && now < to }",
        "from <= now && now <= to }",
    ),
    fault(
        "a span over midnight is empty",
        DECIDE,
        "now >= from || now < to }",
        "now >= from && now < to }",
    ),
    fault(
        "users are compared by 16 bits",
        DECIDE,
        "world.word(at.wrapping_add(1)) != world.uid()",
        "(world.word(at.wrapping_add(1)) ^ world.uid()) & 0xffff != 0",
    ),
    fault(
        "only the first lane is walked",
        DECIDE,
        "        if start == 0 {",
        "        if start == 0 || index != 0 {",
    ),
    fault(
        "every lane is read forward",
        DECIDE,
        "let backward = start & image::START_BACKWARD != 0;",
        "let backward = false;",
    ),
    fault(
        "a budget is spent although its bits are covered",
        DECIDE,
        " || hit & self.uncovered() == 0 {",
        " {",
    ),
    fault(
        "the last rule that allows is named",
        DECIDE,
        "self.allow = self.allow.min(key);",
        "self.allow = key;",
    ),
    fault(
        "absorbing states are marked where they are not",
        PACK,
        "match dfa.is_absorbing(default) {",
        "match !dfa.is_absorbing(default) {",
    ),
    fault(
        "every accepting state has the first set",
        PACK,
        "automaton::cell(END, sets[set as usize])",
        "automaton::cell(END, sets[set as usize & 0])",
    ),
    fault(
        "two states may have the same cells",
        PACK,
        "free &= !(self.cells[at] >> shift | high);",
        "free &= !(self.cells[at] >> shift & high);",
    ),
    fault(
        "two states may have the same index",
        PACK,
        "self.indices[index / 64] |= 1 << (index % 64);\n        for",
        "for",
    ),
    fault(
        "lanes that read backward are not marked",
        "lower/mod.rs",
        "if lane.backward { layout::START_BACKWARD } else { 0 }",
        "if lane.backward { 0 } else { 0 }",
    ),
    fault(
        "a condition counts as if it always held",
        "lower/sets.rs",
        "Holds::When => other.holds == Holds::When && self.condition == other.condition,",
        "Holds::When => true,",
    ),
    fault(
        "rules with equal budgets share them",
        "lower/conditions.rs",
        "Some(number) if rule.when.at_most.is_none() => number,",
        "Some(number) => number,",
    ),
];
