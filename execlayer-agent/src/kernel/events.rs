//! Observe: bytes of the ring buffer to [`Observed`]. Every field is converted with a check; a record
//! that this version does not know is refused. Must not know names, only numbers.

use execlayer_common::{
    access::{Access, Operation},
    event::{
        ABI, EVENT_INTERPRETER, EVENT_MEASURABLE, EVENT_MONITOR, EVENT_PROVISIONAL, EventHeader,
        KIND_CANCELLED, KIND_MEASURED, KIND_QUESTION, KIND_VERDICT, MAX_ANCESTORS, NO_RULE,
    },
    limits,
    question::Key,
    reason::Reason,
    verdict::{RuleIndex, raw},
};

const HEADER: usize = size_of::<EventHeader>();

/// Why a record is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Shorter than it says, or than a header.
    #[error("the record is cut short")]
    Short,
    /// Of another layout.
    #[error("the record has layout {0}")]
    Abi(u16),
    /// A kind that is not known here.
    #[error("the record has kind {0}")]
    Kind(u16),
    /// A number that names nothing.
    #[error("the record has {0} {1}")]
    Value(&'static str, u32),
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Goes on.
    Allow,
    /// To be asked.
    Ask,
    /// Fails.
    Deny,
}

impl Decision {
    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// A record of the kernel, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of EventHeader, checked")]
pub struct Observed {
    pub time: u64,
    pub profile: u32,
    pub generation: u32,
    pub rule: Option<RuleIndex>,
    pub access: Access,
    pub operation: Operation,
    pub decision: Decision,
    pub reason: Reason,
    pub monitor: bool,
    pub provisional: bool,
    pub pid: u32,
    pub tgid: u32,
    pub ppid: u32,
    pub uid: u32,
    pub gid: u32,
    pub start: u64,
    pub session: u64,
    pub cgroup: u64,
    pub comm: Vec<u8>,
    pub subject: Vec<u8>,
    pub exe: Vec<u8>,
    pub cwd: Vec<u8>,
    /// With a NUL behind each, and cut off where the record has no more room.
    pub argv: Vec<u8>,
    /// Governed processes above, the parent first: ids and names.
    pub ancestors: Vec<(u32, Vec<u8>)>,
    /// It is a question.
    pub asked: Option<Asked>,
    /// Number of the question that was answered, or of the remembered answer that decided.
    pub answer: Option<u64>,
    /// It is no kernel's: a tool asked before it acted.
    pub tool: Option<Box<ToolCall>>,
}

/// What a tool says of its call beside what is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The values that it gives, as one JSON object.
    pub context: String,
    /// The agent's own name of the call.
    pub call: Option<String>,
    /// The agent's own name of its session.
    pub agent_session: Option<String>,
}

/// What makes a record a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its number.
    pub id: u64,
    /// How the kernel knows it.
    pub key: Key,
    /// What an answer that is remembered is about.
    pub grant: [u64; 2],
    /// The call waits. If not, it has failed.
    pub is_held: bool,
    /// The file that is executed can be measured.
    pub is_measurable: bool,
}

/// A record, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A verdict or a question.
    Observed(Box<Observed>),
    /// The question with this number, of that thread group, is no more.
    Cancelled(u64, u32),
    /// The file of the question with this number was measured, or could not be.
    Measured(u64, Option<[u8; 32]>),
}

#[cfg(test)]
impl Record {
    /// What was observed.
    pub(crate) fn observed(self) -> Observed {
        match self {
            Self::Observed(observed) => *observed,
            other => panic!("{other:?}"),
        }
    }
}

