//! Writes a newc cpio archive, the format that the kernel unpacks as its first filesystem.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

const FOLDER: u32 = 0o040_755;
const DATA: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const SYMLINK: u32 = 0o120_777;

/// An archive being written. It is whole only after [`Cpio::finish`].
pub(super) struct Cpio<W: Write> {
    out: W,
    inode: u32,
    folders: Vec<String>,
}

impl Cpio<BufWriter<File>> {
    pub(super) fn create(file: &Path) -> Result<Self> {
        let out =
            File::create(file).with_context(|| format!("cannot make `{}`", file.display()))?;
        Ok(Self::new(BufWriter::new(out)))
    }
}

impl<W: Write> Cpio<W> {
    fn new(out: W) -> Self {
        Self { out, inode: 0, folders: Vec::new() }
    }

    pub(super) fn data(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.entry(path, DATA, content)
    }

    pub(super) fn program(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.entry(path, PROGRAM, content)
    }

    pub(super) fn symlink(&mut self, path: &str, to: &str) -> Result<()> {
        self.entry(path, SYMLINK, to.as_bytes())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.record("TRAILER!!!", 0, &[])?;
        Ok(self.out.flush()?)
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let path = path.trim_start_matches('/');
        for (at, _) in path.match_indices('/') {
            let folder = path.split_at(at).0;
            if !self.folders.iter().any(|known| known == folder) {
                self.folders.push(folder.to_owned());
                self.record(folder, FOLDER, &[])?;
            }
        }
        self.record(path, mode, content)
    }

    fn record(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.inode += 1;
        let size =
            u32::try_from(content.len()).with_context(|| format!("`{path}` is too large"))?;
        let name_size = u32::try_from(path.len() + 1)?;
        // inode, mode, uid, gid, links, mtime, size, device x2, special device x2, name, checksum
        let numbers = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        let mut header = String::from("070701");
        numbers.iter().for_each(|number| header.push_str(&format!("{number:08X}")));
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(path.as_bytes())?;
        self.out.write_all(&[0])?;
        self.pad(header.len() + path.len() + 1)?;
        self.out.write_all(content)?;
        self.pad(content.len())
    }

    fn pad(&mut self, written: usize) -> Result<()> {
        let zeros = [0; 3];
        let missing = written.next_multiple_of(4) - written;
        Ok(self.out.write_all(zeros.get(..missing).unwrap_or_default())?)
    }
}

#[cfg(test)]
mod tests {
    use super::Cpio;

    #[test]
    fn records_are_aligned_and_folders_come_before_their_files() {
        let mut bytes = Vec::new();
        let mut cpio = Cpio::new(&mut bytes);
        cpio.data("/a/b", b"xyz").unwrap();
        cpio.symlink("/init", "/a/b").unwrap();
        cpio.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8(bytes).unwrap();
        let heads: Vec<usize> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(heads.len(), 4, "a folder, a file, a symlink and the trailer");
        assert!(heads.iter().all(|at| at % 4 == 0));
        assert!(text.find("a\0").unwrap() < text.find("a/b\0").unwrap());
        assert!(text.contains("xyz\0"));
    }
}
