//! The child as the daemon sees it: a process and a socket with lines. Must not know what the lines
//! are about, beyond their form.

use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::net, unix::process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};

use tokio::{io::Interest, net::UnixStream};

use super::{
    command::PATH,
    line::{self, Said},
};

/// A child that lives, as far as is known.
#[derive(Debug)]
pub(super) struct Running {
    process: Child,
    stream: UnixStream,
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
}

impl Running {
    pub(super) fn start(program: &Path, arguments: &[OsString]) -> io::Result<Self> {
        let (ours, theirs) = net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let stream = UnixStream::from_std(ours)?;
        let process = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .current_dir("/")
            .process_group(0)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            // The daemon's may be a terminal of root's.
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { process, stream, out: Vec::new(), written: 0, input: Vec::new() })
    }

    pub(super) fn is_writing(&self) -> bool {
        !self.out.is_empty()
    }

    /// Has bytes written as soon as the child takes them.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Waits until something could be read or written, and does it. An error is the child's end.
    pub(super) async fn exchange(&mut self) -> io::Result<Vec<Said>> {
        let interest = if self.is_writing() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let ready = self.stream.ready(interest).await?;
        // Read first: what it had said before it ended counts.
        let mut said = Vec::new();
        if ready.is_readable() {
            let alive = self.read();
            said = line::take(&mut self.input)?;
            if said.is_empty() {
                alive?;
            }
        }
        if said.is_empty() && ready.is_writable() {
            self.flush()?;
        }
        Ok(said)
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4_096];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.input.extend_from_slice(buffer.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let rest = self.out.get(self.written..).unwrap_or_default();
        match self.stream.try_write(rest) {
            Ok(count) => self.written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if self.written >= self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is killed here or has ended: the wait is for the kernel only.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
