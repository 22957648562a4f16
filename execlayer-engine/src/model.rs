//! Under `--cfg loom`: stands for `arc_swap`, whose own steps are not modelled, so that every order of reads and swaps
//! can be tried. Must not be built otherwise.

use std::sync::Arc;

use loom::sync::RwLock;

#[derive(Debug)]
pub(crate) struct ArcSwap<T>(RwLock<Arc<T>>);

impl<T> ArcSwap<T> {
    pub(crate) fn from_pointee(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    pub(crate) fn load(&self) -> Arc<T> {
        self.load_full()
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        let held = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(&held)
    }

    pub(crate) fn swap(&self, value: Arc<T>) -> Arc<T> {
        let mut held = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut held, value)
    }
}
