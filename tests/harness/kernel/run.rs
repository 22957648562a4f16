//! One run of the program, or many in a row to time them. Owns what a frame looks like; must not know
//! what an answer means.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::{TestRun, TestRunOptions, programs::Xdp};
use execlayer_common::access::Operation;
use execlayer_policy::{cases::Act, evaluate::Facts};

use super::KernelImage;

/// KERNEL: frames shorter than an Ethernet header are refused (net/bpf/test_run.c, 6.1); the program
/// asks for a little more.
const SHORTEST: usize = 64;
/// KERNEL: XDP_PASS; what the program returns when it has answered.
const PASS: u32 = 2;
const STALE: [u32; 4] = [u32::MAX; 4];

/// What a run of the program does with an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Decides, and names the rule.
    Judge,
    /// The same, as most hooks of the gate do it.
    ByAddress,
    /// Only finds out whether the masks alone allow it.
    AtOnce,
    /// Takes the act in and does nothing: what every run costs.
    Nothing,
}

impl Run {
    /// The first two bytes of a request.
    const fn request(self, operation: Operation) -> [u8; 2] {
        match self {
            Self::Judge => [operation as u8, 0],
            Self::AtOnce => [operation as u8, 1],
            Self::ByAddress => [operation as u8, 2],
            Self::Nothing => [u8::MAX, 0],
        }
    }
}

impl KernelImage {
    /// Whether the masks alone allow the act.
    ///
    /// # Errors
    ///
    /// There was no answer.
    pub fn allowed_at_once(&mut self, act: &Act, facts: Facts) -> Result<bool> {
        let [allowed, ..] = self.run(act, facts, Run::AtOnce)?;
        Ok(allowed != 0)
    }

    /// What one of `repeat` runs in a row takes, as the kernel measures it: whole nanoseconds.
    ///
    /// # Errors
    ///
    /// The runs gave no answer.
    pub fn time(&mut self, act: &Act, facts: Facts, run: Run, repeat: u32) -> Result<Duration> {
        self.write_frame(act, facts, run);
        self.test_run(repeat)
    }

    pub(super) fn run(&mut self, act: &Act, facts: Facts, run: Run) -> Result<[u32; 4]> {
        self.write_frame(act, facts, run);
        // An answer of an earlier run must not be taken for one of this.
        self.answers.set(0, STALE, 0)?;
        self.test_run(1)?;
        let answer = self.answers.get(&0, 0)?;
        ensure!(answer != STALE, "the program gave no answer");
        Ok(answer)
    }

    fn write_frame(&mut self, act: &Act, facts: Facts, run: Run) {
        self.frame.clear();
        self.frame.extend(run.request(act.operation));
        self.frame.extend((act.subject.len() as u16).to_le_bytes());
        for field in [act.wanted.0, facts.uid, u32::from(facts.minute), self.class] {
            self.frame.extend(field.to_le_bytes());
        }
        self.frame.extend(&act.subject);
        self.frame.resize(self.frame.len().max(SHORTEST), 0);
    }

    fn test_run(&self, repeat: u32) -> Result<Duration> {
        let program = self.bpf.program("judge").context("no program `judge`")?;
        let program: &Xdp = program.try_into()?;
        let data_in = Some(self.frame.as_slice());
        let ran = program.test_run(TestRunOptions { data_in, repeat, ..TestRunOptions::new() })?;
        ensure!(ran.return_value == PASS, "the program gave no answer ({})", ran.return_value);
        Ok(ran.duration)
    }
}
