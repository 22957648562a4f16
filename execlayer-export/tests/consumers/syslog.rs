//! Messages of syslog as rsyslog understands them. What a connection's end takes with it while it is on its way is
//! lost, and a datagram of UDP that nobody takes is, too: neither is asked of it here.

use std::{fs, path::Path, sync::Arc};

use execlayer_audit::segment;
use execlayer_export::{
    counts::Counts,
    deliver::{Delivery, Turn},
    format::{cef, ecs},
    settings::{Begin, Format, Settings, Syslog, Target},
    sink::{self, Item, Trouble},
};
use serde_json::{Value, json};

use crate::{consumers, rsyslog::Place};

const TIME: &str = "2026-01-01T12:00:00.500000Z";

fn settings(way: Syslog, format: Format) -> Settings {
    Settings {
        name: "rsyslog".into(),
        target: Target::Syslog(way),
        format,
        verdicts: None,
        begin: Begin::Oldest,
        every: 0,
    }
}

fn item(line: String) -> Item {
    let Value::Object(fields) = serde_json::from_str(&line).unwrap() else { unreachable!() };
    Item { line: line.into_bytes(), fields }
}

/// A record of a verdict with a subject as it stands in JSON, and what else it has.
fn verdict(seq: u64, verdict: &str, subject: &str) -> Item {
    item(format!(
        r#"{}"host":"build-7","kind":"verdict","time":"2026-01-01T12:00:00.500000123Z","agent":"coding-agent","operation":"open","access":["read"],"subject":"{subject}","verdict":"{verdict}","enforced":true,"rule":"r"}}"#,
        segment::begin(seq)
    ))
}

