//! Where daemon and tool meet on a machine. Names only: must not touch the file system.

/// Directory of the control socket, 0755 and owned by root.
pub const RUN_DIR: &str = "/run/execlayer";
/// The control socket in [`RUN_DIR`], 0600 and owned by root.
pub const SOCKET: &str = "control.sock";
/// Says what was denied to whoever connects, in [`RUN_DIR`], 0666: one response line, no request. It is the
/// one socket of the daemon that governed processes can use.
pub const WHY_SOCKET: &str = "why.sock";
/// Says the daemon's state to whoever connects, in [`RUN_DIR`]: one response line, no request. Root's, and of the group
/// that may read the audit trail.
pub const STATUS_SOCKET: &str = "status.sock";
/// Takes HTTP requests, in [`RUN_DIR`]: who may ask for what is decided by who connects.
pub const API_SOCKET: &str = "api.sock";
/// What an ephemeral daemon writes to its standard error, in [`RUN_DIR`].
pub const EPHEMERAL_LOG: &str = "ephemeral.log";
/// Directory of what survives a restart, 0700 and owned by root.
pub const STATE_DIR: &str = "/var/lib/execlayer";
/// Private half of the local key in [`STATE_DIR`], 0600 and owned by root. Only the tool reads it.
pub const LOCAL_KEY: &str = "local.key";
/// Public half of the local key in [`STATE_DIR`]. The daemon reads it anew for every bundle.
pub const LOCAL_PUBLIC: &str = "local.pub";
/// Directory in [`STATE_DIR`] of the bundles that `execlayer run` hands to the daemon.
pub const LOCAL_BUNDLES: &str = "local-bundles";
/// Directory in [`STATE_DIR`] of the bundles that a service has in force, 0700 and owned by root.
pub const KEPT_BUNDLES: &str = "profiles";
/// Directory of the public keys, one `*.pub` file each, whose bundles the daemon accepts.
pub const KEYS_DIR: &str = "/etc/execlayer/keys.d";
/// Directory from which a service takes signed files by itself.
pub const BUNDLES_DIR: &str = "/etc/execlayer/bundles.d";
/// The root with which a daemon begins: who may sign what. What replaces it is kept in [`STATE_DIR`].
pub const ROOT: &str = "/etc/execlayer/root.json";
/// The root in force, in [`STATE_DIR`].
pub const ROOT_IN_FORCE: &str = "root.json";
/// Folder of the audit trail.
pub const AUDIT: &str = "/var/log/execlayer/audit";
/// Folder of the sinks that `execlayerd export` sends to, a `*.json` file each.
pub const SINKS: &str = "/etc/execlayer/export.d";
/// Where `execlayerd export` writes down how far each sink is.
pub const EXPORT_STATE: &str = "/var/lib/execlayer-export";
/// The device's private key in [`STATE_DIR`], which signs the audit trail's heads, 0600 and owned by root.
pub const AUDIT_KEY: &str = "audit.key";
/// The head of the audit trail that was signed last, in [`STATE_DIR`].
pub const AUDIT_HEAD: &str = "audit.checkpoint";
/// Which of the kernel's events are accounted for in the audit trail, in [`STATE_DIR`].
pub const AUDIT_COUNTS: &str = "audit.counts";
