//! How much of the daemon one caller may have through the API, so that nobody takes it from others. Must not know what
//! is asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use execlayer_http::problem::{Code, Problem};

/// Requests of one caller that wait at once: for the end of a question, or for records.
const WAITING: usize = 32;
/// Calls of one agent that are recorded or asked about in a second.
const RECORDED: u32 = 500;

/// What is taken.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    waiting: Arc<Mutex<HashMap<String, usize>>>,
    recorded: Mutex<HashMap<String, (u64, u32)>>,
}

/// Room for one request that waits.
#[derive(Debug)]
pub(super) struct Place {
    waiting: Arc<Mutex<HashMap<String, usize>>>,
    caller: String,
}

impl Bounds {
    /// Room for one request of `caller` that waits.
    pub(super) fn wait(&self, caller: &str) -> Result<Place, Problem> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(caller.to_owned()).or_default();
        if *count >= WAITING {
            let detail = format!("`{caller}` has {WAITING} requests that wait");
            return Err(Problem::new(Code::TooMany, detail));
        }
        *count += 1;
        Ok(Place { waiting: Arc::clone(&self.waiting), caller: caller.to_owned() })
    }

    /// Whether one more call of that agent may be recorded in this second.
    pub(super) fn may_record(&self, agent: &str, second: u64) -> bool {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, count) = recorded.entry(agent.to_owned()).or_default();
        if *at != second {
            (*at, *count) = (second, 0);
        }
        *count = count.saturating_add(1);
        *count <= RECORDED
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.caller) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                waiting.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, RECORDED, WAITING};

    #[test]
    fn one_callers_waits_leave_room_for_others_and_end() {
        let bounds = Bounds::default();
        let all: Vec<_> = (0..WAITING).map(|_| bounds.wait("a").unwrap()).collect();
        assert!(bounds.wait("a").is_err());
        assert!(bounds.wait("b").is_ok());
        drop(all);
        assert!(bounds.wait("a").is_ok());
        assert!(
            bounds.waiting.lock().unwrap().is_empty(),
            "nobody is remembered who waits no more"
        );
    }

    #[test]
    fn each_second_has_room_for_so_many_of_each_agent() {
        let bounds = Bounds::default();
        let may =
            |agent, second| (0..=RECORDED).filter(|_| bounds.may_record(agent, second)).count();
        assert_eq!(may("a", 1), RECORDED as usize);
        assert_eq!((may("b", 1), may("a", 2)), (RECORDED as usize, RECORDED as usize));
    }
}
