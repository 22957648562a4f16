//! A terminal of the tests' own: what a person types, and what they see.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nix::sys::termios::{LocalFlags, tcgetattr};

/// A terminal with a program at it.
pub(crate) struct Pty {
    keys: File,
    screen: Arc<Mutex<String>>,
    seen: usize,
    pub(crate) child: Child,
}

impl Pty {
    /// `typed` is typed before the program starts.
    pub(crate) fn start(mut command: Command, typed: &str) -> Self {
        let pty = nix::pty::openpty(None, None).unwrap();
        let mut keys = File::from(pty.master);
        keys.write_all(typed.as_bytes()).unwrap();
        let end = || -> OwnedFd { pty.slave.try_clone().unwrap() };
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let (shown, mut output) = (Arc::clone(&screen), keys.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It fails when the last one who could write is gone.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { keys, screen, seen: 0, child }
    }

    /// Waits until the screen says this, and gives what it said up to there since the last time.
    pub(crate) fn until(&mut self, part: &str) -> String {
        let begin = Instant::now();
        loop {
            let screen = self.screen.lock().unwrap().clone();
            if let Some(at) = screen[self.seen..].find(part) {
                let from = self.seen;
                self.seen += at + part.len();
                return screen[from..self.seen].to_owned();
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "`{part}` is not in {screen:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the terminal shows what is typed.
    pub(crate) fn shows_typed(&self) -> bool {
        tcgetattr(&self.keys).unwrap().local_flags.contains(LocalFlags::ECHO)
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _ = self.child.kill();
    }
}
