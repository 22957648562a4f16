//! Who can be held, and in what: each kind of task and of call, once let go and once denied. Owns what these
//! tests share.

pub(crate) mod chains;
pub(crate) mod crowd;
pub(crate) mod kin;
pub(crate) mod places;
pub(crate) mod terminals;

use super::{Held, answer, finish, none_is_left, printed, question};
use anyhow::{Result, ensure};
use std::process::Output;

/// Runs python code under the policy, and answers its questions in their order.
fn python(held: &Held, code: &str, answers: &[&str]) -> Result<Output> {
    let child = held.command(&["/usr/bin/python3", "-ISc", code]).spawn()?;
    for how in answers {
        answer(&question()?, how)?;
    }
    let output = finish(child)?;
    none_is_left()?;
    Ok(output)
}

/// The output is exactly that.
fn says(output: &Output, expected: &str) -> Result<()> {
    let said = printed(output);
    ensure!(said == expected, "it said {said:?} and not {expected:?}");
    Ok(())
}
