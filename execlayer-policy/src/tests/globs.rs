//! What globs match: a table for people, and every subject of a small alphabet against a matcher that
//! is written a second time.

use crate::{
    evaluate::matches,
    parse::glob::{Kind, Variables, parse},
};

fn hits(pattern: &str, subject: &[u8]) -> bool {
    let glob = parse(pattern, &Variables::new(), Kind::Path);
    matches(&glob.unwrap_or_else(|error| panic!("{pattern}: {error:?}")).pattern, subject)
}

#[test]
fn globs_match_what_the_table_says() {
    let table: [(&str, &[&str], &[&str]); 23] = [
        ("/", &["/"], &["/a", ""]),
        ("/a/b", &["/a/b"], &["/a", "/a/b/", "/a/bc", "/a/b/c"]),
        ("/a/*", &["/a/b", "/a/.hidden", "/a/b c\n"], &["/a", "/a/b/c"]),
        ("/*", &["/a"], &["/", "/a/b"]),
        ("/a/*.rs", &["/a/x.rs", "/a/.rs"], &["/a/x.rs.bak", "/a/b/x.rs"]),
        ("/a?c", &["/abc", "/a\nc"], &["/ac", "/a/c", "/abbc"]),
        ("/a/**", &["/a/b", "/a/b/c"], &["/a", "/ab", "/"]),
        ("/**", &["/a", "/a/b"], &["/"]),
        ("/a/**/z", &["/a/z", "/a/b/z", "/a/b/c/z"], &["/az", "/a/bz", "/a/z/b"]),
        ("/**/z", &["/z", "/a/z"], &["/az", "z"]),
        ("/a/**/**/z", &["/a/z", "/a/b/z"], &["/az"]),
        ("/a**", &["/a", "/ab", "/a/b"], &["/b"]),
        ("/a/**.pem", &["/a/x.pem", "/a/b/x.pem", "/a/.pem"], &["/ax.pem"]),
        ("/a/b**/c", &["/a/b/c", "/a/bx/y/c"], &["/a/c"]),
        ("/w{,/**}", &["/w", "/w/a", "/w/a/b"], &["/wa", "/w/"]),
        ("/{a,b/c}/d", &["/a/d", "/b/c/d"], &["/b/d", "/a/c/d"]),
        ("/{a,{b,c}x}", &["/a", "/bx", "/cx"], &["/b", "/ax"]),
        ("/x[0-9a]", &["/x0", "/xa"], &["/x", "/xb", "/x-"]),
        ("/x[!0-9]", &["/xa", "/x\n"], &["/x0", "/x/", "/x"]),
        ("/x[b-b]", &["/xb"], &["/xa", "/x-"]),
        ("/x[a-]", &["/xa", "/x-"], &["/xb"]),
        (r"/\*\?\[\{\,\\\$", &["/*?[{,\\$"], &["/a"]),
        ("/a,b$c", &["/a,b$c"], &["/a", "/b"]),
    ];
    for (pattern, good, bad) in table {
        for subject in good {
            assert!(hits(pattern, subject.as_bytes()), "{pattern} must match {subject}");
        }
        for subject in bad {
            assert!(!hits(pattern, subject.as_bytes()), "{pattern} must not match {subject}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_can_be_written_and_are_matched() {
    assert!(hits(r"/\xff\xfe", b"/\xff\xfe"));
    assert!(!hits(r"/\xff", "/ÿ".as_bytes()));
    assert!(hits("/*", b"/\xff\x80"));
    assert!(hits("/?", b"/\xff"));
    assert!(hits(r"/[\x80-\xff]", b"/\xc3"));
    assert!(hits("/ä", "/ä".as_bytes()));
}

#[test]
fn values_of_variables_stand_for_themselves() {
    let variables = Variables::from([
        ("ROOT".to_owned(), "/w*[x]{a,b}".to_owned()),
        ("NAME".to_owned(), "..".to_owned()),
        ("REL".to_owned(), "rel".to_owned()),
        ("END".to_owned(), "/w/".to_owned()),
    ]);
    let glob = parse("${ROOT}/**", &variables, Kind::Path).unwrap();
    assert!(matches(&glob.pattern, b"/w*[x]{a,b}/c"));
    assert!(!matches(&glob.pattern, b"/wzx/c"));
    assert_eq!(glob.text, r"/w\*\[x\]\{a\,b\}/**");
    let again = parse(&glob.text, &Variables::new(), Kind::Path).unwrap();
    assert_eq!(again.pattern, glob.pattern, "the text means the same without its variables");
    for (pattern, bytes, message) in [
        ("/a/${NAME}/b", 10..11, "`.` and `..` match no path"),
        ("${REL}/b", 0..6, "the path is not absolute"),
        ("${END}/b", 6..7, "two slashes in a row match no path"),
        ("/a/${REL", 3..8, "the variable `${` never closes"),
    ] {
        let error = parse(pattern, &variables, Kind::Path).unwrap_err();
        assert_eq!((error.bytes, error.message.as_str()), (bytes, message), "{pattern}");
    }
}

#[test]
fn abstract_names_take_any_bytes() {
    let hit = |pattern: &str, subject: &[u8]| {
        matches(&parse(pattern, &Variables::new(), Kind::Abstract).unwrap().pattern, subject)
    };
    assert!(hit("@/tmp/dbus-*", b"@/tmp/dbus-x"));
    assert!(hit(r"@a\x00b", b"@a\0b"));
    assert!(hit("@**", b"@a/b"));
    assert!(!hit("@*", b"@a/b"));
    assert!(hit("@a//", b"@a//"));
    assert!(hit("@a/**", b"@a/") && hit("@a/*", b"@a/") && !hit("@a/**", b"@a"));
}

#[test]
fn patterns_that_would_explode_are_refused() {
    let choices = "{a,b}".repeat(40);
    for pattern in [format!("/x{choices}**"), format!("/{}", "{**,b}".repeat(40))] {
        let error = parse(&pattern, &Variables::new(), Kind::Path).unwrap_err();
        assert!(error.message.contains("too many combinations"), "{pattern}: {error:?}");
    }
    assert!(parse(&format!("/x{choices}/**"), &Variables::new(), Kind::Path).is_ok());
    let deep = format!("/{}a{}", "{x,".repeat(17), "}".repeat(17));
    let error = parse(&deep, &Variables::new(), Kind::Path).unwrap_err();
    assert!(error.message.contains("deeper than 16"), "{error:?}");
    let long = format!("/{}", "a".repeat(4_096));
    let error = parse(&long, &Variables::new(), Kind::Path).unwrap_err();
    assert!(error.message.contains("MAX_PATTERN_BYTES"), "{error:?}");
}

/// The patterns that a pattern with braces stands for.
fn written_out(pattern: &str) -> Vec<String> {
    let Some(open) = pattern.find('{') else { return vec![pattern.to_owned()] };
    let (mut depth, mut start, mut choices) = (0, open + 1, Vec::new());
    for (at, c) in pattern.char_indices().skip_while(|&(at, _)| at < open) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => {
                choices.push(&pattern[start..at]);
                start = at + 1;
            }
            '}' if depth == 1 => {
                choices.push(&pattern[start..at]);
                let behind = &pattern[at + 1..];
                let ahead = &pattern[..open];
                return choices
                    .into_iter()
                    .flat_map(|choice| written_out(&format!("{ahead}{choice}{behind}")))
                    .collect();
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    panic!("unbalanced: {pattern}")
}

/// The meaning of a glob without braces, by its first sign; `slash` says that one stands before.
fn second(pattern: &[u8], subject: &[u8], slash: bool) -> bool {
    match pattern {
        [] => subject.is_empty(),
        [b'*', b'*'] if slash => !subject.is_empty(),
        [b'*', b'*', b'/', rest @ ..] if slash => {
            second(rest, subject, true)
                || (0..subject.len())
                    .any(|at| subject[at] == b'/' && second(rest, &subject[at + 1..], true))
        }
        [b'*', b'*', rest @ ..] => {
            (0..=subject.len()).any(|at| second(rest, &subject[at..], false))
        }
        [b'*', rest @ ..] => (0..=subject.len())
            .take_while(|&at| !subject[..at].contains(&b'/'))
            .any(|at| second(rest, &subject[at..], false)),
        [b'?', rest @ ..] => {
            matches!(subject, [b, tail @ ..] if *b != b'/' && second(rest, tail, false))
        }
        [byte, rest @ ..] => {
            matches!(subject, [b, tail @ ..] if b == byte && second(rest, tail, *byte == b'/'))
        }
    }
}

/// Every path of up to `length` bytes over `/`, `a` and `b` that the kernel could name.
fn subjects(length: usize) -> Vec<Vec<u8>> {
    let mut all = vec![b"/".to_vec()];
    let mut last = vec![b"/".to_vec()];
    for _ in 1..length {
        last = last
            .iter()
            .flat_map(|head| b"/ab".iter().map(move |&byte| [head.as_slice(), &[byte]].concat()))
            .filter(|path| !path.ends_with(b"//"))
            .collect();
        all.extend(last.iter().filter(|path| !path.ends_with(b"/")).cloned());
    }
    all
}

#[test]
fn braces_mean_the_union_of_their_choices_for_every_subject() {
    let patterns = [
        "/{a,b}",
        "/{a,**}",
        "/{a,**}/b",
        "/{,a/}**",
        "/a{,/**}",
        "/a{/**,b}",
        "/{a/**,b}/b",
        "/**{/a,b}",
        "/**/{a,b}",
        "/{a,b}/**",
        "/{a,b}/**/{a,b}",
        "{/a,/b}{,/**}",
        "/{*,a/b}",
        "/*{,a}",
        "/*{,a/b}",
        "/**{,a}",
        "/{**/,}a",
        "/{**/,}{a,b/**}",
        "/a{,b}**",
        "/a{,/}**",
        "/{a,{b,**}}/a",
        "/{a,{b/,**/}}a",
        "/a*{/**,b*}",
        "/{a,}{b,}**",
        "/{a,b}{/**/,/}a",
        "/?{,/**/?}",
        "/**/*",
        "/*/**",
        "/**/**",
        "/a**{b,/a}",
        "/{**,a}{b,/b}",
        "/{?,*}/{**,a}",
        "{/,/a/}**",
        "/**a/**/b**",
        "/a/{a/**,b}/b",
        "/a{/**,b}/a",
        "/a/{**,b}/a",
        "/a/**{/b,a}",
        "/a/**{/b,}",
        "/a/**{/,}b",
        "/a{/**/,b}a",
        "/a/{b,{a,**}}/{b,**}",
    ];
    let subjects = subjects(8);
    assert!(subjects.len() > 500, "{}", subjects.len());
    for pattern in patterns {
        let choices = written_out(pattern);
        for subject in &subjects {
            // No component is empty, so a star alone does not match the root.
            let expected = choices.iter().any(|choice| {
                second(choice.as_bytes(), subject, false) && (subject != b"/" || choice == "/")
            });
            let shown = String::from_utf8_lossy(subject);
            assert_eq!(hits(pattern, subject), expected, "{pattern} on {shown}");
        }
    }
}