/// Records, and the priority that each has (RFC 5424: 13 times 8, and the severity).
fn records() -> Vec<(u64, Item)> {
    let loss = format!(
        r#"{}"host":"build-7","kind":"lost","time":"2026-01-01T12:00:00.500000000Z","agent":"a","cause":"full","lost":7}}"#,
        segment::begin(8)
    );
    vec![
        (108, verdict(0, "deny", "/etc/shadow")),
        (110, verdict(1, "allow", r#"a \"quoted\" name\\, two\nlines\r\n\tand a tab"#)),
        (109, verdict(2, "ask", "/home/Žofie/☃/🦀\u{7f}/\\u0000\\u0001\u{2028}")),
        (
            108,
            verdict(3, "deny", "<13>1 - other app - - [x@1 y=\\\"z\\\"] 17 <14>1 %msg% #012 \\\\n"),
        ),
        (108, verdict(4, "deny", " ' | = ; $ ` \u{feff} \\u001b[31m \\/ ")),
        (110, verdict(5, "allow", &"/ä".repeat(20_000))),
        (110, verdict(6, "allow", "/after a long one")),
        (109, verdict(7, "ask", "")),
        (107, item(loss)),
    ]
}

/// What is to arrive, of what is sent.
fn text(format: Format, item: &Item) -> String {
    match format {
        Format::Ecs => ecs::event(&item.fields).to_string(),
        Format::Cef => cef::line(&item.fields),
        _ => String::from_utf8(item.line.clone()).unwrap(),
    }
}

fn understood(priority: u64, kind: &str, message: &str) -> Value {
    json!({
        "pri": priority.to_string(), "time": TIME, "host": "build-7", "app": "execlayer",
        "process": "-", "kind": kind, "data": "-", "message": message,
    })
}

/// Sends everything in each format, so many at a time, each when those before have arrived.
fn all_arrive(way: impl Fn(&Place) -> Syslog, at_a_time: usize, longest: usize) {
    let Some(consumers) = consumers() else { return };
    let place = Place::new(&consumers);
    let mut running = place.start();
    let mut expected = Vec::new();
    for format in [Format::Records, Format::Cef, Format::Ecs] {
        let mut sink = sink::of(&settings(way(&place), format));
        for some in records().chunks(at_a_time) {
            let items: Vec<_> = some.iter().map(|(_priority, item)| item.clone()).collect();
            let sent = sink.send(&items);
            if items.iter().any(|item| text(format, item).len() > longest) {
                assert!(matches!(sent, Err(Trouble::Refused(_))), "{sent:?}");
                continue;
            }
            sent.unwrap();
            for (priority, item) in some {
                let kind = item.fields["kind"].as_str().unwrap();
                expected.push(understood(*priority, kind, &text(format, item)));
            }
            place.until(&mut running, expected.len());
        }
    }
    assert!(expected.iter().any(|event| event["message"].as_str().unwrap().len() > 60_000));
    // What came twice would still be on its way: an end waits for it.
    running.end();
    let found = place.understood();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn rsyslog_understands_every_message_over_tcp_once_and_in_order() {
    all_arrive(|place| Syslog::Tcp(format!("127.0.0.1:{}", place.port)), 100, usize::MAX);
}

#[test]
fn rsyslog_understands_every_message_of_a_unix_socket_once_and_in_order() {
    all_arrive(|place| Syslog::Unix(place.socket()), 100, usize::MAX);
}

#[test]
fn rsyslog_understands_every_message_over_udp_once_and_in_order() {
    // One at a time: a datagram that finds no room is lost. One has room for 65,507 bytes, with the message's header.
    all_arrive(|place| Syslog::Udp(format!("127.0.0.1:{}", place.port)), 1, 65_000);
}

/// Puts records at the end of a log.
fn put(log: &Path, seqs: std::ops::Range<u64>) {
    let records = log.join(segment::FOLDER);
    fs::create_dir_all(&records).unwrap();
    let path = records.join(segment::name(0));
    let mut text = fs::read(&path).unwrap_or_default();
    for seq in seqs {
        text.extend(verdict(seq, "deny", "/etc/shadow").line);
        text.push(b'\n');
    }
    fs::write(path, text).unwrap();
}

/// To somebody who is there, so that none fails.
fn send_all(delivery: &mut Delivery) {
    loop {
        match delivery.turn() {
            Turn::Moved => {}
            turn => return assert_eq!(turn, Turn::Idle),
        }
    }
}

/// An rsyslogd that ends and comes back between records.
fn comes_back(way: impl Fn(&Place) -> Syslog) {
    let Some(consumers) = consumers() else { return };
    let place = Place::new(&consumers);
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (log, states) = (folders.0.path(), folders.1.path());
    let (settings, counts) = (settings(way(&place), Format::Records), Arc::new(Counts::default()));
    let sink = sink::of(&settings);
    let mut delivery = Delivery::begin(settings, (log, states), sink, Arc::clone(&counts)).unwrap();
    let mut size = 0;
    for _life in 0..3 {
        let mut running = place.start();
        put(log, size..size + 700);
        size += 700;
        // What was written while nobody was there is part of it.
        send_all(&mut delivery);
        place.until(&mut running, usize::try_from(size).unwrap());
        running.end();
        put(log, size..size + 50);
        size += 50;
        assert_eq!(delivery.turn(), Turn::Failed, "nobody is there");
    }
    let mut running = place.start();
    send_all(&mut delivery);
    place.until(&mut running, usize::try_from(size).unwrap());
    running.end();
    let understood = place.understood();
    let seqs: Vec<_> = understood
        .iter()
        .map(|event| segment::seq_of(event["message"].as_str().unwrap().as_bytes()).unwrap())
        .collect();
    let mut seen = seqs.clone();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (0..size).collect::<Vec<_>>(), "each at least once");
    assert_eq!(seqs, seen, "and none twice, as every end was between two batches");
    assert_eq!(counts.now()["rsyslog"].failures, 3);
}

#[test]
fn a_tcp_receiver_that_ends_and_comes_back_gets_every_record() {
    comes_back(|place| Syslog::Tcp(format!("127.0.0.1:{}", place.port)));
}

#[test]
fn a_unix_receiver_that_ends_and_comes_back_gets_every_record() {
    comes_back(|place| Syslog::Unix(place.socket()));
}
