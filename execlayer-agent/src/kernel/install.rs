//! Install: an image into a profile's slot, whole or not at all. Owns which table index is free and
//! which generation comes next; must not know where an image comes from.
//!
//! INVARIANT(swap): storing the slot word is the only moment at which a policy changes. Everything
//! before it can be taken back; everything after it is only tidying up.

use std::io;

use execlayer_common::{
    image::{self, FLAG_SELECTS_CGROUP, FLAG_SELECTS_EXE, H_FLAGS, H_GENERATION, ImageError},
    limits,
    slot::Slot,
};

use super::Gate;

/// Why an image was not installed. The policy that was in force still is, but for
/// [`InstallError::Torn`].
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The image's header is wrong.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Every table index of the size class is used.
    #[error("every table of size class {0} is in use")]
    NoTable(u8),
    /// The generation counter is at its end.
    #[error("the generation counter is used up")]
    NoGeneration,
    /// A step failed and was taken back.
    #[error("cannot {step}")]
    Step {
        /// Which.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A step failed and could not be taken back.
    #[error("cannot {step}, and the policy before it could not be put back")]
    Torn {
        /// Which.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// An image in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    profile: u32,
    slot: Slot,
    image_words: u32,
}

impl Generation {
    /// The profile that it judges for.
    #[must_use]
    pub fn profile(&self) -> u32 {
        self.profile
    }

    /// Its number, never used twice in the life of the maps.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.slot.generation()
    }

    /// Bytes of the image.
    #[must_use]
    pub fn image_bytes(&self) -> u64 {
        u64::from(self.image_words) * 4
    }

    /// Bytes of the table that holds it.
    #[must_use]
    pub fn table_bytes(&self) -> u64 {
        limits::CLASS_WORDS.get(self.slot.class() as usize).map_or(0, |&words| u64::from(words) * 4)
    }
}

/// What is used of the tables, and the generation that was given out last.
#[derive(Debug, Default)]
pub struct Layout {
    used: [u128; 4],
    last_generation: u32,
}

impl Layout {
    /// Reads the slots: what they point to is used.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn read(gate: &dyn Gate) -> io::Result<Self> {
        let mut layout = Self::default();
        for profile in 1..=limits::MAX_PROFILES {
            let slot = gate.slot(profile)?;
            if slot.is_used() {
                layout.mark(slot, true);
                layout.last_generation = layout.last_generation.max(slot.generation());
            }
        }
        Ok(layout)
    }

    /// The generation of what is installed next.
    ///
    /// # Errors
    ///
    /// [`InstallError::NoGeneration`].
    pub fn next_generation(&self) -> Result<u32, InstallError> {
        self.last_generation.checked_add(1).ok_or(InstallError::NoGeneration)
    }

    fn mark(&mut self, slot: Slot, used: bool) {
        if let Some(class) = self.used.get_mut(slot.class() as usize) {
            let bit = 1_u128 << slot.table();
            *class = if used { *class | bit } else { *class & !bit };
        }
    }

    fn free_table(&self, class: u8) -> Result<u8, InstallError> {
        let used = self.used.get(usize::from(class)).copied().unwrap_or(u128::MAX);
        match used.trailing_ones() {
            index if index < limits::MAX_TABLES => {
                u8::try_from(index).map_err(|_impossible| InstallError::NoTable(class))
            }
            _ => Err(InstallError::NoTable(class)),
        }
    }
}

/// Puts an image in force for a profile.
///
/// # Errors
///
/// An [`InstallError`]; unless it is [`InstallError::Torn`] nothing has changed.
pub fn install(
    gate: &mut dyn Gate,
    layout: &mut Layout,
    profile: u32,
    mut words: Vec<u32>,
) -> Result<Generation, InstallError> {
    image::check_header(&words)?;
    let image_words = u32::try_from(words.len()).map_err(|_too_long| ImageError::TooLarge)?;
    let class = image::class_of(image_words).ok_or(ImageError::TooLarge)?;
    let number = layout.next_generation()?;
    if let Some(word) = words.get_mut(H_GENERATION as usize) {
        *word = number;
    }
    let flags = words.get(H_FLAGS as usize).copied().unwrap_or_default();
    let index = layout.free_table(class)?;
    let old = gate.slot(profile).map_err(step("read the slot"))?;
    let selectors = gate.selectors().map_err(step("read the selectors"))?;
    let new = Slot::new(class, index, number);

    gate.put_table(class, index, &words).map_err(step("make the table"))?;
    // Spent before anything can fail: a number is not used twice, whatever comes of it.
    layout.last_generation = number;
    let take_back = |gate: &mut dyn Gate, name, source| match gate.drop_table(class, index) {
        Ok(()) => InstallError::Step { step: name, source },
        Err(_also) => InstallError::Torn { step: name, source },
    };
    if let Err(source) = gate.zero_budgets(profile) {
        return Err(take_back(gate, "reset the budgets", source));
    }
    if let Err(source) = gate.set_slot(profile, new) {
        return Err(take_back(gate, "store the slot", source));
    }
    if let Err(source) = gate.set_selectors(selecting(selectors, profile, flags)) {
        let step = "store the selectors";
        let restored =
            gate.set_slot(profile, old).and_then(|()| gate.set_selectors(advanced(selectors)));
        return Err(match restored {
            Ok(()) => take_back(gate, step, source),
            Err(_also) => InstallError::Torn { step, source },
        });
    }
    layout.mark(new, true);
    release(gate, layout, old);
    Ok(Generation { profile, slot: new, image_words })
}

/// Takes a profile's policy out. Only for profiles that govern nothing any more.
///
/// # Errors
///
/// What the kernel said.
pub fn uninstall(gate: &mut dyn Gate, layout: &mut Layout, profile: u32) -> io::Result<()> {
    let old = gate.slot(profile)?;
    let selectors = gate.selectors()?;
    gate.set_selectors(selecting(selectors, profile, 0))?;
    gate.set_slot(profile, Slot::EMPTY)?;
    release(gate, layout, old);
    Ok(())
}

fn release(gate: &mut dyn Gate, layout: &mut Layout, old: Slot) {
    if !old.is_used() {
        return;
    }
    let index = u8::try_from(old.table()).unwrap_or_default();
    let class = u8::try_from(old.class()).unwrap_or_default();
    match gate.drop_table(class, index) {
        Ok(()) => layout.mark(old, false),
        // It stays marked: memory is lost, nothing else.
        Err(error) => tracing::warn!("cannot free table {index} of size class {class}: {error}"),
    }
}

fn selecting([by_cgroup, by_exe, epoch]: [u64; 3], profile: u32, flags: u32) -> [u64; 3] {
    let bit = 1_u64 << profile.saturating_sub(1);
    let with = |bits: u64, flag: u32| if flags & flag != 0 { bits | bit } else { bits & !bit };
    advanced([with(by_cgroup, FLAG_SELECTS_CGROUP), with(by_exe, FLAG_SELECTS_EXE), epoch])
}

fn advanced([by_cgroup, by_exe, epoch]: [u64; 3]) -> [u64; 3] {
    // The kernel keeps 32 bits of it beside what it remembers of a cgroup.
    [by_cgroup, by_exe, (epoch + 1) & u64::from(u32::MAX)]
}

fn step(step: &'static str) -> impl Fn(io::Error) -> InstallError {
    move |source| InstallError::Step { step, source }
}

#[cfg(test)]
mod tests;
