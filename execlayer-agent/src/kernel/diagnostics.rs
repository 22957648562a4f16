//! What the kernel programs say about themselves, for whoever works on them: off unless both sides
//! are built with the feature `kernel-log`. Never a way for events: those are records.

use aya::Ebpf;

/// The map that such programs have.
pub(super) const MAP: &str = "AYA_LOGS";

/// The reading end, or nothing.
pub(super) struct Diagnostics {
    #[cfg(feature = "kernel-log")]
    logger: Option<aya_log::EbpfLogger<ToMessages>>,
}

impl Diagnostics {
    /// Of programs that were just loaded.
    #[cfg(feature = "kernel-log")]
    pub(super) fn of(ebpf: &mut Ebpf) -> Self {
        let logger = aya_log::EbpfLogger::init_with_logger(ebpf, ToMessages);
        if let Err(error) = &logger {
            tracing::warn!("the kernel programs have no diagnostics: {error}");
        }
        Self { logger: logger.ok() }
    }

    /// Of programs that were just loaded.
    #[cfg(not(feature = "kernel-log"))]
    pub(super) fn of(_ebpf: &mut Ebpf) -> Self {
        Self {}
    }

    /// Prints what has come.
    pub(super) fn print(&mut self) {
        #[cfg(feature = "kernel-log")]
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
    }
}

/// Hands them to the daemon's own messages.
#[cfg(feature = "kernel-log")]
struct ToMessages;

#[cfg(feature = "kernel-log")]
impl log::Log for ToMessages {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        tracing::info!("kernel: {}: {}", record.target(), record.args());
    }

    fn flush(&self) {}
}
