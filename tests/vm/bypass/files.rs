//! The policy about files and what it is about, for the sets that change names, content and attributes.

use super::{FREE, Set, TOP, folder, judge};
use crate::gate::{Gate, policy};
use anyhow::Result;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Folders in which one kind of access is denied; `secret` is the one that may not be read, `house` has
/// such a folder below it.
const DENIED: &[&str] = &[
    "write", "create", "delete", "rename", "link", "symlink", "mkdir", "rmdir", "mknod", "chmod",
    "chown", "utime", "xattr",
];

/// May be read and appended to, and be linked and moved.
pub(super) const LOG: &str = "/srv/bypass/log";
/// The device that may not be controlled.
pub(super) const SHUT_DEVICE: &str = "/dev/urandom";
pub(super) const DEVICE: &str = "/dev/random";

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec", "mknod", "ioctl"]
path = ["/", "/**"]
except = ["/srv/bypass/log"]

[[rule]]
id = "log"
allow = ["read", "append", "link", "rename", "delete"]
path = "/srv/bypass/log"

[[rule]]
id = "secret"
deny = ["read"]
path = ["/srv/bypass/secret/**", "/srv/bypass/house-*/secret/**"]

[[rule]]
id = "device"
deny = ["ioctl"]
path = "/dev/urandom"

[[rule]]
id = "sockets"
allow = ["connect"]
to = "unix:/srv/bypass/*.sock"
"#;

/// Judges sets under the policy, as root and as a user.
pub(super) fn judged(sets: &[Set]) -> Result<()> {
    prepare()?;
    let mut rules = RULES.to_owned();
    for access in DENIED {
        rules.push_str(&format!(
            "\n[[rule]]\nid = \"no-{access}\"\ndeny = [\"{access}\"]\npath = \"{TOP}/{access}/**\"\n"
        ));
    }
    let gate = Gate::start()?;
    let policy = policy("bypass-files", "", &rules)?;
    sets.iter().try_for_each(|set| judge(&gate, *set, &policy))
}

fn prepare() -> Result<()> {
    folder(TOP)?;
    folder(FREE)?;
    for name in DENIED.iter().chain(&["secret"]) {
        folder(&format!("{TOP}/{name}"))?;
    }
    fs::write(LOG, "a line\n")?;
    Ok(fs::set_permissions(LOG, fs::Permissions::from_mode(0o666))?)
}
