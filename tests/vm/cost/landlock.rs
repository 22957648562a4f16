//! Landlock with the rules of `SAME_RULES`, on the running process.

use anyhow::{Result, ensure};
use landlock::{
    ABI, Access, AccessFs, AccessNet, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};

/// What 6.12 knows is more than this; the newest that all guests have with network rules.
const VERSION: ABI = ABI::V4;

/// Confines this process.
pub(super) fn enter() -> Result<()> {
    let read = AccessFs::from_read(VERSION) & !AccessFs::Execute;
    let run = AccessFs::from_read(VERSION);
    let all = AccessFs::from_all(VERSION) & !AccessFs::Execute;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .handle_access(AccessNet::ConnectTcp)?
        .create()?
        .add_rule(NetPort::new(super::acts::PORT, AccessNet::ConnectTcp))?;
    for (path, access) in
        [("/usr", run), ("/opt", run), ("/etc", read), ("/proc", read), ("/workspace", all)]
    {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(path)?, access))?;
    }
    let status = rules.restrict_self()?;
    ensure!(status.ruleset == RulesetStatus::FullyEnforced, "Landlock: {:?}", status.ruleset);
    Ok(())
}
