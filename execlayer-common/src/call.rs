//! What a tool says when it asks before it acts: a call of a tool, about something, with named values.
//! Owns what of that the automaton reads and how values compare; must not know any policy.
//!
//! Subject of [`crate::access::Operation::Call`]: the tool's name, a byte 0, what it is called about. A name has
//! no byte 0, so no two calls have the same subject.

use crate::limits::{MAX_ACTION, MAX_CONTEXT_NAME, MAX_CONTEXT_VALUES, MAX_RESOURCE};

/// Between the tool's name and what it is called about.
pub const SEPARATOR: u8 = 0;

/// A call of a tool that can be judged. Every value is the caller's word, and nothing more.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    action: &'a [u8],
    resource: &'a [u8],
    context: &'a [(Name, Value<'a>)],
    /// Effective uid of whoever calls.
    pub uid: u32,
    /// Minute of the UTC day, 0 to 1439.
    pub minute: u16,
    /// Seconds of a clock that only goes forward: the windows of budgets follow one another from its 0.
    pub second: u64,
}

/// Why a call cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The tool has no name, a longer one than [`MAX_ACTION`] bytes, or one with a byte 0.
    Action,
    /// What it is called about has more than [`MAX_RESOURCE`] bytes.
    Resource,
    /// More values than [`MAX_CONTEXT_VALUES`].
    Values,
    /// A value is given twice; its place in the list.
    Twice(usize),
}

impl core::fmt::Display for RequestError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Action => {
                write!(f, "a tool's name has 1 to {MAX_ACTION} bytes, and none of them is 0")
            }
            Self::Resource => {
                write!(f, "what a tool is called about has at most {MAX_RESOURCE} bytes")
            }
            Self::Values => {
                write!(f, "a call gives at most {MAX_CONTEXT_VALUES} values of context")
            }
            Self::Twice(at) => write!(f, "value {at} of the context is given a second time"),
        }
    }
}

impl core::error::Error for RequestError {}

impl<'a> Request<'a> {
    /// A call of the tool `action` about `resource`, by root at the beginning of time and without context until more is
    /// said.
    ///
    /// # Errors
    ///
    /// A [`RequestError`] that names what is wrong.
    pub const fn new(action: &'a [u8], resource: &'a [u8]) -> Result<Self, RequestError> {
        if action.is_empty() || action.len() > MAX_ACTION {
            return Err(RequestError::Action);
        }
        let mut rest = action;
        while let Some((first, tail)) = rest.split_first() {
            if *first == SEPARATOR {
                return Err(RequestError::Action);
            }
            rest = tail;
        }
        if resource.len() > MAX_RESOURCE {
            return Err(RequestError::Resource);
        }
        Ok(Self { action, resource, context: &[], uid: 0, minute: 0, second: 0 })
    }

    /// The same call with these named values.
    ///
    /// # Errors
    ///
    /// If they are too many, or one is given twice.
    pub fn with(mut self, context: &'a [(Name, Value<'a>)]) -> Result<Self, RequestError> {
        if context.len() > MAX_CONTEXT_VALUES {
            return Err(RequestError::Values);
        }
        for (at, (name, _)) in context.iter().enumerate() {
            if context.iter().take(at).any(|(other, _)| other == name) {
                return Err(RequestError::Twice(at));
            }
        }
        self.context = context;
        Ok(self)
    }

    /// The same call by this user.
    #[must_use]
    pub const fn by(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    /// The same call at this minute of the UTC day, and second of a clock that only goes forward.
    #[must_use]
    pub const fn at(mut self, minute: u16, second: u64) -> Self {
        (self.minute, self.second) = (minute, second);
        self
    }

    /// The tool's name.
    #[must_use]
    pub const fn action(&self) -> &'a [u8] {
        self.action
    }

    /// What it is called about.
    #[must_use]
    pub const fn resource(&self) -> &'a [u8] {
        self.resource
    }

    /// The values that it gives.
    #[must_use]
    pub const fn context(&self) -> &'a [(Name, Value<'a>)] {
        self.context
    }
}

/// The name of a context value: 1 to [`MAX_CONTEXT_NAME`] of ASCII letters, digits, `_`, `-` and `.`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Zeros behind it.
    bytes: [u8; MAX_CONTEXT_NAME],
    hash: u32,
}

/// Text that cannot name a context value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError;

impl core::fmt::Display for NameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "a context value's name has 1 to {MAX_CONTEXT_NAME} ASCII letters, digits, `_`, `-` and `.`"
        )
    }
}

impl core::error::Error for NameError {}

impl Name {
    /// The name.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub const fn new(name: &str) -> Result<Self, NameError> {
        let mut bytes = [0; MAX_CONTEXT_NAME];
        let (mut from, mut to): (&[u8], &mut [u8]) = (name.as_bytes(), &mut bytes);
        if from.is_empty() {
            return Err(NameError);
        }
        while let Some((byte, rest)) = from.split_first() {
            let Some((room, left)) = to.split_first_mut() else { return Err(NameError) };
            if !(byte.is_ascii_alphanumeric() || matches!(*byte, b'_' | b'-' | b'.')) {
                return Err(NameError);
            }
            *room = *byte;
            (from, to) = (rest, left);
        }
        Ok(Self { bytes, hash: hash(&bytes) })
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.bytes.iter().position(|&byte| byte == 0).unwrap_or(self.bytes.len());
        let name = self.bytes.get(..end).unwrap_or_default();
        core::str::from_utf8(name).unwrap_or_default()
    }

    /// A number that equal names share, for tables.
    #[must_use]
    pub const fn hash(&self) -> u32 {
        self.hash
    }
}

