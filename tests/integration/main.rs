//! The integration tests, one binary, one module for each file of this folder. What needs a guest is
//! in `tests/vm`.

mod bad_input;
mod corpus;
mod declared;
mod mutants;
mod property;
mod subjects;
