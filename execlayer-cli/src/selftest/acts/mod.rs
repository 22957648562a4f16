//! The acts, by group. Each is harmless where nothing stops it, and leaves nothing but in the yard.

mod addresses;
mod changes;
mod code;
mod gate;
mod leaving;
mod moves;
mod processes;
mod reading;
mod services;

use super::Act;

/// Every act, with its group.
const GROUPS: [(&str, &[Act]); 9] = [
    ("reading", reading::ACTS),
    ("changing", changes::ACTS),
    ("moving", moves::ACTS),
    ("code", code::ACTS),
    ("addresses", addresses::ACTS),
    ("services", services::ACTS),
    ("processes", processes::ACTS),
    ("leaving", leaving::ACTS),
    ("the gate", gate::ACTS),
];

/// Every act in the order in which they are tried, with its group.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static Act)> {
    GROUPS.iter().flat_map(|(group, acts)| acts.iter().map(move |act| (*group, act)))
}

/// Parts of acts, which processes of theirs do.
pub(super) fn part(name: &str) -> Option<&'static Act> {
    reading::PARTS.iter().find(|act| act.name == name)
}
