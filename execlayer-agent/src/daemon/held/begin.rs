//! When questions begin to be taken, every second of that, and when they end. Must not decide any.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use execlayer_common::question::{STATE_OPEN, daemon as words};

use super::{DAEMON, Daemon};
use crate::{
    defer::{self, Ending},
    grants,
    kernel::Hold,
    record::{line, time},
};

/// Looks for questions that came while the daemon ended, and how long lies between them.
const LAST_LOOKS: u32 = 10;
const LAST_PAUSE: Duration = Duration::from_millis(10);

impl Daemon {
    /// From now on questions are taken, if calls are held at all. Who waits since an earlier daemon asks
    /// again.
    pub(in crate::daemon) fn begin_questions(&mut self) {
        let guarded = guard(self.gate.holding(), &self.options.run_dir);
        self.note_questions_if(guarded);
        let begun = begin(self.gate.holding());
        self.beat();
        match begun.and_then(|()| defer::ask_all_again(self.gate.holding())) {
            Ok(0) => {}
            Ok(asked) => tracing::info!("{asked} calls that were held ask again"),
            Err(error) => self.note_questions(error),
        }
    }

    /// Nothing more is asked; what is open is denied, and who waits goes on.
    pub(in crate::daemon) fn end_questions(&mut self) {
        let ended = self.gate.holding().tell(words::BEAT, 0);
        self.note_questions_if(ended);
        let open: Vec<u64> = self.deferred.open().map(|(id, _pending)| id).collect();
        for id in open {
            self.end(id, Ending::Denied, DAEMON, Some("execlayerd is ending"), None);
        }
        let done = deny_the_rest(self.gate.holding());
        self.note_questions_if(done);
    }

    /// Every second.
    pub(in crate::daemon) fn tick_questions(&mut self) {
        if self.stopping {
            return;
        }
        self.beat();
        let now = time::boot();
        for (id, ending) in self.deferred.due(now) {
            self.end(id, ending, DAEMON, None, None);
        }
        let released = self.deferred.release(self.gate.holding(), now);
        self.note_questions_if(released);
        match self.deferred.reconcile(self.gate.holding(), now) {
            Ok(found) => {
                if found.asked_again != 0 {
                    let count = found.asked_again;
                    tracing::warn!("{count} questions without a record are asked again");
                }
                for id in found.gone {
                    self.end(id, Ending::Left, DAEMON, None, None);
                }
            }
            Err(error) => self.note_questions(error),
        }
        for parent in self.deferred.stopped_parents() {
            let woken = self.gate.holding().wake(parent);
            self.note_questions_if(woken);
        }
        self.sweep_grants(now);
    }

    /// Forgets answers that are over.
    pub(in crate::daemon) fn sweep_grants(&mut self, now: u64) {
        let Self { grants, gate, profiles, budgets, .. } = self;
        budgets
            .keep_current(|profile| profiles.in_force(profile).map(|(generation, _)| generation));
        let swept = grants.sweep(gate.holding(), now, |profile| profiles.in_force(profile));
        match swept {
            Ok(ended) => {
                let real = now.saturating_add(self.offset);
                for grant in ended {
                    self.write(line::grant(&grant, "ended", DAEMON, real), None);
                }
            }
            Err(error) => self.note_questions(error),
        }
    }

    fn beat(&mut self) {
        let now = if self.options.no_hold { 0 } else { time::boot() };
        let beaten = self.gate.holding().tell(words::BEAT, now);
        self.note_questions_if(beaten);
    }
}

/// Tells the kernel which sockets and which directory no governed task may touch.
fn guard(holding: &mut dyn Hold, run_dir: &Path) -> io::Result<()> {
    let directory = fs::metadata(run_dir)?;
    // KERNEL: `dev_t` is 12 bits of major and 20 of minor number there (include/linux/kdev_t.h).
    let device = directory.dev();
    let device = libc::major(device) << 20 | libc::minor(device);
    holding.tell(words::PID, std::process::id().into())?;
    holding.tell(words::RUN_DEVICE, device.into())?;
    holding.tell(words::RUN_INODE, directory.ino())
}

/// Denies all that is held, for good: nothing more is asked.
///
/// # Errors
///
/// What the kernel said.
pub fn deny_all(holding: &mut dyn Hold) -> io::Result<()> {
    holding.tell(words::BEAT, 0)?;
    deny_the_rest(holding)
}

/// Forgets what an earlier daemon told the kernel.
fn begin(holding: &mut dyn Hold) -> io::Result<()> {
    for profile in 0..=execlayer_common::limits::MAX_PROFILES {
        holding.tell(words::FULL + profile, 0)?;
    }
    holding.measure_nothing()?;
    match grants::forget_all(holding)? {
        0 => {}
        count => tracing::info!("{count} remembered answers of an earlier daemon are forgotten"),
    }
    Ok(())
}

/// With the sign of life gone, whoever is still held, or about to be, asks again in vain.
///
/// # Errors
///
/// What the kernel said.
fn deny_the_rest(holding: &mut dyn Hold) -> io::Result<()> {
    for _ in 0..LAST_LOOKS {
        let left = holding.questions()?;
        if left.iter().all(|(_key, question)| question.state != STATE_OPEN) {
            break;
        }
        defer::ask_all_again(holding)?;
        std::thread::sleep(LAST_PAUSE);
    }
    Ok(())
}
