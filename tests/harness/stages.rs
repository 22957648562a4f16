//! No stage of the flow can be skipped: the type that a stage returns is made by that stage alone. The
//! examples are tests; each that must not compile stands beside one that must, which differs in
//! nothing but the forbidden step.
//!
//! # A checked policy
//!
//! It comes from `check`:
//!
//! ```
//! use execlayer_policy::{CheckedPolicy, check::{Options, check}};
//! let mut files = std::collections::BTreeMap::from([("p".to_owned(), String::new())]);
//! let policy: Option<CheckedPolicy> = check("p", &mut files, &Options::default()).policy;
//! assert!(policy.is_none());
//! ```
//!
//! Its fields cannot be given by hand:
//!
//! ```compile_fail
//! use execlayer_policy::{CheckedPolicy, check::{Options, check}};
//! let mut files = std::collections::BTreeMap::from([("p".to_owned(), String::new())]);
//! let policy: Option<CheckedPolicy> = check("p", &mut files, &Options::default()).policy;
//! let policy = policy.map(|policy| CheckedPolicy { rules: Vec::new(), ..policy });
//! assert!(policy.is_none());
//! ```
//!
//! Nor can they be changed afterwards:
//!
//! ```compile_fail
//! use execlayer_policy::CheckedPolicy;
//! fn weaken(policy: &mut CheckedPolicy) { policy.rules.clear(); }
//! ```
//!
//! ```
//! use execlayer_policy::CheckedPolicy;
//! fn read(policy: &mut CheckedPolicy) -> usize { policy.rules().len() }
//! ```
//!
//! # An image
//!
//! It comes from `lower`, which takes nothing but a checked policy:
//!
//! ```
//! use execlayer_policy::{CheckedPolicy, lower::{Image, lower}};
//! fn image(policy: &CheckedPolicy) -> Option<Image> { Some(lower(policy).ok()?.image) }
//! ```
//!
//! ```compile_fail
//! use execlayer_policy::lower::Image;
//! fn image(words: Vec<u32>) -> Option<Image> { Some(Image { words }) }
//! ```
//!
//! ```compile_fail
//! use execlayer_policy::{lower::{Image, lower}};
//! fn image(policy: &str) -> Option<Image> { Some(lower(policy).ok()?.image) }
//! ```
//!
//! # A verified bundle
//!
//! It comes from `verify`, which wants trusted keys:
//!
//! ```
//! use execlayer_bundle::{TrustedKeys, VerifiedBundle, verify};
//! let bundle: Option<VerifiedBundle> = verify(b"{}", &TrustedKeys::default()).ok();
//! assert!(bundle.is_none());
//! ```
//!
//! ```compile_fail
//! use execlayer_bundle::{TrustedKeys, VerifiedBundle, verify};
//! let bundle: Option<VerifiedBundle> = verify(b"{}").ok();
//! assert!(bundle.is_none());
//! ```
//!
//! What is unsigned or unverified is not one, and does not become one:
//!
//! ```compile_fail
//! use execlayer_bundle::{UnsignedBundle, VerifiedBundle};
//! fn forge(bundle: UnsignedBundle) -> VerifiedBundle { bundle.into() }
//! ```
//!
//! ```compile_fail
//! use execlayer_bundle::{UnverifiedClaims, VerifiedBundle};
//! fn forge(claims: UnverifiedClaims) -> VerifiedBundle { claims.into() }
//! ```
//!
//! # A verdict
//!
//! It cannot be left lying:
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use execlayer_common::verdict::Verdict;
//! fn judge() -> Verdict { Verdict::Deny(execlayer_common::reason::Reason::Unlisted, None) }
//! judge();
//! ```
//!
//! ```
//! #![deny(unused_must_use)]
//! use execlayer_common::verdict::Verdict;
//! fn judge() -> Verdict { Verdict::Deny(execlayer_common::reason::Reason::Unlisted, None) }
//! let _ = judge();
//! ```
//!
//! And there is none by default:
//!
//! ```compile_fail
//! use execlayer_common::verdict::Verdict;
//! let verdict = Verdict::default();
//! ```
