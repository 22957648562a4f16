//! Bounds of a bundle. Those of images and rules are `execlayer_common::limits`.

use execlayer_common::limits;

/// Bytes of a bundle's file. Everything that is allocated while one is read is bounded by it.
pub const MAX_BUNDLE_BYTES: usize = 32 << 20;
/// Bytes of a key's file.
pub const MAX_KEY_FILE_BYTES: usize = 1 << 10;
/// Signatures of one bundle.
pub const MAX_SIGNATURES: usize = 16;
/// Trusted keys of one daemon.
pub const MAX_TRUSTED_KEYS: usize = 256;
/// Bytes of a policy's or an agent's name.
pub const MAX_NAME_BYTES: usize = 256;
/// Bytes of a file name, a selector, a rule's id or a rule's reason.
pub const MAX_TEXT_BYTES: usize = 4_096;
/// Selectors of one kind.
pub const MAX_SELECTORS: usize = 1_024;
/// Files that a policy comes from: itself and what it extends.
pub const MAX_FILES: usize = limits::MAX_EXTENDS + 1;
/// Machines that a bundle is for.
pub const MAX_MACHINES: usize = 1_024;
/// Rules of a root about who may sign what.
pub const MAX_ROLES: usize = 1_024;
/// Bytes of a root's or an order's file.
pub const MAX_ROOT_BYTES: usize = 1 << 20;
