//! The text of a glob to items, and items to a [`Pattern`]. Owns what every sign of a glob means; the
//! structure of paths is [`super::shape`]'s, where a pattern may stand is `check`'s.
//!
//! A pattern with braces means the union of what it means with each choice written out. Where that
//! makes no difference the group stays a group; where `**` or the root touches it, it is written out.

use std::{collections::BTreeMap, ops::Range};

use execlayer_common::limits::MAX_PATTERN_BYTES;

use super::{lex, shape};
use crate::pattern::{ByteSet, Node, Pattern};

/// Values of variables by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// What the pattern's subjects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Absolute paths.
    Path,
    /// `@` and an abstract socket name: any bytes.
    Abstract,
    /// A tool's name, what it is called about, a context value: any bytes.
    Text,
}

/// What is wrong with a pattern, and which bytes of its text are to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternError {
    pub(crate) bytes: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl PatternError {
    pub(crate) fn new(bytes: Range<usize>, message: impl Into<String>) -> Self {
        Self { bytes, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A part of a glob with its bytes in the text.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) item: Item,
    pub(super) bytes: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Item {
    Byte(u8),
    Class(ByteSet),
    Star,
    DoubleStar,
    Group(Vec<Vec<Placed>>),
}

/// A glob that was understood.
#[derive(Debug)]
pub(crate) struct Glob {
    /// With variables filled in, their signs escaped.
    pub(crate) text: String,
    pub(crate) pattern: Pattern,
}

pub(crate) fn parse(text: &str, variables: &Variables, kind: Kind) -> Result<Glob, PatternError> {
    if text.is_empty() {
        return Err(PatternError::new(0..0, "the pattern is empty").help(match kind {
            Kind::Text => "write `**` for any text, none included",
            Kind::Path | Kind::Abstract => "write an absolute path, or leave it out",
        }));
    }
    let (items, filled) = lex::lex(text, variables)?;
    if filled.len() > MAX_PATTERN_BYTES {
        let message = format!(
            "the pattern has {} bytes; {MAX_PATTERN_BYTES} are allowed (`MAX_PATTERN_BYTES`)",
            filled.len()
        );
        return Err(PatternError::new(0..text.len(), message));
    }
    if kind == Kind::Path {
        shape::check(&items, text.len())?;
    }
    let items: Vec<&Placed> = items.iter().collect();
    match (Builder { left: MAX_NODES, kind }).build(Before::START, &items) {
        Some(nodes) => Ok(Glob { text: filled, pattern: Pattern(nodes) }),
        None => Err(PatternError::new(
            0..text.len(),
            "the pattern's braces and `**` make too many combinations",
        )
        .help("give several patterns instead of one")),
    }
}

/// Nodes of one pattern: written-out groups must not explode.
const MAX_NODES: usize = 16_384;

/// What stands before an item.
#[derive(Clone, Copy)]
struct Before {
    /// Nothing.
    start: bool,
    /// `/` and nothing else.
    root: bool,
    /// A slash, at least.
    slash: bool,
}

impl Before {
    const START: Self = Self { start: true, root: false, slash: false };
    const NAME: Self = Self { start: false, root: false, slash: false };

    const fn then(self, byte: u8) -> Self {
        let slash = byte == b'/';
        Self { start: false, root: self.start && slash, slash }
    }
}

struct Builder {
    left: usize,
    kind: Kind,
}

impl Builder {
    /// `None` if there are too many nodes.
    fn build(&mut self, mut before: Before, items: &[&Placed]) -> Option<Vec<Node>> {
        let not_slash = ByteSet::ALL.without(b'/');
        let mut nodes = Vec::new();
        let mut rest = items;
        while let Some((placed, tail)) = rest.split_first() {
            self.left = self.left.checked_sub(1)?;
            rest = tail;
            match &placed.item {
                Item::Byte(byte) => {
                    nodes.push(Node::Byte(*byte));
                    before = before.then(*byte);
                }
                Item::Class(set) => {
                    nodes.push(Node::Class(*set));
                    before = Before::NAME;
                }
                Item::Star | Item::DoubleStar if self.open(before, placed, tail) => {
                    let Some((group, behind)) = group(tail) else { return Some(nodes) };
                    nodes.push(self.write_out(before, &[placed], group, behind)?);
                    return Some(nodes);
                }
                Item::Star => {
                    // No component is empty: `/*` does not match the root directory.
                    if self.kind == Kind::Path
                        && before.root
                        && tail.iter().all(|next| is_star(next))
                    {
                        nodes.push(Node::Class(not_slash));
                    }
                    nodes.push(Node::Repeat(not_slash));
                    before = Before::NAME;
                }
                Item::DoubleStar => match tail.split_first() {
                    Some((next, behind))
                        if before.slash && matches!(next.item, Item::Byte(b'/')) =>
                    {
                        let below = vec![Node::Repeat(ByteSet::ALL), Node::Byte(b'/')];
                        nodes.push(Node::Either(vec![Vec::new(), below]));
                        rest = behind;
                        before = Before { start: false, root: before.root, slash: true };
                    }
                    next => {
                        if self.kind == Kind::Path && before.slash && next.is_none() {
                            nodes.push(Node::Class(ByteSet::ALL));
                        }
                        nodes.push(Node::Repeat(ByteSet::ALL));
                        before = Before::NAME;
                    }
                },
                Item::Group(choices) => {
                    let touched = before.start || before.root;
                    if touched || choices.iter().any(|c| has_double_star(c)) || leads_to_star(tail)
                    {
                        nodes.push(self.write_out(before, &[], choices, tail)?);
                        return Some(nodes);
                    }
                    let built = choices.iter().map(|choice| {
                        let choice: Vec<&Placed> = choice.iter().collect();
                        self.build(Before::NAME, &choice)
                    });
                    nodes.push(Node::Either(built.collect::<Option<_>>()?));
                    before = Before::NAME;
                }
            }
        }
        Some(nodes)
    }

    /// Whether what a star means depends on which choice of the group behind it is taken.
    fn open(&self, before: Before, star: &Placed, tail: &[&Placed]) -> bool {
        let depends = before.root || (before.slash && matches!(star.item, Item::DoubleStar));
        depends && group(tail).is_some()
    }

    /// The group with each choice between what stands before and behind it.
    fn write_out(
        &mut self,
        before: Before,
        ahead: &[&Placed],
        choices: &[Vec<Placed>],
        behind: &[&Placed],
    ) -> Option<Node> {
        let built = choices.iter().map(|choice| {
            let items: Vec<&Placed> =
                ahead.iter().copied().chain(choice).chain(behind.iter().copied()).collect();
            self.build(before, &items)
        });
        built.collect::<Option<_>>().map(Node::Either)
    }
}

fn group<'p, 's>(items: &'s [&'p Placed]) -> Option<(&'p [Vec<Placed>], &'s [&'p Placed])> {
    match items.split_first() {
        Some((Placed { item: Item::Group(choices), .. }, behind)) => Some((choices, behind)),
        _ => None,
    }
}

const fn is_star(placed: &Placed) -> bool {
    matches!(placed.item, Item::Star | Item::DoubleStar)
}

fn has_double_star(items: &[Placed]) -> bool {
    items.iter().any(|placed| match &placed.item {
        Item::DoubleStar => true,
        Item::Group(choices) => choices.iter().any(|choice| has_double_star(choice)),
        _ => false,
    })
}

/// Whether a `**` follows at once, or behind groups that may be empty.
fn leads_to_star(items: &[&Placed]) -> bool {
    for placed in items {
        match &placed.item {
            Item::DoubleStar => return true,
            Item::Group(choices) if choices.iter().any(|choice| has_double_star(choice)) => {
                return true;
            }
            Item::Group(_) => {}
            _ => return false,
        }
    }
    false
}