const fn hash(bytes: &[u8; MAX_CONTEXT_NAME]) -> u32 {
    let (mut rest, mut mixed): (&[u8], u64) = (bytes, 0);
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        mixed = (mixed ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 32;
        rest = behind;
    }
    (mixed >> 8) as u32
}

impl core::fmt::Debug for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_str().fmt(f)
    }
}

/// A context value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Text, any bytes.
    Text(&'a [u8]),
    /// A number.
    Number(Number),
    /// True or false.
    Flag(bool),
    /// A list of texts.
    List(&'a [&'a [u8]]),
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::whole(value)
    }
}

impl core::fmt::Display for Number {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs() >> 1;
        let one = Self::ONE.unsigned_abs();
        let whole = units.checked_div(one).unwrap_or(units);
        let fraction = units.checked_rem(one).unwrap_or(0);
        write!(f, "{sign}{whole}")?;
        let (mut rest, mut places) = (fraction, Self::PLACES as usize);
        while rest != 0 && rest.wrapping_rem(10) == 0 {
            (rest, places) = (rest / 10, places.saturating_sub(1));
        }
        if rest != 0 {
            write!(f, ".{rest:0places$}")?;
        }
        // One that lies beside.
        if self.0 & 1 == 0 { Ok(()) } else { f.write_str("...") }
    }
}

/// A decimal number of whatever length and precision, as it compares with those that policies can write: with up
/// to [`Number::PLACES`] places behind the point, below [`Number::LIMIT`]. Such a number is exact. Any other
/// compares with every exact one as it should; two that lie between the same exact ones are equal here.
///
/// Twice the number of the last exact one at or below, and one more if it is not that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(i128);

impl Number {
    /// Decimal places of an exact number.
    pub const PLACES: u32 = 9;
    /// Exact numbers lie between this and its negative.
    pub const LIMIT: i128 = 10_i128.pow(20);

    const ONE: i128 = 10_i128.pow(Self::PLACES);
    /// Digits of the largest that is not cut off.
    const DIGITS: i64 = 30;
    const BEYOND: i128 = i128::MAX >> 1;

    /// The whole number.
    #[must_use]
    pub const fn whole(value: i64) -> Self {
        // An i64 has 19 digits.
        Self((value as i128).wrapping_mul(Self::ONE).wrapping_mul(2))
    }

    /// Reads a decimal number as JSON writes it (RFC 8259, section 6), with a leading `+` allowed; `None` if it is
    /// none. Takes time in its length, whatever its exponent.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (decimal, exponent) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((decimal, exponent)) => (decimal, power(exponent)?),
        };
        let (whole, fraction) = match decimal.split_once('.') {
            None => (decimal, ""),
            Some((_, "")) => return None,
            Some(both) => both,
        };
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let places = i64::try_from(fraction.len()).ok()?;
        let shift = i64::from(Self::PLACES).saturating_sub(places).saturating_add(exponent);
        let all = || whole.bytes().chain(fraction.bytes()).skip_while(|&digit| digit == b'0');
        let Some(count) = i64::try_from(all().count()).ok().filter(|&count| count > 0) else {
            return Some(Self(0));
        };
        let kept = count.saturating_add(shift);
        if kept > Self::DIGITS {
            return Some(Self(if negative { Self::BEYOND.wrapping_neg() } else { Self::BEYOND }));
        }
        let mut units: i128 = 0;
        let mut rest = all();
        for _ in 0..kept.max(0) {
            let digit = rest.next().map_or(0, |digit| i128::from(digit & 0xf));
            units = units.wrapping_mul(10).wrapping_add(digit);
        }
        let more = rest.any(|digit| digit != b'0');
        let key = units.wrapping_mul(2).wrapping_add(i128::from(more));
        Some(Self(if negative { key.wrapping_neg() } else { key }))
    }

    /// Whether it is exact.
    #[must_use]
    pub const fn is_exact(self) -> bool {
        let limit = Self::LIMIT.wrapping_mul(Self::ONE).wrapping_mul(2);
        self.0 & 1 == 0 && limit.wrapping_neg() < self.0 && self.0 < limit
    }

    /// The least that is more than this exact one.
    #[must_use]
    pub const fn above(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The largest that is less than this exact one.
    #[must_use]
    pub const fn below(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// No number is less.
    pub const LEAST: Self = Self(i128::MIN);
    /// No number is more.
    pub const MOST: Self = Self(i128::MAX);

    /// As four words, the lowest first.
    #[must_use]
    pub const fn to_words(self) -> [u32; 4] {
        let bits = self.0 as u128;
        [bits as u32, (bits >> 32) as u32, (bits >> 64) as u32, (bits >> 96) as u32]
    }

    /// See [`Self::to_words`].
    #[must_use]
    pub const fn from_words(words: [u32; 4]) -> Self {
        let [a, b, c, d] = words;
        Self((a as u128 | (b as u128) << 32 | (c as u128) << 64 | (d as u128) << 96) as i128)
    }
}

fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An exponent; one that does not fit is as good as endless.
fn power(text: &str) -> Option<i64> {
    let (negative, number) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if number.is_empty() || !digits(number) {
        return None;
    }
    let value = number.parse::<i32>().unwrap_or(i32::MAX);
    Some(i64::from(if negative { value.wrapping_neg() } else { value }))
}

#[cfg(test)]
mod tests;
