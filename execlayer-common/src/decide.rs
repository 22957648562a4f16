//! The one decision function: image, operation and wanted access to a ruling. The same source runs
//! in the kernel and in user space; must not know where subject, facts and loops come from.
//!
//! Rules (also the reference evaluator's, written there a second time on purpose):
//! deny beats ask beats allow for each wanted bit; a bit that nothing lists is denied; the whole is
//! as strict as its strictest bit. A budget is spent only where no other rule covers the bit.
//! Among rules that decide alike the one without condition is named first, then the one with the
//! lowest number.

use core::cell::Cell;

use crate::{
    access::{Access, Operation},
    automaton::{self, Table},
    image::{self, Effect},
    limits,
    reason::Reason,
    verdict::{RuleIndex, Verdict},
};

/// What the decision needs from its surroundings.
pub trait World: Table {
    /// Walks the subject from `start`, backward if asked to, and returns the last state.
    fn run(&self, start: u32, backward: bool) -> u32;
    /// Effective uid of the caller.
    fn uid(&self) -> u32;
    /// Minute of the UTC day, 0 to 1439.
    fn minute(&self) -> u32;
    /// Whether conditions may have tests of context. No kernel has any.
    const HAS_CONTEXT: bool = false;
    /// Whether the tests of context at `tests` hold for a rule with this effect.
    fn context(&self, _tests: u32, _effect: u32) -> bool {
        false
    }
    /// Uses budget `number` once; whether it had a use left among `uses` per `window` seconds.
    fn spend(&self, number: u32, uses: u32, window: u32) -> bool;
    /// Calls `body` with 0 to `count - 1` until it returns false.
    fn repeat<B: Body<Self>>(&self, count: u32, body: &mut B);
    /// Keeps no decision set any more.
    fn keep_none(&self);
    /// Keeps a decision set behind those that are kept; at most [`limits::MAX_LANES`] of them.
    fn keep(&self, set: u32);
    /// The decision set with that number, 0 behind the last one.
    fn kept(&self, number: u32) -> u32;
    /// Notes where lane `number` goes on for what lies below the subject ([`matches_below`]).
    fn goes_on(&self, number: u32, state: u32);
    /// The value itself.
    ///
    /// VERIFIER: the kernel's verifier follows every constant that a loop can leave behind as a path
    /// of its own, and paths multiply. Surroundings with a verifier make it forget the constant.
    fn forget(&self, value: u32) -> u32 {
        value
    }
}

/// The body of a loop that [`World::repeat`] runs.
pub trait Body<W: ?Sized> {
    /// One turn; whether to go on.
    fn turn(&mut self, world: &W, index: u32) -> bool;
}

/// Room for [`World::keep`] in user space.
#[derive(Debug, Default)]
pub struct Kept {
    sets: [Cell<u32>; limits::MAX_LANES as usize],
    count: Cell<usize>,
    below: [Cell<u32>; limits::MAX_LANES as usize],
}

impl Kept {
    /// See [`World::keep_none`].
    pub fn clear(&self) {
        self.count.set(0);
    }

    /// See [`World::keep`].
    pub fn push(&self, set: u32) {
        let count = self.count.get();
        if let Some(cell) = self.sets.get(count) {
            cell.set(set);
            self.count.set(count.saturating_add(1));
        }
    }

    /// See [`World::goes_on`].
    pub fn goes_on(&self, number: u32, state: u32) {
        if let Some(cell) = self.below.get(number as usize) {
            cell.set(state);
        }
    }

    /// What [`Kept::goes_on`] noted, lane by lane.
    #[must_use]
    pub fn below(&self) -> [u32; limits::MAX_LANES as usize] {
        self.below.each_ref().map(Cell::get)
    }

    /// See [`World::kept`].
    #[must_use]
    pub fn get(&self, number: u32) -> u32 {
        let kept = self.sets.get(..self.count.get()).unwrap_or_default();
        kept.get(number as usize).map_or(0, Cell::get)
    }
}

/// Whether anything at all matches the subject: all that a selector needs.
#[inline(always)]
#[must_use]
pub fn selects<W: World>(world: &W, operation: Operation) -> bool {
    matches(world, operation);
    world.kept(0) != 0
}

/// Decides, and names the rule.
#[inline(always)]
pub fn judge<W: World>(world: &W, operation: Operation, wanted: Access) -> Verdict {
    matches(world, operation);
    judge_matches(world, wanted, &mut Tally::default())
}

/// Walks the subject through every lane of `operation` and keeps what they find. Lanes are a loop of
/// the surroundings, not of the compiler: unrolled, each would double what the kernel's verifier has
/// to look at.
#[inline(always)]
pub fn matches<W: World>(world: &W, operation: Operation) {
    world.keep_none();
    let first = image::start_index(operation, 0);
    // The compiler fills lanes in order, and mostly there is one: it is not asked for another.
    let lanes = if world.word(first.wrapping_add(1)) == 0 { 1 } else { limits::MAX_LANES };
    world.repeat(world.forget(lanes), &mut Lanes::<false> { first });
}

