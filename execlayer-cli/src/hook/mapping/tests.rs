//! What of a tool's input is sent, and under which name.

use proptest::prelude::*;

use super::*;

/// What is sent of `input`.
fn sent(input: &str) -> String {
    let input = Object::parse(input).unwrap();
    let call = Call::new("Any".to_owned(), Resource::Nothing, input, Around::default()).unwrap();
    serde_json::to_string(&call.context).unwrap()
}

#[test]
fn scalars_and_lists_of_texts_are_sent_by_name() {
    assert_eq!(
        sent(r#"{"b":true,"a":"x","l":["p","q"],"e":[]}"#),
        r#"{"a":"x","b":true,"e":[],"l":["p","q"]}"#
    );
    assert_eq!(sent("{}"), "{}");
}

#[test]
fn numbers_keep_their_text() {
    let input = r#"{"a":12.50,"b":1e3,"c":-0,"d":123456789012345678901234567890,"e":0.1e-7}"#;
    assert_eq!(sent(input), input);
}

#[test]
fn objects_inside_are_flattened() {
    assert_eq!(sent(r#"{"a":{"b":{"c":1},"d":"x"}}"#), r#"{"a.b.c":1,"a.d":"x"}"#);
}

#[test]
fn what_cannot_be_sent_is_left_out_and_said_to_be() {
    let long = "n".repeat(33);
    let deep = "{\"a\":".repeat(40_000) + "1" + &"}".repeat(40_000);
    let text = "x".repeat(MAX_VALUE);
    for input in [
        r#"{"k":1,"x":null}"#.to_owned(),
        r#"{"k":1,"x":[1,2]}"#.to_owned(),
        r#"{"k":1,"x":["a",1]}"#.to_owned(),
        r#"{"k":1,"x":[{"a":"b"}]}"#.to_owned(),
        r#"{"k":1,"x":{}}"#.to_owned(),
        r#"{"k":1,"x":{"y":1,"y":2}}"#.to_owned(),
        r#"{"k":1,"x":"\ud800"}"#.to_owned(),
        r#"{"k":1,"":1}"#.to_owned(),
        r#"{"k":1,"x y":1}"#.to_owned(),
        r#"{"k":1,"é":1}"#.to_owned(),
        format!(r#"{{"k":1,"{long}":1}}"#),
        format!(r#"{{"k":1,"x":{deep}}}"#),
        format!(r#"{{"k":1,"x":"{text}"}}"#),
    ] {
        assert_eq!(sent(&input), r#"{"k":1,"left_out":true}"#, "{input:.80}");
    }
    assert_eq!(sent(r#"{"k":1}"#), r#"{"k":1}"#);
    assert_eq!(sent(&format!(r#"{{"{}":1}}"#, &long[1..])), format!(r#"{{"{}":1}}"#, &long[1..]));
}

#[test]
fn a_name_that_two_members_come_to_has_no_value() {
    assert_eq!(sent(r#"{"a.b":"good","a":{"b":"bad","c":1}}"#), r#"{"a.c":1,"left_out":true}"#);
    assert_eq!(sent(r#"{"a":{"b":{"c":1},"b.c":2}}"#), r#"{"left_out":true}"#);
}

#[test]
fn a_tool_cannot_say_what_only_the_agent_says() {
    for name in RESERVED {
        assert_eq!(sent(&format!(r#"{{"{name}":"/other"}}"#)), r#"{"left_out":true}"#, "{name}");
    }
    assert_eq!(sent(r#"{"left_out":false}"#), r#"{"left_out":true}"#);
}

#[test]
fn no_more_is_sent_than_the_api_takes() {
    let many: Vec<String> = (0..200).map(|at| format!(r#""n{at:03}":{at}"#)).collect();
    let text = sent(&format!("{{{}}}", many.join(",")));
    assert_eq!(text.matches(':').count(), MAX_CONTEXT_VALUES);
    assert!(text.contains(r#""left_out":true"#) && text.contains(r#""n062":62"#), "{text}");

    let big = "x".repeat(60_000);
    let many: Vec<String> = (0..20).map(|at| format!(r#""n{at}":"{big}""#)).collect();
    let text = sent(&format!("{{{}}}", many.join(",")));
    assert!(text.len() < MAX_CONTEXT + 1_000 && text.contains("left_out"), "{}", text.len());
}

#[test]
fn a_path_is_absolute_and_has_no_dots() {
    let at = |path| absolute(path, Some("/w/x")).unwrap();
    assert_eq!(at("a/./b//c"), "/w/x/a/b/c");
    assert_eq!(at("../../../etc/passwd"), "/etc/passwd");
    assert_eq!(at("/a/../b/"), "/b");
    assert_eq!(at("."), "/w/x");
    assert_eq!(at("/"), "/");
    assert!(absolute("a", None).is_err());
    assert!(absolute("a", Some("w")).is_err());
    assert_eq!(absolute("/a", None).unwrap(), "/a");
}

#[test]
fn a_path_that_may_be_another_is_under_no_folder() {
    for path in ["~/.ssh/id", "~root", " /etc/passwd", "a ", "\ta", "a\n", ""] {
        assert_eq!(absolute(path, Some("/w")).unwrap(), path);
    }
}

#[test]
fn two_resources_are_none() {
    let take = |input| {
        let mut input = Object::parse(input).unwrap();
        Resource::Path(&["file_path", "absolute_path"]).take(&mut input, Some("/w"))
    };
    assert_eq!(take(r#"{"absolute_path":"/a"}"#).unwrap(), "/a");
    assert_eq!(take(r#"{"file_path":"a","absolute_path":null}"#).unwrap(), "/w/a");
    assert!(take(r#"{"file_path":"/w/a","absolute_path":"/etc/shadow"}"#).is_err());
    assert!(take(r#"{"file_path":["/w/a"]}"#).is_err());
    assert!(take("{}").is_err());
}

#[test]
fn what_the_api_would_refuse_is_not_asked() {
    let about = |action: &str, resource: &str, session: &str| {
        let around = Around { session: Some(session.to_owned()), ..Around::default() };
        let call = Call::about(action.into(), resource.into(), &Object::default(), around);
        call.map(|call| serde_json::to_string(&call).unwrap())
    };
    assert_eq!(about("A", "r", "").unwrap(), r#"{"action":"A","resource":"r","context":{}}"#);
    assert!(about("A", &"r".repeat(65_536), &"s".repeat(128)).is_ok());
    assert!(about("A", &"r".repeat(65_537), "").is_err());
    assert!(about("A", "", &"s".repeat(129)).is_err());
    for action in ["", "a\0b", &"a".repeat(257)] {
        assert!(about(action, "", "").is_err());
    }
}

proptest! {
    #[test]
    fn no_path_leaves_the_root_and_what_is_absolute_stays(
        path in "[./a~ ]{0,12}",
        cwd in "/[./b]{0,8}",
    ) {
        let once = absolute(&path, Some(&cwd)).unwrap();
        prop_assert_eq!(&absolute(&once, Some("/other")).unwrap(), &once);
        let is_clean = |step: &str| !matches!(step, "" | "." | "..");
        if once.starts_with('/') && once != "/" && once != path {
            prop_assert!(once[1..].split('/').all(is_clean), "{once}");
        }
    }

    #[test]
    fn every_name_that_is_sent_is_one_the_api_takes(input in "\\{(\"[a-c. é]{0,3}\":(1|\"x\"|\\{\"[a-c]\":\\[\\]\\}),){0,5}\"z\":1\\}") {
        let Ok(input) = Object::parse(&input) else { return Ok(()) };
        for name in context(&input, Vec::new()).keys() {
            prop_assert!(Name::new(name).is_ok());
        }
    }
}
