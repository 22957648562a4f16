//! The corpus, the subjects that must agree about it, and what makes more of it. Used by the
//! integration tests on a host and by the tests in a guest. Must not hold expectations.

pub mod acts;
pub mod calls;
pub mod compare;
pub mod corpus;
pub mod examine;
pub mod generate;
pub mod kernel;
pub mod measured;
pub mod mutate;
pub mod prepare;
pub mod random;
pub mod realistic;
pub mod reference;
pub mod stages;
pub mod subject;
pub mod user;
pub mod walks;