/// [`matches`], and notes of each lane where it goes on for what lies below the subject: two directories at
/// which all lanes go on alike are judged alike in all that they hold. A lane that reads backward notes
/// nothing.
#[inline(always)]
pub fn matches_below<W: World>(world: &W, operation: Operation) {
    world.keep_none();
    let first = image::start_index(operation, 0);
    world.repeat(limits::MAX_LANES, &mut Lanes::<true> { first });
}

struct Lanes<const BELOW: bool> {
    first: u32,
}

impl<W: World, const BELOW: bool> Body<W> for Lanes<BELOW> {
    #[inline(always)]
    fn turn(&mut self, world: &W, index: u32) -> bool {
        let start = world.word(self.first.wrapping_add(index));
        // The compiler fills lanes in order, so the first empty one is the end.
        if start == 0 {
            if BELOW {
                world.goes_on(index, 0);
                return true;
            }
            return false;
        }
        let backward = start & image::START_BACKWARD != 0;
        let last = world.run(start & !image::START_BACKWARD, backward);
        if BELOW {
            let is_over = automaton::is_over(last);
            let state = if is_over { last } else { automaton::step(world, last, b'/') };
            world.goes_on(index, if backward { 0 } else { state });
        }
        let set = automaton::accepted(world, last);
        if set != 0 {
            world.keep(set);
        }
        true
    }
}

/// After [`matches`]: whether the masks alone allow the call, with nothing stricter and no condition.
/// False means that only [`judge_matches`] knows.
#[inline(always)]
#[must_use]
pub fn allowed_at_once<W: World>(world: &W, wanted: Access) -> bool {
    masks(world).allow_at_once(wanted)
}

#[inline(always)]
fn masks<W: World>(world: &W) -> Masks {
    let zero = world.forget(0);
    let mut masks = Masks { deny: zero, ask: zero, allow: zero, conditional: zero };
    for lane in 0..limits::MAX_LANES {
        let set = world.kept(lane);
        // Sets are kept without holes.
        if set == 0 {
            break;
        }
        masks.add(world, set);
    }
    masks
}

/// The union of decision sets' unconditional masks: all that is looked at of a call that is allowed at
/// once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Masks {
    deny: u32,
    ask: u32,
    allow: u32,
    conditional: u32,
}

impl Masks {
    /// Adds those of the decision set at `set`, which is not 0.
    #[inline(always)]
    pub fn add(&mut self, table: &impl Table, set: u32) {
        self.deny |= table.word(set);
        self.ask |= table.word(set.wrapping_add(1));
        self.allow |= table.word(set.wrapping_add(2));
        self.conditional |= table.word(set.wrapping_add(3)) & image::SET_CONDITIONAL;
    }

    /// Whether they alone allow all of `wanted`, with nothing stricter and no condition.
    #[inline(always)]
    #[must_use]
    pub const fn allow_at_once(self, wanted: Access) -> bool {
        let missing = wanted.0 & (self.deny | self.ask | !self.allow);
        missing | self.conditional == 0 && !wanted.is_empty()
    }
}

/// What a name gives, whatever is wanted of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Rights {
    /// Bits that are allowed, whatever the conditions.
    allowed: u32,
    /// Bits that are allowed or asked about, whatever the conditions.
    asked: u32,
    /// Bits that can be allowed.
    may: u32,
    /// Bits that can be allowed or asked about.
    may_ask: u32,
}

impl Rights {
    /// What decision sets give together.
    #[inline(always)]
    #[must_use]
    pub const fn of(masks: Masks) -> Self {
        let Masks { deny, ask, allow, conditional } = masks;
        if conditional != 0 {
            return Self { allowed: 0, asked: 0, may: !deny, may_ask: !deny };
        }
        let (allowed, asked) = (allow & !(ask | deny), (allow | ask) & !deny);
        Self { allowed, asked, may: allowed, may_ask: asked }
    }

    /// Bits that can be allowed.
    #[inline(always)]
    #[must_use]
    pub const fn may(self) -> Access {
        Access(self.may)
    }

    /// Bits of which this gives more than `old` does, or may do so.
    #[inline(always)]
    #[must_use]
    pub const fn more_than(self, old: Self) -> Access {
        Access((self.may & !old.allowed) | (self.may_ask & !old.asked))
    }
}

/// After [`matches`]: what the subject's name gives.
#[inline(always)]
pub fn rights<W: World>(world: &W) -> Rights {
    Rights::of(masks(world))
}

/// After [`matches`]: decides, and names the rule. Where the tally is kept is the caller's to say; what
/// is in it does not matter.
#[inline(always)]
pub fn judge_matches<W: World>(world: &W, wanted: Access, tally: &mut Tally) -> Verdict {
    if wanted.is_empty() {
        return Verdict::Deny(Reason::Unlisted, None);
    }
    tally.begin(wanted.0);
    tally.count(world);
    if tally.deny != NOBODY {
        return Verdict::Deny(Reason::Rule, Some(rule(tally.deny)));
    }
    // A budget is spent only if that can allow the call.
    let uncovered = tally.uncovered();
    if uncovered != 0 && uncovered & !tally.budgeted == 0 {
        tally.budgets = 1;
        tally.count(world);
    }
    if tally.uncovered() != 0 {
        return if tally.spent != NOBODY {
            Verdict::Deny(Reason::BudgetSpent, Some(rule(tally.spent)))
        } else {
            Verdict::Deny(Reason::Unlisted, None)
        };
    }
    if tally.ask != NOBODY {
        return Verdict::Ask(rule(tally.ask));
    }
    Verdict::Allow(rule(tally.allow))
}

