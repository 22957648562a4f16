//! A policy as it is written: every value with its place, nothing resolved. Must not decide whether it
//! makes sense.

use execlayer_common::{access::Access, call::Number, image::Effect, provenance::DeciderKind};

use super::text::Text;
use crate::{
    checked::{Budget, Mode, Record},
    source::{SourceId, Span},
};

/// One file. Made by [`super::parse`] only; [`crate::check`] alone can make more of it.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) source: SourceId,
    /// Whether parts are missing because of syntax errors.
    pub(crate) broken: bool,
    pub(crate) name: Option<Text>,
    pub(crate) version: Option<u64>,
    pub(crate) extends: Vec<Text>,
    pub(crate) variables: Vec<(Text, Text)>,
    pub(crate) agent: Option<Agent>,
    pub(crate) deciders: Vec<Decider>,
    pub(crate) rules: Vec<Rule>,
}

/// `[agent]`.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) span: Span,
    pub(crate) name: Option<Text>,
    pub(crate) cgroups: Vec<Text>,
    pub(crate) executables: Vec<Text>,
    pub(crate) accepts_from: Vec<Text>,
    pub(crate) mode: Mode,
    pub(crate) record: Record,
}

/// `[[rule]]`.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) span: Span,
    pub(crate) id: Option<Text>,
    pub(crate) effect: Option<(Effect, Span)>,
    pub(crate) access: Access,
    pub(crate) paths: Vec<Text>,
    pub(crate) except: Vec<Text>,
    pub(crate) to: Vec<Text>,
    pub(crate) features: Vec<Text>,
    pub(crate) actions: Vec<Text>,
    pub(crate) resources: Vec<Text>,
    pub(crate) context: Vec<Test>,
    pub(crate) when: When,
    pub(crate) reason: Option<Text>,
    pub(crate) transition: Option<Text>,
    pub(crate) asking: Asking,
}

/// What a rule asks of one context value.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) name: Text,
    pub(crate) asks: Asks,
}

/// See [`Test`].
#[derive(Clone, Debug)]
pub(crate) enum Asks {
    Given(bool),
    Flag(bool),
    /// Both included.
    Number(Number, Number),
    Text(Vec<Text>),
    Every(Vec<Text>),
    Some(Vec<Text>),
}

/// What a rule says about its questions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asking {
    /// Seconds.
    pub(crate) timeout: Option<u32>,
    /// Seconds.
    pub(crate) remember: Option<u32>,
    pub(crate) deciders: Vec<Text>,
}

/// `[[decider]]`.
#[derive(Clone, Debug)]
pub(crate) struct Decider {
    pub(crate) name: Option<Text>,
    /// `None` if something is wrong with it.
    pub(crate) kind: Option<DeciderKind>,
}

/// `when`.
#[derive(Clone, Debug, Default)]
pub(crate) struct When {
    pub(crate) user: Option<User>,
    pub(crate) between: Option<(u16, u16)>,
    pub(crate) at_most: Option<Budget>,
}

/// `user`.
#[derive(Clone, Debug)]
pub(crate) enum User {
    Id(u32),
    Name(Text),
}
