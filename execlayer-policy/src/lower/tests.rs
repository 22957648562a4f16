//! Claims about whole images: what they decide, that they are well formed, and what is refused.

mod agreement;
mod below;
mod calls;
pub(crate) mod random;
mod refusals;
mod shape;
