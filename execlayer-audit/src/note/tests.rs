//! The specifications' own examples, and what is refused.

use super::{LogKey, NoteError, split};
use crate::{Checkpoint, CheckpointError, Hash};

/// c2sp.org/signed-note and c2sp.org/tlog-checkpoint: their examples (without their keys, which are not given).
const NOTE: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n\
    — quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
/// golang.org/x/mod/sumdb/note, documentation of the package: its example and the key of it.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETERS: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[test]
fn the_examples_of_others_are_read_as_they_read_them() {
    let (text, signatures) = split(NOTE).unwrap();
    assert!(text.ends_with("sera.\n") && text.contains("sole:\n\ned"), "an empty line in the text");
    assert!(signatures.starts_with("\u{2014} quasimodo"));
    let key = LogKey::parse(PETER).unwrap();
    assert_eq!(key.to_string(), PETER);
    assert!(key.open(PETERS).unwrap().ends_with("your problem is.\n"));
    assert_eq!(
        key.open(&PETERS.replace("answer", "remedy")),
        Err(NoteError::BadSignature("PeterNeumann".into()))
    );
    assert_eq!(
        key.open(NOTE),
        Err(NoteError::UnknownSigners(vec!["quasimodo.example/salvatore".into()]))
    );
}

#[test]
fn signatures_of_others_beside_a_known_one_are_passed_over() {
    let key = LogKey::parse(PETER).unwrap();
    let (_text, other) = split(NOTE).unwrap();
    assert!(key.open(&format!("{PETERS}{other}")).is_ok());
    assert!(
        key.open(&PETERS.replace("\u{2014} PeterNeumann ", "\u{2014} Peter ")).is_err(),
        "another name"
    );
}

#[test]
fn what_is_no_note_is_refused() {
    let key = LogKey::parse(PETER).unwrap();
    for wrong in [
        String::new(),
        "\n\n".into(),
        PETERS.replace("\n\n", "\n"),
        PETERS.trim_end().to_owned(),
        PETERS.replace("\u{2014} ", "- "),
        PETERS.replace("x08go/", "x08go!"),
        PETERS.replace("your", "your\r"),
        PETERS.replace("your", "your\0"),
        format!("{}{PETERS}", "a\n".repeat(64 << 10)),
    ] {
        assert!(matches!(key.open(&wrong), Err(NoteError::Form(_))), "{wrong:.80}");
    }
}

#[test]
fn what_is_no_key_is_refused() {
    for wrong in [
        "",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10Q=",
        // The point of order one.
        "a+00000000+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        assert!(matches!(LogKey::parse(wrong), Err(NoteError::Key(_))), "{wrong}");
    }
}

#[test]
fn a_checkpoint_is_three_lines_in_one_spelling() {
    let text =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let head = Checkpoint::parse(text).unwrap();
    assert_eq!((head.size, head.to_text().as_str()), (20_852_163, text));
    assert_eq!(Checkpoint::parse(&format!("{text}more\n")), Ok(head));
    for wrong in [
        text.replace("20852163", "020852163"),
        text.replace("20852163", "+20852163"),
        text.replace("20852163", "99999999999999999999"),
        text.replace("q2I=", "q2J="),
        text.replace("example.com/behind-the-sofa", ""),
        format!("{text}\nmore\n"),
        "a\n0\n".to_owned(),
    ] {
        assert!(matches!(Checkpoint::parse(&wrong), Err(CheckpointError::Form(_))), "{wrong}");
    }
    assert_eq!(Hash::of_nothing().to_base64(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}
