//! The yard: what the acts are about. A folder of its own with files, programs and sockets, and loopback
//! ports, each once on the open side and once on the shut one. Must not leave anything behind.

mod listeners;

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use nix::mount::{MntFlags, umount2};

use super::{Side, plan::Ports, plan::abstract_name};
use crate::{error::CliError, files};
use listeners::{Inet, Unix, give};

const SIDES: [Side; 2] = [Side::Open, Side::Shut];
/// Folders of the same files. What is in `secret` may be moved and not read, in `log` added to and not
/// changed, in `inert` read and not executed.
const FOLDERS: [&str; 5] = ["open", "shut", "secret", "log", "inert"];
/// One for each act that changes it.
const FILES: [&str; 15] = [
    "read",
    "write",
    "append",
    "length",
    "delete",
    "mode",
    "owner",
    "times",
    "move",
    "out",
    "link",
    "replacing-open",
    "replacing-shut",
    "replaced",
    "log",
];
/// Folders in each.
const INNER: [&str; 2] = ["empty", "folder"];
/// Where a dynamically linked program, and a library of its kind, may be.
const DYNAMIC: [&str; 2] = ["/usr/bin/true", "/bin/true"];
const LIBRARIES: [&str; 5] = [
    "/lib/x86_64-linux-gnu/libm.so.6",
    "/lib/aarch64-linux-gnu/libm.so.6",
    "/lib64/libm.so.6",
    "/usr/lib/libm.so.6",
    "/lib/libm.so.6",
];
const PROGRAM_MODE: u32 = 0o700;

/// Gone when dropped.
#[derive(Debug)]
pub(crate) struct Yard {
    folder: PathBuf,
    ports: Ports,
    _inet: Vec<Inet>,
    unix: Vec<Unix>,
}

impl Yard {
    /// Makes it below a folder.
    pub(crate) fn make(above: &Path) -> Result<Self, CliError> {
        let above = above.canonicalize().map_err(|error| files::cannot("find", above, &error))?;
        let folder = above.join(format!("execlayer-selftest-{}", random()?));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| files::cannot("make", &folder, &error))?;
        let ports = Ports { open: 0, shut: 0, free_open: 0, free_shut: 0 };
        let mut yard = Self { folder, ports, _inet: Vec::new(), unix: Vec::new() };
        // What was made goes with it, whatever fails.
        yard.listen().map_err(unprepared)?;
        Ok(yard)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) const fn ports(&self) -> Ports {
        self.ports
    }

    fn listen(&mut self) -> io::Result<()> {
        let [open, shut, free_open, free_shut] = [(); 4].map(|()| Inet::listen());
        let (open, shut) = (open?, shut?);
        let ports = [free_open?, free_shut?].map(|free| free.port);
        self.ports =
            Ports { open: open.port, shut: shut.port, free_open: ports[0], free_shut: ports[1] };
        self._inet = vec![open, shut];
        for side in SIDES {
            let file = self.folder.join(side.name()).join("read");
            give(UnixListener::bind(self.folder.join(format!("giver-{}", side.name())))?, file);
        }
        Ok(())
    }

    /// Makes all files anew, as they are before each run.
    pub(crate) fn furnish(&mut self) -> Result<(), CliError> {
        self.files().map_err(unprepared)
    }

    fn files(&mut self) -> io::Result<()> {
        self.unix.clear();
        for name in FOLDERS {
            let folder = self.folder.join(name);
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir(&folder)?;
            for file in FILES {
                fs::write(folder.join(file), "a file of the self-test\n")?;
            }
            for inner in INNER {
                fs::create_dir(folder.join(inner))?;
            }
            fs::write(folder.join("folder/inner"), "a file of the self-test\n")?;
        }
        let place = self.folder.join("place");
        if !place.exists() {
            fs::create_dir(place)?;
        }
        for side in SIDES {
            self.side(side)?;
        }
        Ok(())
    }

    /// What is a file, and more.
    fn side(&mut self, side: Side) -> io::Result<()> {
        let folder = self.folder.join(side.name());
        let programs = match side {
            Side::Open => folder.clone(),
            Side::Shut => self.folder.join("inert"),
        };
        let program = programs.join("program");
        copy(Path::new("/proc/self/exe"), &program)?;
        // Without them their acts cannot be tried, and say so.
        for (name, places) in [("true", &DYNAMIC[..]), ("library.so", &LIBRARIES)] {
            if let Some(place) = places.iter().find(|place| Path::new(place).is_file()) {
                copy(Path::new(place), &programs.join(name))?;
            }
        }
        let script = self.folder.join(format!("open/script-{}", side.name()));
        fs::write(&script, format!("#!{} --version\n", program.display()))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(PROGRAM_MODE))?;
        for (link, to) in [("link", &folder), ("link-to-program", &program)] {
            let link = self.folder.join(format!("{link}-{}", side.name()));
            // Left by the run before.
            let _ = fs::remove_file(&link);
            symlink(to, link)?;
        }
        let name = abstract_name(&self.folder, side.name());
        self.unix.push(Unix::listen(&folder, &name)?);
        Ok(())
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        // An act that was killed may have left a mount, and what is mounted is not the yard's.
        while umount2(&self.folder.join("place"), MntFlags::MNT_DETACH).is_ok() {}
        // Nobody is left to tell; what remains is in a folder that is root's alone.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(PROGRAM_MODE))
}

fn random() -> Result<String, CliError> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 8];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| files::cannot("read", source, &error))?;
    Ok(bytes.map(|byte| format!("{byte:02x}")).concat())
}

fn unprepared(error: io::Error) -> CliError {
    CliError::failure(format!("the self-test cannot be prepared: {error}"))
        .help("`--folder` names another folder for its files")
}
