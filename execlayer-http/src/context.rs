//! Named values of a call as JSON has them. Owns which can be sent; must not know what they mean.

use std::fmt;

use execlayer_common::{call::Name, limits::MAX_CONTEXT_VALUES};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema,
        schema::{AdditionalProperties, ArrayBuilder, OneOfBuilder, Type},
    },
};

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextValue {
    /// Text.
    Text(String),
    /// A number, as it was written.
    Number(String),
    /// True or false.
    Flag(bool),
    /// A list of texts.
    List(Vec<String>),
}

/// Values by name, in the order in which they came; each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(pub Vec<(String, ContextValue)>);

impl ToSchema for Context {}

impl PartialSchema for Context {
    fn schema() -> RefOr<Schema> {
        let of = |kind: Type| ObjectBuilder::new().schema_type(kind);
        let value = OneOfBuilder::new()
            .item(of(Type::String))
            .item(of(Type::Number))
            .item(of(Type::Boolean))
            .item(ArrayBuilder::new().items(of(Type::String)));
        of(Type::Object)
            .property_names(Some(of(Type::String).pattern(Some("^[A-Za-z0-9_.-]{1,32}$"))))
            .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(value.into()))))
            .max_properties(Some(MAX_CONTEXT_VALUES))
            .into()
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = Context;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts, numbers, truth values and lists of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Context, A::Error> {
                let mut values: Vec<(String, ContextValue)> = Vec::new();
                while let Some((name, raw)) = map.next_entry::<String, Box<RawValue>>()? {
                    // Each is compared with all before it.
                    if values.len() == MAX_CONTEXT_VALUES {
                        let message =
                            format_args!("there are more than {MAX_CONTEXT_VALUES} values");
                        return Err(A::Error::custom(message));
                    }
                    if let Err(error) = Name::new(&name) {
                        return Err(A::Error::custom(format_args!("`{name}`: {error}")));
                    }
                    if values.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format_args!("`{name}` is given twice")));
                    }
                    let value = value(raw.get()).ok_or_else(|| {
                        A::Error::custom(format_args!(
                            "`{name}` is no text, number, truth value or list of texts"
                        ))
                    })?;
                    values.push((name, value));
                }
                Ok(Context(values))
            }
        }

        deserializer.deserialize_map(Values)
    }
}

fn value(json: &str) -> Option<ContextValue> {
    let read = |error: serde_json::Result<ContextValue>| error.ok();
    match json.as_bytes().first()? {
        b'"' => read(serde_json::from_str(json).map(ContextValue::Text)),
        b'[' => read(serde_json::from_str(json).map(ContextValue::List)),
        b't' | b'f' => read(serde_json::from_str(json).map(ContextValue::Flag)),
        b'-' | b'0'..=b'9' => Some(ContextValue::Number(json.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Context, ContextValue};

    #[test]
    fn numbers_keep_their_text_and_other_values_their_kind() {
        let json = r#"{"n":1.50e2,"t":"a\n","f":true,"l":["a","b"]}"#;
        let Context(values) = serde_json::from_str(json).unwrap();
        let expected = [
            ("n", ContextValue::Number("1.50e2".to_owned())),
            ("t", ContextValue::Text("a\n".to_owned())),
            ("f", ContextValue::Flag(true)),
            ("l", ContextValue::List(vec!["a".to_owned(), "b".to_owned()])),
        ];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_name() {
        for (json, said) in [
            (r#"{"a":null}"#, "`a` is no text"),
            (r#"{"a":{"b":1}}"#, "`a` is no text"),
            (r#"{"a":["x",1]}"#, "`a` is no text"),
            (r#"{"a":1,"a":2}"#, "`a` is given twice"),
            (r#"{"a b":1}"#, "`a b`: a context value's name"),
            ("[1]", "an object"),
        ] {
            let error = serde_json::from_str::<Context>(json).unwrap_err().to_string();
            assert!(error.contains(said), "{json}: {error}");
        }
    }
}
