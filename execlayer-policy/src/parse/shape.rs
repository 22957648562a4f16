//! Whether every path that a glob can match looks like one the kernel gives: absolute, no empty or dot
//! components, no slash at the end, no NUL. Follows all choices of braces at once.

use super::glob::{Item, PatternError, Placed};

/// Where in a path one can be; a set of these, as bits.
const START: u8 = 1 << 0;
/// Behind the first slash.
const ROOT: u8 = 1 << 1;
/// Behind a later slash.
const SLASH: u8 = 1 << 2;
/// Behind a component that is `.` so far.
const DOT: u8 = 1 << 3;
/// Behind a component that is `..` so far.
const DOTS: u8 = 1 << 4;
/// Inside any other component.
const NAME: u8 = 1 << 5;

pub(super) fn check(items: &[Placed], length: usize) -> Result<(), PatternError> {
    let end = walk(items, START)?;
    let last = items.last().map_or(0..length, |placed| placed.bytes.clone());
    if end & START != 0 {
        return Err(relative(0..length));
    }
    if end & SLASH != 0 {
        return Err(PatternError::new(last, "the pattern ends in a slash").help(
            "a directory is named without it: `/workspace`; what is below it is `/workspace/**`",
        ));
    }
    if end & (DOT | DOTS) != 0 {
        return Err(dots(last));
    }
    Ok(())
}

fn walk(items: &[Placed], mut states: u8) -> Result<u8, PatternError> {
    for Placed { item, bytes } in items {
        let bytes = || bytes.clone();
        if states & START != 0 && !matches!(item, Item::Byte(b'/') | Item::Group(_)) {
            return Err(relative(bytes()));
        }
        states = match item {
            Item::Byte(0) => {
                return Err(PatternError::new(bytes(), "no path has a NUL byte")
                    .help("only abstract socket names can: `unix:@name`"));
            }
            Item::Byte(b'/') => {
                if states & (ROOT | SLASH) != 0 {
                    return Err(PatternError::new(bytes(), "two slashes in a row match no path")
                        .help("the kernel's names have single slashes; leave one out"));
                }
                if states & (DOT | DOTS) != 0 {
                    return Err(dots(bytes()));
                }
                (if states & START != 0 { ROOT } else { 0 })
                    | (if states & NAME != 0 { SLASH } else { 0 })
            }
            Item::Byte(b'.') => {
                (if states & (ROOT | SLASH) != 0 { DOT } else { 0 })
                    | (if states & DOT != 0 { DOTS } else { 0 })
                    | (if states & (DOTS | NAME) != 0 { NAME } else { 0 })
            }
            Item::Byte(_) | Item::Class(_) | Item::Star | Item::DoubleStar => NAME,
            Item::Group(choices) => {
                let mut after = 0;
                for choice in choices {
                    after |= walk(choice, states)?;
                }
                after
            }
        };
    }
    Ok(states)
}

fn relative(bytes: std::ops::Range<usize>) -> PatternError {
    PatternError::new(bytes, "the path is not absolute")
        .help("start it with `/`, or with a variable that does: `${HOME}/...`")
}

fn dots(bytes: std::ops::Range<usize>) -> PatternError {
    PatternError::new(bytes, "`.` and `..` match no path")
        .help("the kernel's names have them resolved; write the path without them")
}
