//! Ways to the gate itself: its socket, its pins, its state.

use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::Path,
};

use execlayer_api::places;

use super::super::{Act, Plan, Side, before};

pub(super) const ACTS: &[Act] = &[
    Act::pair("the daemon's control socket", "connect", |plan, side| {
        Ok(UnixStream::connect(socket(plan, side)).map(drop)?)
    }),
    Act::pair("its control socket by its folder", "connect", |plan, side| {
        before("chdir", std::env::set_current_dir(&plan.run_dir))?;
        let name = socket(plan, side);
        Ok(UnixStream::connect(name.file_name().unwrap_or_default()).map(drop)?)
    }),
    Act::lone("a folder among the pins", "mkdir", |plan, _| {
        let name = plan.yard.file_name().unwrap_or_default();
        let path = Path::new("/sys/fs/bpf").join(name);
        fs::create_dir(&path)?;
        // Nothing stopped it.
        before("rmdir", fs::remove_dir(path))
    }),
    Act::lone("the signing key", "open", |plan, _| {
        Ok(File::open(plan.state_dir.join(places::LOCAL_KEY)).map(drop)?)
    }),
    Act::lone("a file in the daemon's state", "open", |plan, _| {
        let path = plan.state_dir.join(plan.yard.file_name().unwrap_or_default());
        File::create_new(&path)?;
        before("unlink", fs::remove_file(path))
    }),
];

/// The one that answers questions, and the one that says why, which everybody may use.
fn socket(plan: &Plan, side: Side) -> std::path::PathBuf {
    plan.run_dir.join(match side {
        Side::Open => places::WHY_SOCKET,
        Side::Shut => places::SOCKET,
    })
}