/// Checks a record.
///
/// # Errors
///
/// If it is not one that this version writes.
pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    if bytes.len() < HEADER {
        return Err(RecordError::Short);
    }
    let mut at = Reader { rest: bytes };
    let abi = at.u16()?;
    if abi != ABI {
        return Err(RecordError::Abi(abi));
    }
    let kind = at.u16()?;
    if !matches!(kind, KIND_VERDICT | KIND_QUESTION | KIND_CANCELLED | KIND_MEASURED) {
        return Err(RecordError::Kind(kind));
    }
    let (subject_len, exe_len) = (usize::from(at.u16()?), usize::from(at.u16()?));
    let time = at.u64()?;
    let profile = at.u32()?;
    if profile > limits::MAX_PROFILES {
        return Err(RecordError::Value("profile", profile));
    }
    let generation = at.u32()?;
    let rule = match at.u32()? {
        NO_RULE => None,
        rule => match u16::try_from(rule) {
            Ok(rule) => Some(RuleIndex(rule)),
            Err(_) => return Err(RecordError::Value("rule", rule)),
        },
    };
    let access = Access(at.u32()?);
    let raw_operation = at.u8()?;
    // No kernel judges what a tool says of itself.
    let operation = Operation::from_raw(raw_operation)
        .filter(|operation| *operation != Operation::Call)
        .ok_or(RecordError::Value("operation", u32::from(raw_operation)))?;
    let decision = match at.u8()? {
        raw::ALLOW => Decision::Allow,
        raw::ASK => Decision::Ask,
        raw::DENY => Decision::Deny,
        unknown => return Err(RecordError::Value("verdict", u32::from(unknown))),
    };
    let raw_reason = at.u8()?;
    let reason =
        Reason::from_raw(raw_reason).ok_or(RecordError::Value("reason", u32::from(raw_reason)))?;
    let flags = at.u8()?;
    let known = EVENT_MONITOR | EVENT_PROVISIONAL | EVENT_MEASURABLE | EVENT_INTERPRETER;
    if flags & !known != 0 {
        return Err(RecordError::Value("flags", u32::from(flags)));
    }
    let (pid, tgid, ppid, uid, gid) = (at.u32()?, at.u32()?, at.u32()?, at.u32()?, at.u32()?);
    let (start, session, cgroup) = (at.u64()?, at.u64()?, at.u64()?);
    let comm = name(at.bytes(16)?);
    let (number, thread_start) = (at.u64()?, at.u64()?);
    let (hash, grant) = ([at.u64()?, at.u64()?], [at.u64()?, at.u64()?]);
    match kind {
        KIND_CANCELLED => return Ok(Record::Cancelled(number, tgid)),
        KIND_MEASURED => {
            let mut digest = [0; 32];
            let words = hash.into_iter().chain(grant).flat_map(u64::to_ne_bytes);
            digest.iter_mut().zip(words).for_each(|(to, from)| *to = from);
            return Ok(Record::Measured(number, (reason == Reason::None).then_some(digest)));
        }
        _ => {}
    }
    let (cwd_len, argv_len) = (usize::from(at.u16()?), usize::from(at.u16()?));
    let count = at.u32()?;
    if count > MAX_ANCESTORS as u32 {
        return Err(RecordError::Value("ancestors", count));
    }
    let mut ancestors = Vec::with_capacity(count as usize);
    for place in 0..MAX_ANCESTORS as u32 {
        let ancestor = (at.u32()?, name(at.bytes(16)?));
        if place < count {
            ancestors.push(ancestor);
        }
    }
    let key = Key {
        tid: pid,
        operation: u32::from(raw_operation),
        access: access.0,
        reserved: u32::from(flags & EVENT_INTERPRETER != 0),
        start: thread_start,
        subject: hash,
    };
    let subject = at.bytes(subject_len)?.to_vec();
    let exe = at.bytes(exe_len)?.to_vec();
    let cwd = at.bytes(cwd_len)?.to_vec();
    let argv = at.bytes(argv_len)?.to_vec();
    let is_question = kind == KIND_QUESTION;
    let asked = Asked {
        id: number,
        key,
        grant,
        is_held: decision == Decision::Ask,
        is_measurable: flags & EVENT_MEASURABLE != 0,
    };
    Ok(Record::Observed(Box::new(Observed {
        time,
        profile,
        generation,
        rule,
        access,
        operation,
        decision,
        reason,
        monitor: flags & EVENT_MONITOR != 0,
        provisional: flags & EVENT_PROVISIONAL != 0,
        pid,
        tgid,
        ppid,
        uid,
        gid,
        start,
        session,
        cgroup,
        comm,
        subject,
        exe,
        cwd,
        argv,
        ancestors,
        asked: is_question.then_some(asked),
        answer: (!is_question && number != 0).then_some(number),
        tool: None,
    })))
}

fn name(padded: &[u8]) -> Vec<u8> {
    padded.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(RecordError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        self.bytes(N)?.try_into().map_err(|_impossible| RecordError::Short)
    }

    fn u8(&mut self) -> Result<u8, RecordError> {
        self.array().map(u8::from_ne_bytes)
    }

    fn u16(&mut self) -> Result<u16, RecordError> {
        self.array().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Result<u32, RecordError> {
        self.array().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Result<u64, RecordError> {
        self.array().map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests;
