//! The integration tests, one binary, one module for each file of this folder. What needs a guest is
//! in `tests/vm`.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod declared;
mod engine;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod property;
#[cfg(test)]
mod subjects;
