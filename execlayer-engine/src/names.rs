//! From a name that a call gives to its number in the policy. Must not know values.

use execlayer_common::{call::Name, limits::MAX_CONTEXT_NAMES};

/// Places of the table: at least twice as many as names, so that a search ends.
const PLACES: usize = MAX_CONTEXT_NAMES * 2;
const NOBODY: u8 = u8::MAX;

/// The names that a policy tests.
#[derive(Debug)]
pub(crate) struct Names {
    names: Box<[Name]>,
    /// Numbers, at the place that a name's hash says or behind it.
    places: [u8; PLACES],
}

impl Names {
    /// `None` if they are too many, or one is there twice.
    pub(crate) fn new(names: Box<[Name]>) -> Option<Self> {
        if names.len() > MAX_CONTEXT_NAMES {
            return None;
        }
        let mut places = [NOBODY; PLACES];
        for (number, name) in (0_u8..).zip(&names) {
            if names.iter().take(number.into()).any(|before| before == name) {
                return None;
            }
            let free = order(*name).find(|&place| places.get(place) == Some(&NOBODY))?;
            *places.get_mut(free)? = number;
        }
        Some(Self { names, places })
    }

    /// The number of a name; `None` if the policy does not test it.
    #[inline]
    pub(crate) fn number(&self, name: &Name) -> Option<u8> {
        for place in order(*name) {
            let number = *self.places.get(place)?;
            if self.names.get(usize::from(number))? == name {
                return Some(number);
            }
        }
        None
    }
}

/// Where a name can be, the likeliest place first.
fn order(name: Name) -> impl Iterator<Item = usize> {
    let first = name.hash() as usize;
    (0..PLACES).map(move |step| (first + step) % PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Name {
        Name::new(&format!("name-{number}")).unwrap()
    }

    #[test]
    fn every_name_has_its_number_and_others_have_none() {
        let names = Names::new((0..MAX_CONTEXT_NAMES).map(name).collect()).unwrap();
        for number in 0..MAX_CONTEXT_NAMES {
            assert_eq!(names.number(&name(number)).map(usize::from), Some(number));
        }
        for number in MAX_CONTEXT_NAMES..10_000 {
            assert_eq!(names.number(&name(number)), None);
        }
        assert!(Names::new((0..=MAX_CONTEXT_NAMES).map(name).collect()).is_none());
        assert_eq!(Names::new(Box::default()).unwrap().number(&name(0)), None);
    }
}
