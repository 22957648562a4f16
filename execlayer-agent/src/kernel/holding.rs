//! The maps of held calls: [`Hold`]'s operations on them. Must not decide when or why.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use execlayer_common::{
    label::Label,
    limits,
    question::{
        GRANT_BYTES, GRANT_KEY_BYTES, Grant, GrantKey, KEY_BYTES, Key, QUESTION_BYTES, Question,
        STATE_MEASURE, STATE_OPEN,
    },
};

use super::sys::{self, RawMap};

const LABEL: usize = size_of::<Label>();

/// What the daemon does to held calls, one map operation each.
pub trait Hold {
    /// Tells the kernel a word of [`execlayer_common::question::daemon`].
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn tell(&mut self, index: u32, word: u64) -> io::Result<()>;

    /// Such a word as the kernel has it.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn told(&self, index: u32) -> io::Result<u64>;

    /// Every question that the kernel knows, open or not.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn questions(&self) -> io::Result<Vec<(Key, Question)>>;

    /// Answers the question with this number that is open, or whose file is measured, until `expires`; false if it is gone.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn answer(&mut self, key: &Key, id: u64, state: u32, expires: u64) -> io::Result<bool>;

    /// Removes the question with this number, or its answer. One that is gone needs nothing.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn forget(&mut self, key: &Key, id: u64) -> io::Result<()>;

    /// Has files measured that this thread executes, for the question with this number; or no longer.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn measure(&mut self, tid: u32, question: Option<u64>) -> io::Result<()>;

    /// Has nobody's files measured.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn measure_nothing(&mut self) -> io::Result<()>;

    /// Remembers an answer.
    ///
    /// # Errors
    ///
    /// What the kernel said; `E2BIG` if there is no room.
    fn grant(&mut self, key: &GrantKey, grant: &Grant) -> io::Result<()>;

    /// Every answer that is remembered.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn grants(&self) -> io::Result<Vec<(GrantKey, Grant)>>;

    /// Forgets an answer.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn revoke(&mut self, key: &GrantKey) -> io::Result<()>;

    /// Lets a governed thread group go on that is stopped. One that is gone needs nothing.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn wake(&mut self, tgid: u32) -> io::Result<()>;
}

/// The maps.
#[derive(Debug)]
pub struct Holding {
    pub(super) labels: RawMap,
    pub(super) questions: RawMap,
    pub(super) grants: RawMap,
    pub(super) measure: RawMap,
    pub(super) daemon: RawMap,
}

impl Holding {
    /// The label of a process, if it is governed. One that is gone is not.
    pub(super) fn label(&self, pid: i32) -> io::Result<Option<Label>> {
        let process = match sys::process_descriptor(pid) {
            Ok(process) => process,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut label = [0; LABEL];
        // KERNEL: user space names a task by a pidfd (kernel/bpf/bpf_task_storage.c, 6.1).
        let found = self.labels.get(&process.as_raw_fd().to_ne_bytes(), &mut label)?;
        let [a, b, c, d, e, f, g, h, session @ ..] = label;
        let label = Label {
            profile: u32::from_ne_bytes([a, b, c, d]),
            pending: u32::from_ne_bytes([e, f, g, h]),
            session: u64::from_ne_bytes(session),
        };
        Ok((found && label.profile != 0).then_some(label))
    }

    fn question(&self, key: &Key) -> io::Result<Option<Question>> {
        let mut value = [0; QUESTION_BYTES];
        let is_there = self.questions.get(&key.to_bytes(), &mut value)?;
        Ok(is_there.then(|| Question::from_bytes(&value)))
    }
}

impl Hold for Holding {
    fn tell(&mut self, index: u32, word: u64) -> io::Result<()> {
        self.daemon.set(&index.to_ne_bytes(), &word.to_ne_bytes())
    }

    fn told(&self, index: u32) -> io::Result<u64> {
        let mut word = [0; 8];
        self.daemon.get(&index.to_ne_bytes(), &mut word)?;
        Ok(u64::from_ne_bytes(word))
    }

    fn questions(&self) -> io::Result<Vec<(Key, Question)>> {
        let entries = entries::<KEY_BYTES, QUESTION_BYTES>(&self.questions, limits::MAX_QUESTIONS)?;
        let read = |(key, value)| (Key::from_bytes(&key), Question::from_bytes(&value));
        Ok(entries.into_iter().map(read).collect())
    }

    fn answer(&mut self, key: &Key, id: u64, state: u32, expires: u64) -> io::Result<bool> {
        match self.question(key)? {
            Some(question)
                if question.id == id && matches!(question.state, STATE_OPEN | STATE_MEASURE) =>
            {
                let answered = Question { state, expires, ..question };
                self.questions.replace(&key.to_bytes(), &answered.to_bytes())
            }
            _ => Ok(false),
        }
    }

    fn forget(&mut self, key: &Key, id: u64) -> io::Result<()> {
        match self.question(key)? {
            Some(question) if question.id == id => {
                self.questions.remove(&key.to_bytes()).map(|_was_there| ())
            }
            _ => Ok(()),
        }
    }

    fn measure(&mut self, tid: u32, question: Option<u64>) -> io::Result<()> {
        match question {
            Some(id) => self.measure.set(&tid.to_ne_bytes(), &id.to_ne_bytes()),
            None => self.measure.remove(&tid.to_ne_bytes()).map(|_was_there| ()),
        }
    }

    fn measure_nothing(&mut self) -> io::Result<()> {
        for (tid, _question) in entries::<4, 8>(&self.measure, limits::MAX_QUESTIONS)? {
            self.measure.remove(&tid)?;
        }
        Ok(())
    }

    fn grant(&mut self, key: &GrantKey, grant: &Grant) -> io::Result<()> {
        self.grants.set(&key.to_bytes(), &grant.to_bytes())
    }

    fn grants(&self) -> io::Result<Vec<(GrantKey, Grant)>> {
        let entries = entries::<GRANT_KEY_BYTES, GRANT_BYTES>(&self.grants, limits::MAX_GRANTS)?;
        let read = |(key, value)| (GrantKey::from_bytes(&key), Grant::from_bytes(&value));
        Ok(entries.into_iter().map(read).collect())
    }

    fn revoke(&mut self, key: &GrantKey) -> io::Result<()> {
        self.grants.remove(&key.to_bytes()).map(|_was_there| ())
    }

    fn wake(&mut self, tgid: u32) -> io::Result<()> {
        let pid = i32::try_from(tgid).unwrap_or_default();
        let process = match sys::process_descriptor(pid) {
            Ok(process) => process,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            Err(error) => return Err(error),
        };
        // The number may be another process' by now: only one that can be held is woken.
        if self.label(pid)?.is_some() { sys::go_on(process.as_fd()) } else { Ok(()) }
    }
}

/// All entries of a map with room for `room` of them.
fn entries<const KEY: usize, const VALUE: usize>(
    map: &RawMap,
    room: u32,
) -> io::Result<Vec<([u8; KEY], [u8; VALUE])>> {
    let mut found = Vec::new();
    let (mut key, mut next) = (None, [0; KEY]);
    // A key that is removed meanwhile sends the kernel back to the first one: the bound ends a walk that
    // keeps starting anew.
    for _ in 0..2 * room {
        if !map.next_key(key.as_ref().map(<[u8; KEY]>::as_slice), &mut next)? {
            return Ok(found);
        }
        let mut value = [0; VALUE];
        if map.get(&next, &mut value)? {
            found.push((next, value));
        }
        key = Some(next);
    }
    Err(io::Error::other("the map changes faster than it can be read"))
}
