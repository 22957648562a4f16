//! JSON objects that can be read in one way only: a member that is given twice is refused, numbers keep
//! their text. Must not know what the members mean.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Fault;

/// An object's members. What is inside of them is not looked at before it is asked for.
#[derive(Debug, Default)]
pub(super) struct Object<'a>(BTreeMap<String, &'a RawValue>);

/// What a member is.
pub(super) enum Member<'a> {
    Text(&'a RawValue),
    Number(&'a RawValue),
    Flag(bool),
    List(&'a RawValue),
    Object(&'a RawValue),
    Null,
}

impl<'a> Object<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Fault> {
        serde_json::from_str(text).map_err(|error| Fault::new(format!("not understood: {error}")))
    }

    /// A text. Null is like nothing.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(raw) => serde_json::from_str(raw.get())
                .map_err(|_other| Fault::new(format!("`{name}` is not a text"))),
        }
    }

    /// A text that has to be there.
    pub(super) fn needed(&self, name: &str) -> Result<String, Fault> {
        self.text(name)?.ok_or_else(|| Fault::new(format!("`{name}` is missing")))
    }

    /// A list of texts, or none.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.0.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// A number without a fraction that has to be there.
    pub(super) fn number(&self, name: &str) -> Result<u64, Fault> {
        let number = self.0.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok());
        number.ok_or_else(|| Fault::new(format!("`{name}` is not a number")))
    }

    /// An object that has to be there. Null is like an empty one.
    pub(super) fn object(&self, name: &str) -> Result<Self, Fault> {
        match self.0.get(name) {
            None => Err(Fault::new(format!("`{name}` is missing"))),
            Some(raw) if raw.get() == "null" => Ok(Self::default()),
            Some(raw) => {
                Self::parse(raw.get()).map_err(|fault| Fault::new(format!("`{name}`: {fault}")))
            }
        }
    }

    /// The same without all other members.
    pub(super) fn only(mut self, names: &[&str]) -> Self {
        self.0.retain(|name, _| names.contains(&name.as_str()));
        self
    }

    /// Whether a member is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|raw| raw.get() != "null")
    }

    /// Whether a text is there that is not empty.
    pub(super) fn has_text(&self, name: &str) -> bool {
        self.text(name).is_ok_and(|text| text.is_some_and(|text| !text.is_empty()))
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&str, Member<'a>)> {
        self.0.iter().map(|(name, raw)| (name.as_str(), Member::of(raw)))
    }
}

impl<'a> Member<'a> {
    /// A value that was parsed is told by its first byte.
    fn of(raw: &'a RawValue) -> Self {
        match raw.get().as_bytes().first() {
            Some(b'"') => Self::Text(raw),
            Some(b'{') => Self::Object(raw),
            Some(b'[') => Self::List(raw),
            Some(b't') => Self::Flag(true),
            Some(b'f') => Self::Flag(false),
            Some(b'n') => Self::Null,
            _ => Self::Number(raw),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, raw)) = map.next_entry::<String, &'de RawValue>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format_args!("`{name}` is given twice")));
                    }
                    members.insert(name, raw);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}
