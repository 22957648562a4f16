//! Claims about whole images: what they decide, that they are well formed, and what is refused.

mod agreement;
mod random;
mod refusals;
mod shape;
