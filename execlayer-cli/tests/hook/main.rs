//! `execlayer hook` from outside: recorded calls of each agent, and a daemon that says anything. What
//! decides is the exit code and what stands on standard output. The recorded calls are written after the
//! agents' public documentation (docs/hooks.md names it).

#[cfg(test)]
mod answers;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod holds;
#[cfg(test)]
mod random;
