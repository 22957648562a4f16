//! The built tool from outside: exit codes, what goes to standard output and what to standard error,
//! and what it says to a daemon. The daemon is one of the tests' own, so no kernel is involved.

#[cfg(test)]
mod ask;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod bundles;
mod difference;
#[cfg(test)]
mod general;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod held;
#[cfg(test)]
mod passphrase;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod propose;
#[cfg(test)]
mod pty;
#[cfg(test)]
mod run;
#[cfg(test)]
mod selftest;
#[cfg(test)]
mod signed;
#[cfg(test)]
mod start;
#[cfg(test)]
mod status;
#[cfg(test)]
mod unload;
mod why;
