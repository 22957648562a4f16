//! Holds an event against the table of the schema's facts, `schema/ocsf.json`.

use serde_json::Value;

/// What is wrong with an event; empty if nothing is.
pub(crate) fn faults(schema: &Value, event: &Value) -> Vec<String> {
    let mut check = Check { schema, profiles: Vec::new(), faults: Vec::new() };
    check.event(event);
    check.faults
}

struct Check<'a> {
    schema: &'a Value,
    profiles: Vec<&'a str>,
    faults: Vec<String>,
}

impl<'a> Check<'a> {
    fn event(&mut self, event: &'a Value) {
        let number = |name: &str| event[name].as_u64().unwrap_or(u64::MAX);
        let (class, activity) = (number("class_uid"), number("activity_id"));
        if class.checked_mul(100).and_then(|class| class.checked_add(activity))
            != Some(number("type_uid"))
        {
            self.faults.push("type_uid is not class_uid * 100 + activity_id".to_owned());
        }
        let listed = event["metadata"]["profiles"].as_array();
        self.profiles = listed.into_iter().flatten().filter_map(Value::as_str).collect();
        let class = &self.schema["classes"][class.to_string()];
        self.object("", class, event);
    }

    fn object(&mut self, at: &str, table: &'a Value, object: &'a Value) {
        let (Some(attributes), Some(object)) =
            (table["attributes"].as_object(), object.as_object())
        else {
            return self.faults.push(format!("{at}: no object, or none that the table knows"));
        };
        for (name, fact) in attributes {
            if fact["requirement"] == "required" && !object.contains_key(name) {
                self.faults.push(format!("{at}/{name}: required"));
            }
        }
        if let Some(names) = table["at_least_one"].as_array()
            && !names.iter().filter_map(Value::as_str).any(|name| object.contains_key(name))
        {
            self.faults.push(format!("{at}: none of {names:?}"));
        }
        for (name, value) in object {
            match attributes.get(name) {
                Some(fact) => self.attribute(&format!("{at}/{name}"), fact, value),
                None => self.faults.push(format!("{at}/{name}: not in the table")),
            }
        }
    }

    fn attribute(&mut self, at: &str, fact: &'a Value, value: &'a Value) {
        if let Some(profile) = fact["profile"].as_str()
            && !self.profiles.contains(&profile)
        {
            self.faults.push(format!("{at}: of the profile {profile}, which is not listed"));
        }
        match (fact["array"].as_bool(), value) {
            (Some(true), Value::Array(values)) => {
                for value in values {
                    self.value(at, fact, value);
                }
            }
            (Some(true), _) => self.faults.push(format!("{at}: not an array")),
            _ => self.value(at, fact, value),
        }
    }

    fn value(&mut self, at: &str, fact: &'a Value, value: &'a Value) {
        let kind = fact["type"].as_str().unwrap_or_default();
        let object = fact["object"].as_str().unwrap_or_default();
        let is_right = match kind {
            // Any object: what is in it is the sender's own.
            "object_t" if object == "object" => value.is_object(),
            "object_t" => return self.object(at, &self.schema["objects"][object], value),
            "integer_t" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            "port_t" => value.as_u64().is_some_and(|port| u16::try_from(port).is_ok()),
            "long_t" | "timestamp_t" => value.is_i64(),
            "boolean_t" => value.is_boolean(),
            "datetime_t" => value.as_str().is_some_and(is_date),
            "ip_t" => value.as_str().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_ok()),
            _ => value.is_string(),
        };
        if !is_right {
            self.faults.push(format!("{at}: {value} is no {kind}"));
        }
        if let Some(allowed) = fact["enum"].as_array()
            && !allowed.contains(value)
        {
            self.faults.push(format!("{at}: {value} is not in {allowed:?}"));
        }
    }
}

/// RFC 3339 in UTC, as the type's pattern has it.
fn is_date(text: &str) -> bool {
    let shape = |char: char| if char.is_ascii_digit() { '0' } else { char };
    let shape = text.chars().map(shape).collect::<String>();
    let fraction =
        shape.strip_prefix("0000-00-00T00:00:00").and_then(|rest| rest.strip_suffix('Z'));
    fraction.is_some_and(|fraction| {
        fraction.is_empty()
            || fraction
                .strip_prefix('.')
                .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|char| char == '0'))
    })
}
