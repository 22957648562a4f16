//! What lowering came to, for people. Owns numbers only; must not decide anything.

use core::fmt;

use execlayer_common::{access::Operation, limits};

/// What lowering came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Words of the image.
    pub words: u32,
    /// Words of them that hold cells.
    pub cells: u32,
    /// Size class, see [`execlayer_common::limits::CLASS_WORDS`].
    pub class: u8,
    /// Decision sets that differ.
    pub sets: u32,
    /// Conditions that differ, budgets among them.
    pub conditions: u32,
    /// Budgets.
    pub budgets: u32,
    /// Lanes, in the order of operations and of walking.
    pub lanes: Vec<LaneReport>,
}

/// One lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneReport {
    /// What it is walked for.
    pub operation: Operation,
    /// Whether it is walked from the subject's end.
    pub backward: bool,
    /// Rules that have patterns in it.
    pub rules: u32,
    /// States before minimising.
    pub built: u32,
    /// States in the image.
    pub states: u32,
}

impl Report {
    /// States of all lanes.
    #[must_use]
    pub fn states(&self) -> u32 {
        self.lanes.iter().map(|lane| lane.states).sum()
    }

    /// Bytes of the image.
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.words * 4
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let room = limits::CLASS_WORDS.get(usize::from(self.class)).copied().unwrap_or(0);
        let room = room / 256;
        writeln!(
            f,
            "image: {} bytes in a table of {room} KiB, {} states, {} decision sets, {} conditions",
            self.bytes(),
            self.states(),
            self.sets,
            self.conditions
        )?;
        for lane in &self.lanes {
            let direction = if lane.backward { "backward" } else { "forward" };
            let LaneReport { operation, rules, states, built, .. } = lane;
            let name = operation.name();
            writeln!(f, "{name} {direction}: {rules} rules, {states} states of {built} built")?;
        }
        Ok(())
    }
}
