//! The daemon's own messages, on standard error: one line each, with their fields. Events of the
//! kernel are not written here.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Sends messages of this level and above to standard error.
///
/// # Errors
///
/// If something else takes them already.
pub fn messages_to_stderr(verbose: bool) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
    let level = if verbose { Level::DEBUG } else { Level::INFO };
    tracing::subscriber::set_global_default(Lines { level })
}

struct Lines {
    level: Level,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.is_event()
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("execlayerd: {}: ", name(*event.metadata().level())));
        event.record(&mut line);
        line.0.push('\n');
        // Nobody is left to be told that standard error is gone.
        let _ = std::io::stderr().lock().write_all(line.0.as_bytes());
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        _ => "debug",
    }
}

/// Says why the daemon ends: the error with its causes, and what to do about it.
pub fn report(error: &dyn std::error::Error, help: Option<&str>) {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    tracing::error!("{message}");
    for line in help.into_iter().flat_map(str::lines) {
        tracing::info!("help: {line}");
    }
}
