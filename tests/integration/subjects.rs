//! The subjects of this host. Must not judge or compare.

use anyhow::Result;
use harness::{kernel::KernelImage, reference::Reference, subject::Subject, user::UserImage};

/// The reference first, then every other one that this host can run.
pub(crate) fn all() -> Result<Vec<Box<dyn Subject>>> {
    let mut subjects: Vec<Box<dyn Subject>> =
        vec![Box::new(Reference::default()), Box::new(UserImage::default())];
    if let Some(kernel) = KernelImage::load()? {
        subjects.push(Box::new(kernel));
        subjects.push(Box::new(KernelImage::try_load()?.by_address()));
    }
    Ok(subjects)
}
