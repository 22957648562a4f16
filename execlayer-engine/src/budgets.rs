//! Uses of budgets, counted without a lock. Must not know which rule a budget is of.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// By number: the window (high half) and its uses (low half).
#[derive(Debug)]
pub(crate) struct Budgets(Box<[AtomicU64]>);

impl Budgets {
    pub(crate) fn new(count: u32) -> Self {
        Self((0..count).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn len(&self) -> u32 {
        self.0.len() as u32
    }

    /// Uses budget `number` once, if it has a use left in the window that `second` is in; whether it had one.
    pub(crate) fn spend(&self, number: u32, uses: u32, window: u32, second: u64) -> bool {
        let Some(budget) = self.0.get(number as usize) else { return false };
        let now = at(second, window);
        let next = |state: u64| {
            // Whoever looked at the clock before the others began a window is in theirs.
            let now = now.max(window_of(state));
            left(state, now, uses).then(|| state_of(now, used(state, now) + 1))
        };
        // Nothing but this one number depends on it.
        budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Whether it has a use left.
    pub(crate) fn is_left(&self, number: u32, uses: u32, window: u32, second: u64) -> bool {
        self.0.get(number as usize).is_some_and(|budget| {
            let state = budget.load(Ordering::Relaxed);
            left(state, at(second, window).max(window_of(state)), uses)
        })
    }
}

/// The window that a second is in. The last one never ends, in 136 years of windows of a second.
fn at(second: u64, window: u32) -> u32 {
    u32::try_from(second / u64::from(window.max(1))).unwrap_or(u32::MAX)
}

const fn window_of(state: u64) -> u32 {
    (state >> 32) as u32
}

const fn state_of(window: u32, used: u32) -> u64 {
    (window as u64) << 32 | used as u64
}

const fn used(state: u64, now: u32) -> u32 {
    if window_of(state) == now { state as u32 } else { 0 }
}

const fn left(state: u64, now: u32, uses: u32) -> bool {
    used(state, now) < uses
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Budgets;

    #[test]
    fn each_window_has_its_uses_and_looking_takes_none() {
        let budgets = Budgets::new(2);
        for (second, fresh) in [(10, true), (19, false), (20, true), (1 << 40, true)] {
            let uses = || budgets.spend(1, 2, 10, second);
            assert_eq!(budgets.is_left(1, 2, 10, second), fresh, "{second}");
            assert_eq!(budgets.is_left(1, 2, 10, second), fresh);
            assert_eq!((uses(), uses(), uses()), (fresh, fresh, false), "{second}");
        }
        assert!(budgets.spend(0, 1, 10, 1 << 40), "another budget has its own uses");
        assert!(!budgets.spend(2, 1, 10, 0) && !budgets.is_left(2, 1, 10, 0), "there is no third");
    }

    #[test]
    fn nobody_goes_back_to_a_window_that_is_over() {
        let budgets = Budgets::new(1);
        assert!(budgets.spend(0, 2, 10, 20) && budgets.spend(0, 2, 10, 20));
        assert!(!budgets.is_left(0, 2, 10, 19), "its clock was read before the window began");
        assert!(!budgets.spend(0, 2, 10, 19) && !budgets.spend(0, 2, 10, 20));
    }

    #[test]
    fn threads_together_get_no_more_uses_than_there_are() {
        let budgets = Budgets::new(1);
        let got: usize = std::thread::scope(|scope| {
            let spend = || (0..1_000).filter(|_| budgets.spend(0, 2_500, 60, 7)).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(spend)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(got, 2_500);
    }
}
