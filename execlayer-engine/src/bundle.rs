//! A policy that calls are judged by. Owns what must be true of an image and its provenance together; must not know
//! who signed them.

use std::cell::OnceCell;

use execlayer_common::{
    access::{Access, Operation},
    call::{Name, Request},
    decide::{self, Kept},
    image::{self, ImageError},
    provenance::{Provenance, RuleOrigin},
    verdict::Verdict,
};

use crate::{budgets::Budgets, names::Names, shortcuts::Shortcuts, world::Call};

/// A compiled policy, ready to judge. Shared between threads as it is; judging takes no lock and allocates nothing.
#[derive(Debug)]
pub struct PolicyBundle {
    /// The image, with its shortcuts.
    words: Box<[u32]>,
    shortcuts: Shortcuts,
    provenance: Provenance,
    names: Names,
    budgets: Budgets,
}

/// Why an image and a provenance are no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// The words are no image.
    Image(ImageError),
    /// The image has another number of rules than the provenance.
    Rules,
    /// A name of a context value is none, or there are too many.
    Names,
}

impl core::fmt::Display for BundleError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Image(error) => error.fmt(f),
            Self::Rules => f.write_str(
                "image and provenance do not belong together: they have different rules",
            ),
            Self::Names => f.write_str("the provenance has no sound names of context values"),
        }
    }
}

impl core::error::Error for BundleError {}

impl PolicyBundle {
    /// The policy of an image and its provenance, as a verified bundle has them.
    ///
    /// # Errors
    ///
    /// A [`BundleError`] if they are none.
    pub fn new(words: impl Into<Box<[u32]>>, provenance: Provenance) -> Result<Self, BundleError> {
        let mut words = words.into();
        image::check_header(&words).map_err(BundleError::Image)?;
        let at = |index: u32| words.get(index as usize).copied().unwrap_or_default();
        if at(image::H_RULE_COUNT) as usize != provenance.rules.len() {
            return Err(BundleError::Rules);
        }
        let names = provenance.context.iter().map(|name| Name::new(name)).collect::<Result<_, _>>();
        let names = names.ok().and_then(Names::new).ok_or(BundleError::Names)?;
        let budgets = Budgets::new(at(image::H_BUDGET_COUNT));
        let shortcuts = Shortcuts::of(&mut words);
        Ok(Self { words, shortcuts, provenance, names, budgets })
    }

    /// Judges a call, and uses the budget that allows it, if one does.
    #[inline]
    pub fn evaluate(&self, request: &Request<'_>) -> Verdict {
        self.judge::<true>(request)
    }

    /// Judges a call as [`Self::evaluate`] would, and uses nothing.
    #[inline]
    pub fn look(&self, request: &Request<'_>) -> Verdict {
        self.judge::<false>(request)
    }

    #[inline]
    fn judge<const SPENDS: bool>(&self, request: &Request<'_>) -> Verdict {
        let world = Call::<SPENDS> {
            words: &self.words,
            shortcuts: &self.shortcuts,
            names: &self.names,
            budgets: &self.budgets,
            request,
            kept: Kept::default(),
            values: OnceCell::new(),
        };
        decide::judge(&world, Operation::Call, Access::CALL)
    }

    /// Makes all budgets fresh.
    pub fn refill(&mut self) {
        self.budgets = Budgets::new(self.budgets.len());
    }

    /// The rule that decided, if one did: its id, file and line.
    #[must_use]
    pub fn rule(&self, verdict: Verdict) -> Option<&RuleOrigin> {
        self.provenance.rules.get(usize::from(verdict.rule()?.0))
    }

    /// The file of a rule, as its author named it.
    #[must_use]
    pub fn file(&self, rule: &RuleOrigin) -> &str {
        self.provenance.files.get(rule.file as usize).map_or("", String::as_str)
    }

    /// Whether it only watches: what it denies or asks about is to be recorded, and goes on.
    #[must_use]
    pub fn monitors(&self) -> bool {
        self.has(image::FLAG_MONITOR)
    }

    /// Whether what it allows is to be recorded, too.
    #[must_use]
    pub fn records_all(&self) -> bool {
        self.has(image::FLAG_RECORD_ALL)
    }

    fn has(&self, flag: u32) -> bool {
        self.words.get(image::H_FLAGS as usize).is_some_and(|flags| flags & flag != 0)
    }

    /// Where its rules come from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }
}
