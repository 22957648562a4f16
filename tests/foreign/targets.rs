//! Every decoder of foreign bytes over what the fuzzer starts from, and over what a fixed seed makes of it. The same
//! bodies as `cargo xtask fuzz`, without a fuzzer: what a change breaks is found on every machine.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use execlayer_fuzz::TARGETS;
use harness::random::Random;

/// Changed inputs for each target.
const CHANGED: usize = 1_000;
/// Bytes of an input at most.
const LONGEST: usize = 16_384;

#[test]
fn no_decoder_panics_or_believes_what_it_must_not() {
    for target in TARGETS {
        let mut inputs = (target.seeds)();
        inputs.extend(found(target.name));
        let longest = inputs.iter().map(Vec::len).max();
        assert!(longest <= Some(LONGEST), "`{}`: an input of {longest:?} bytes", target.name);
        let mut random = Random::new(7);
        let changed: Vec<Vec<u8>> = (0..CHANGED).map(|_| change(&inputs, &mut random)).collect();
        for input in inputs.iter().chain(&changed) {
            let done = catch_unwind(AssertUnwindSafe(|| (target.body)(input)));
            assert!(done.is_ok(), "target `{}`, input {}", target.name, input.escape_ascii());
        }
    }
}

#[test]
fn every_target_has_a_program_and_what_was_found_belongs_to_one() {
    let names = |folder: &str| -> Vec<String> {
        let files = fs::read_dir(fuzz().join(folder)).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let mut targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    targets.sort_unstable();
    assert_eq!(names("fuzz_targets"), targets);
    let found = names("found");
    assert!(!found.is_empty() && found.iter().all(|name| targets.contains(&name.as_str())));
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// Inputs that a fuzzer has found something with.
fn found(target: &str) -> Vec<Vec<u8>> {
    let folder = fuzz().join("found").join(target);
    let Ok(files) = fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// One of the inputs, changed in up to four places.
fn change(inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(inputs).unwrap().clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len());
        let end = (at + 1 + random.below(12)).min(input.len());
        match random.below(7) {
            0 if !input.is_empty() => input[at] ^= 1 << random.below(8),
            1 if !input.is_empty() => input[at] = random.byte(),
            2 => input.truncate(at),
            3 => drop(input.drain(at.min(end)..end)),
            4 => {
                let piece: Vec<u8> = input[at.min(end)..end].to_vec();
                input.splice(at..at, piece);
            }
            5 => number(&mut input, random),
            _ => {
                let other = random.pick(inputs).unwrap();
                let from = random.below(other.len());
                let to = (from + random.below(40)).min(other.len());
                input.splice(at..end.max(at), other[from..to].iter().copied());
            }
        }
    }
    input.truncate(LONGEST);
    input
}

/// Puts a number that is at some border in the place of one that is there.
fn number(input: &mut Vec<u8>, random: &mut Random) {
    const BORDERS: [&str; 9] =
        ["0", "1", "-1", "255", "65536", "4294967295", "4294967296", "18446744073709551615", "1e9"];
    let starts: Vec<usize> = (0..input.len()).filter(|&at| input[at].is_ascii_digit()).collect();
    let Some(&start) = random.pick(&starts) else { return };
    let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let border = random.pick(&BORDERS).copied().unwrap_or_default();
    input.splice(start..start + length, border.bytes());
}
