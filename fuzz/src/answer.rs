//! What deciders outside of the daemon say: responses of webhooks, and lines of the courier's child. Nothing
//! counts that is not signed for this very question, and what is shown of it is one printable line.

use execlayer_agent::courier::{Answer, foreign};

const SECRET: &[u8] = b"a secret of the targets";
const NONCE: &str = "00112233445566778899aabbccddeeff";

pub(crate) fn body(bytes: &[u8]) {
    response(bytes);
    lines(bytes);
    shown(&String::from_utf8_lossy(bytes));
}

fn response(bytes: &[u8]) {
    // A header of somebody who does not know the secret.
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let given = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let body = parts.next().unwrap_or_default();
    let signature = foreign::signature(SECRET, NONCE, body).unwrap();
    if foreign::response(&given, SECRET, NONCE, body).is_ok() {
        assert!(given.eq_ignore_ascii_case(&signature), "a forged response: {given}");
    }
    let signature = foreign::signature(SECRET, NONCE, bytes).unwrap();
    let Ok((answer, reason)) = foreign::response(&signature, SECRET, NONCE, bytes) else { return };
    let word = match answer {
        Answer::Allow => "allow",
        Answer::Deny => "deny",
        Answer::Unknown => "unknown",
    };
    // Fields that nobody knows are passed over, and may hold what is no text. A list of the fields' values is read,
    // too.
    if let Ok(said) = serde_json::from_slice::<serde_json::Value>(bytes)
        && said.is_object()
    {
        assert_eq!(said["answer"], word, "it said something else");
        assert_eq!(said["reason"].as_str(), reason.as_deref());
    }
    // Neither another question's nonce nor another secret makes it count.
    assert!(foreign::response(&signature, SECRET, &NONCE[1..], bytes).is_err());
    assert!(foreign::response(&signature, &SECRET[1..], NONCE, bytes).is_err());
    reason.iter().for_each(|reason| shown(reason));
}

/// However they come in pieces, the same lines are read.
fn lines(bytes: &[u8]) {
    let mut whole = bytes.to_vec();
    let read = foreign::lines(&mut whole);
    let (mut input, mut pieces) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(7) {
        input.extend_from_slice(piece);
        match foreign::lines(&mut input) {
            Ok(lines) => pieces.extend(lines),
            Err(_) => return assert!(read.is_err() || bytes.len() > 4_096),
        }
    }
    let Ok(read) = read else { panic!("in pieces it is read, and not as a whole") };
    assert_eq!(read, pieces);
    assert_eq!(input, whole);
    assert!(!whole.contains(&b'\n'));
    read.iter().for_each(|(_, _, note)| shown(note));
}

fn shown(text: &str) {
    let note = foreign::note(text);
    assert!(note.len() <= foreign::LONGEST_NOTE);
    assert!(!note.chars().any(|symbol| symbol.is_control() || symbol == '\u{202e}'), "{note:?}");
    assert_eq!(foreign::note(&note), note.trim(), "shown twice it is another");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let signed = r#"{"answer":"allow"}"#;
    let given = foreign::signature(SECRET, NONCE, signed.as_bytes()).unwrap();
    [
        r#"{"answer":"allow","reason":"ticket 7"}"#,
        r#"{"answer":"deny"}"#,
        r#"{"answer":"unknown","reason":"\u001b[31mred \u202e"}"#,
        "{\"number\":1,\"answer\":\"allow\",\"note\":\"fine\"}\n{\"number\":2,\"answer\":\"deny\",\"note\":\"\"}\n{\"numb",
        &format!("{given}\n{signed}"),
        &format!("sha256=00\n{signed}"),
        " größer als\tdas",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}
