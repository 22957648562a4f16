//! Names, numbers and requests.

extern crate std;

use std::string::ToString as _;

use super::*;

fn number(text: &str) -> Number {
    Number::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
}

#[test]
fn numbers_compare_as_decimals_do() {
    let rising = [
        "-1e999999999",
        "-100000000000000000000.1",
        "-12.5",
        "-0.1000000001",
        "-0.1",
        "-0.00000000001",
        "0",
        "1e-400",
        "0.099999999999",
        "0.1",
        "0.10000000000000001",
        "0.5",
        "1",
        "1.000000001",
        "9007199254740992",
        "9007199254740993",
        "18446744073709551616",
        "1E+300",
    ];
    assert!(rising.iter().map(|text| number(text)).is_sorted_by(|one, next| one < next));
    for (one, other) in
        [("0.1", "1e-1"), ("-0", "0"), ("1200", "12e2"), ("0.5000", "+5.0e-1"), ("007", "7")]
    {
        assert_eq!(number(one), number(other));
    }
    assert_eq!(Number::whole(-7), number("-7"));
    assert_eq!(Number::whole(i64::MIN), number("-9223372036854775808"));
}

#[test]
fn what_lies_beside_an_exact_number_is_on_its_own_side() {
    let tenth = number("0.1");
    assert!(tenth.is_exact() && !number("0.1000000001").is_exact() && !number("1e20").is_exact());
    assert!(number("0.1000000000000001") >= tenth.above());
    assert!(number("0.0999999999999999") <= tenth.below());
    assert!(number("-0.1000000000000001") <= number("-0.1").below());
    assert!(number("-0.0999999999999999") >= number("-0.1").above());
    for text in ["0", "-12.5", "1e19", "0.123456789"] {
        assert_eq!(Number::from_words(number(text).to_words()), number(text));
    }
}

#[test]
fn exact_numbers_are_written_as_they_were_read() {
    for text in ["0", "-12.5", "0.000000001", "99999999999999999999.999999999", "1200", "-0.5"] {
        assert_eq!(number(text).to_string(), text);
    }
    assert_eq!(number("0.30000000001").to_string(), "0.3...");
}

#[test]
fn what_is_no_number_is_none() {
    for text in [
        "", "-", "+", "1.", ".5", "1e", "1e+", "1_000", "0x1", "NaN", "inf", "1 ", " 1", "--1",
        "1.2.3", "1e1.5", "١",
    ] {
        assert_eq!(Number::parse(text), None, "{text}");
    }
}

#[test]
fn names_are_few_plain_characters() {
    for name in ["a", "dry_run", "input.command", "X-1", "abcdefghijklmnopqrstuvwxyz012345"] {
        assert_eq!(Name::new(name).map(|name| name.as_str().len()), Ok(name.len()));
    }
    for name in ["", "a b", "ä", "a\0", "abcdefghijklmnopqrstuvwxyz0123456"] {
        assert_eq!(Name::new(name), Err(NameError), "{name:?}");
    }
}

#[test]
fn a_call_that_cannot_be_judged_is_none() {
    let name = Name::new("a").unwrap();
    let long = [b'x'; MAX_ACTION + 1];
    for action in [&b""[..], b"a\0b", &long] {
        assert_eq!(Request::new(action, b"").err(), Some(RequestError::Action));
    }
    let request = Request::new(b"Bash", b"\0any bytes\xff").unwrap();
    let flag = Value::Flag(true);
    assert_eq!(request.with(&[(name, flag), (name, flag)]).err(), Some(RequestError::Twice(1)));
    assert_eq!(request.with(&[(name, flag)]).map(|call| call.context().len()), Ok(1));
}