const NOBODY: u32 = u32::MAX;
const CONDITIONED: u32 = 1 << 16;
const BUDGETED: u32 = 1 << 17;

#[inline(always)]
const fn rule(key: u32) -> RuleIndex {
    RuleIndex((key & 0xffff) as u16)
}

/// What the entries come to. Keys are a rule's number, behind whether it has conditions.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Tally {
    wanted: u32,
    asked: u32,
    allowed: u32,
    deny: u32,
    ask: u32,
    allow: u32,
    spent: u32,
    set: u32,
    /// Bits that an entry with a budget could cover.
    budgeted: u32,
    /// Not zero in the second pass, in which only entries with a budget count.
    budgets: u32,
}

impl Tally {
    #[inline(always)]
    fn begin(&mut self, wanted: u32) {
        *self = Self {
            wanted,
            deny: NOBODY,
            ask: NOBODY,
            allow: NOBODY,
            spent: NOBODY,
            ..Self::default()
        };
    }

    #[inline(always)]
    const fn uncovered(&self) -> u32 {
        self.wanted & !(self.asked | self.allowed)
    }
}

impl Tally {
    #[inline(always)]
    fn count<W: World>(&mut self, world: &W) {
        world.repeat(limits::MAX_LANES, &mut Sets { tally: self });
    }
}

/// Counts the entries of one kept set after another.
struct Sets<'a> {
    tally: &'a mut Tally,
}

impl<W: World> Body<W> for Sets<'_> {
    #[inline(always)]
    fn turn(&mut self, world: &W, index: u32) -> bool {
        let set = world.kept(index);
        if set == 0 {
            return false;
        }
        self.tally.set = set;
        let count = world.word(set.wrapping_add(3)) & !image::SET_CONDITIONAL;
        world.repeat(count.min(limits::MAX_SET_ENTRIES), self.tally);
        true
    }
}

impl<W: World> Body<W> for Tally {
    #[inline(always)]
    fn turn(&mut self, world: &W, index: u32) -> bool {
        let at = self
            .set
            .wrapping_add(image::SET_HEADER_WORDS)
            .wrapping_add(index.wrapping_mul(image::ENTRY_WORDS));
        let hit = world.word(at) & self.wanted;
        if hit == 0 {
            return true;
        }
        let entry = world.word(at.wrapping_add(1));
        let mut key = u32::from(image::entry_rule(entry));
        let condition = image::entry_condition(entry);
        if condition != 0 {
            let at = world
                .word(image::H_CONDITIONS)
                .wrapping_add(condition.wrapping_sub(1).wrapping_mul(image::CONDITION_WORDS));
            let flags = world.word(at);
            if !holds(world, at, flags, image::entry_effect(entry)) {
                return true;
            }
            key |= CONDITIONED;
            if flags & image::CONDITION_BUDGET != 0 {
                self.budgeted |= hit;
                if self.budgets == 0 || hit & self.uncovered() == 0 {
                    return true;
                }
                key |= BUDGETED;
                let uses = world.word(at.wrapping_add(4));
                let window = world.word(at.wrapping_add(5));
                if !world.spend(world.word(at.wrapping_add(3)), uses, window) {
                    self.spent = self.spent.min(key);
                    return true;
                }
            } else if self.budgets != 0 {
                return true;
            }
        } else if self.budgets != 0 {
            return true;
        }
        match image::entry_effect(entry) {
            e if e == Effect::Deny as u32 => self.deny = self.deny.min(key),
            e if e == Effect::Ask as u32 => {
                self.asked |= hit;
                self.ask = self.ask.min(key);
            }
            e if e == Effect::Allow as u32 => {
                self.allowed |= hit;
                self.allow = self.allow.min(key);
            }
            _ => {}
        }
        true
    }
}

#[inline(always)]
fn holds<W: World>(world: &W, at: u32, flags: u32, effect: u32) -> bool {
    if flags & image::CONDITION_UID != 0 && world.word(at.wrapping_add(1)) != world.uid() {
        return false;
    }
    if flags & image::CONDITION_TIME != 0 {
        let span = world.word(at.wrapping_add(2));
        let (from, to, now) = (span & 0xffff, span >> 16, world.minute());
        // A span that ends before it begins goes over midnight.
        let inside = if from <= to { from <= now && now < to } else { now >= from || now < to };
        if !inside {
            return false;
        }
    }
    // Where there is none, no rule that such a condition belongs to can match.
    if W::HAS_CONTEXT && flags & image::CONDITION_CONTEXT != 0 {
        return world.context(flags >> image::CONDITION_TESTS_SHIFT, effect);
    }
    true
}
