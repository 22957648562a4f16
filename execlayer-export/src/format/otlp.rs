//! Records as a request of the OpenTelemetry Protocol, `POST /v1/logs` with a JSON body. Facts: OTLP 1.x, "JSON Protobuf
//! Encoding"; opentelemetry-proto, `collector/logs/v1` and `logs/v1`; the attributes' names are of the semantic
//! conventions that [`CONVENTIONS`] names, or `execlayer.*`. docs/export-formats.md says what goes where.

use serde_json::{Map, Value, json};

use super::{
    PRODUCT, Record,
    reading::{INT, LONG, Peer, Reading, base, plain, text, texts},
    said::{self, Gravity},
};

/// The release of the semantic conventions that the attributes are of.
pub const CONVENTIONS: &str = "https://opentelemetry.io/schemas/1.44.0";

/// An `ExportLogsServiceRequest` of records, in their order. `version`: the release of what sends them.
#[must_use]
pub fn request(records: &[&Record], version: &str) -> Value {
    // A resource is a machine: one, unless the records were gathered.
    let mut resources = Vec::<(Option<&str>, Vec<Value>)>::new();
    for record in records {
        let host = text(record, "host");
        match resources.iter_mut().find(|(known, _records)| *known == host) {
            Some((_host, of_host)) => of_host.push(log_record(record)),
            None => resources.push((host, vec![log_record(record)])),
        }
    }
    let resources = resources.into_iter().map(|(host, log_records)| {
        let mut attributes = Attributes::default();
        attributes.put("service.name", Some(PRODUCT.to_lowercase()));
        attributes.put("service.version", Some(version));
        attributes.put("host.name", host);
        attributes.put("os.type", Some("linux"));
        json!({
            "resource": {"attributes": attributes.0},
            "scopeLogs": [{
                "scope": {"name": "execlayer-export", "version": version},
                "logRecords": log_records,
                "schemaUrl": CONVENTIONS,
            }],
            "schemaUrl": CONVENTIONS,
        })
    });
    json!({"resourceLogs": resources.collect::<Vec<_>>()})
}

fn log_record(record: &Record) -> Value {
    let time = said::nanoseconds(record).to_string();
    let gravity = said::gravity(record);
    let number = match gravity {
        Gravity::Info => 9,
        Gravity::Notice => 10,
        Gravity::Warning => 13,
        Gravity::Error => 17,
    };
    let kind = match said::kind(record) {
        "" => "record",
        kind => kind,
    };
    json!({
        "timeUnixNano": time,
        "observedTimeUnixNano": time,
        "severityNumber": number,
        "severityText": gravity.name().to_uppercase(),
        "eventName": format!("execlayer.{}", plain(kind)),
        "body": {"stringValue": said::sentence(record)},
        "attributes": attributes(record),
    })
}

fn attributes(record: &Record) -> Vec<Value> {
    let mut read = Reading::new(record);
    let mut attributes = Attributes::default();
    // Both are in the record's place.
    let _ = (read.date("time"), read.text("host"));
    attributes.put("log.record.uid", said::uid(record));
    if said::is_judgement(record) {
        attributes.put("gen_ai.agent.name", read.text("agent"));
        process(&mut read, &mut attributes);
        subject(&mut read, &mut attributes);
    }
    let is_judgement = said::is_judgement(record);
    // As in `ecs`: a name has one type wherever these end.
    let own = |name: &str| match name {
        "answer" if is_judgement => "execlayer.answered".to_owned(),
        name => format!("execlayer.{}", plain(name)),
    };
    for (name, value) in read.left(own) {
        attributes.put(&name, Some(value));
    }
    attributes.0
}

/// Who asked.
fn process(read: &mut Reading<'_>, attributes: &mut Attributes) {
    let thread = read.number("pid", LONG);
    attributes.put("process.pid", read.number("tgid", INT).or(thread));
    attributes.put("thread.id", thread);
    attributes.put("process.parent_pid", read.number("ppid", LONG));
    attributes.put("process.executable.name", read.text("comm"));
    attributes.put("process.executable.path", read.text("exe"));
    attributes.put("process.command_args", read.texts("argv"));
    attributes.put("process.working_directory", read.text("cwd"));
    let started = read.date("started");
    attributes.put("process.creation.time", started.map(|started| started.text));
    attributes.put("user.id", read.number("uid", LONG).map(|uid| uid.to_string()));
    attributes.put("container.id", read.text("container"));
}

/// What it was about; `bind` is about an address of this machine.
fn subject(read: &mut Reading<'_>, attributes: &mut Attributes) {
    let Some(subject) = text(read.record, "subject") else { return };
    let is_bind = texts(read.record, "access").contains(&"bind");
    let end = if is_bind { "network.local" } else { "network.peer" };
    match (text(read.record, "operation"), Peer::new(subject)) {
        (Some("open" | "exec"), _) => {
            attributes.put("file.path", Some(subject));
            attributes.put("file.name", Some(base(subject)));
        }
        (Some("connect"), Some(peer)) => {
            attributes.put(&format!("{end}.address"), Some(peer.ip.to_string()));
            attributes.put(&format!("{end}.port"), Some(peer.port));
            attributes.put("network.transport", peer.number().map(|_number| peer.protocol));
            let version = if peer.ip.is_ipv4() { "ipv4" } else { "ipv6" };
            attributes.put("network.type", Some(version));
        }
        (Some("connect-unix"), _) => {
            attributes.put(&format!("{end}.address"), Some(subject));
            attributes.put("network.transport", Some("unix"));
        }
        _ => return,
    }
    read.text("subject");
}

/// A list of `KeyValue`.
#[derive(Default)]
struct Attributes(Vec<Value>);

impl Attributes {
    fn put(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.push(json!({"key": key, "value": any(&value.into())}));
        }
    }
}

/// An `AnyValue`. Numbers of 64 bits are texts; one that is greater than they have is a text as it is.
fn any(value: &Value) -> Value {
    match value {
        Value::Null => Value::Object(Map::new()),
        Value::Bool(bool) => json!({"boolValue": bool}),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => json!({"intValue": int.to_string()}),
            (None, Some(double)) if number.is_f64() => json!({"doubleValue": double}),
            _ => json!({"stringValue": number.to_string()}),
        },
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(values) => {
            json!({"arrayValue": {"values": values.iter().map(any).collect::<Vec<_>>()}})
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| json!({"key": key, "value": any(value)}));
            json!({"kvlistValue": {"values": fields.collect::<Vec<_>>()}})
        }
    }
}
