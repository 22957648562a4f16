//! Everything at once: a thread for each sink, one that counts, and the endpoint. One that waits keeps no other waiting.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use execlayer_api::places;

use crate::{
    counts::Counts,
    deliver::{BeginError, Delivery, Turn},
    metrics::{self, Place, Shown, Watch},
    options::Options,
    publish::Publication,
    settings::{self, Format, Settings, SettingsError},
    sink,
};

/// Between two tries to listen where another one does.
const BINDING: Duration = Duration::from_secs(5);
/// Scrapes at once.
const SERVERS: usize = 4;

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// What is to be sent where.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A sink's state.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// There is nothing to do.
    #[error("there is nothing to do: no sink in `{0}`, and no --metrics")]
    Nothing(String),
    /// Another one.
    #[error("another `execlayerd export` uses `{0}`")]
    InUse(String),
    /// Where is written down how far each sink is.
    #[error("cannot use `{0}`: {1}")]
    States(String, io::Error),
    /// A thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Sinks that did not take what there is.
    #[error("not everything was sent: {0}")]
    Unsent(String),
}

impl ExportError {
    /// Whether what the operator wrote is wrong.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Settings(_) | Self::Nothing(_))
    }
}

enum Work {
    Records(Box<Delivery>),
    Heads(Box<Publication>),
}

impl Work {
    fn begin(
        settings: Settings,
        options: &Options,
        counts: &Arc<Counts>,
    ) -> Result<Self, BeginError> {
        let (sink, counts) = (sink::of(&settings), Arc::clone(counts));
        let places = (options.audit.as_path(), options.state_dir.as_path());
        Ok(match settings.format {
            Format::Checkpoint => {
                Self::Heads(Box::new(Publication::begin(settings, places, sink, counts)?))
            }
            _ => Self::Records(Box::new(Delivery::begin(settings, places, sink, counts)?)),
        })
    }

    fn turn(&mut self) -> Turn {
        match self {
            Self::Records(delivery) => delivery.turn(),
            Self::Heads(publication) => publication.turn(),
        }
    }

    fn run(mut self) {
        loop {
            let turn = self.turn();
            thread::sleep(match &self {
                Self::Records(delivery) => delivery.pause(turn),
                Self::Heads(_) => Publication::pause(turn),
            });
        }
    }

    /// Until there is nothing more; whether all was taken.
    fn run_once(mut self) -> bool {
        loop {
            match self.turn() {
                Turn::Moved => {}
                turn => return turn == Turn::Idle,
            }
        }
    }
}

/// Runs, for good unless the options say otherwise.
///
/// # Errors
///
/// An [`ExportError`]. A sink that does not work is none.
pub fn run(options: &Options) -> Result<(), ExportError> {
    let sinks = settings::read(&options.sinks)?;
    if options.check {
        tracing::info!("{} sinks are right", sinks.len());
        return Ok(());
    }
    if sinks.is_empty() && options.metrics.is_none() {
        return Err(ExportError::Nothing(options.sinks.display().to_string()));
    }
    let _lock = lock(options)?;
    let counts = Arc::new(Counts::default());
    let mut works = Vec::new();
    for settings in sinks {
        let name = settings.name.clone();
        works.push((name, Work::begin(settings, options, &counts)?));
    }
    if options.once {
        let unsent = works.into_iter().filter_map(|(name, work)| {
            (!work.run_once()).then(|| {
                let trouble = counts.now().remove(&name).and_then(|of| of.trouble);
                format!("`{name}`: {}", trouble.unwrap_or_default())
            })
        });
        let unsent: Vec<_> = unsent.collect();
        return match unsent.is_empty() {
            true => Ok(()),
            false => Err(ExportError::Unsent(unsent.join("; "))),
        };
    }
    let mut threads = Vec::new();
    for (name, work) in works {
        tracing::info!("sink `{name}` is at work");
        threads.push(spawn(&name, move || work.run())?);
    }
    if let Some(place) = options.metrics.clone() {
        let (watch, log) = (Arc::new(Watch::default()), options.audit.clone());
        let status = options.run_dir.join(places::STATUS_SOCKET);
        let shown = Arc::new(Shown::new(Arc::clone(&watch), counts, status));
        threads.push(spawn("metrics", move || serve(&place, &shown))?);
        threads.push(spawn("watch", move || watch.run(&log))?);
    }
    // None of them ends by itself.
    threads.into_iter().for_each(|thread| drop(thread.join()));
    Ok(())
}

/// One process at a time says how far the sinks are.
fn lock(options: &Options) -> Result<File, ExportError> {
    let path = options.state_dir.join("lock");
    let name = || options.state_dir.display().to_string();
    // Whoever can open it can lock it, too.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(|error| ExportError::States(name(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ExportError::InUse(name())),
        Err(TryLockError::Error(error)) => Err(ExportError::States(name(), error)),
    }
}

/// Serves metrics, as soon as the place is free: whoever has it keeps no record from being sent.
fn serve(place: &Place, shown: &Arc<Shown>) {
    let mut is_said = false;
    let server = loop {
        match metrics::serve(place, Arc::clone(shown)) {
            Ok(server) => break server,
            Err(error) if !is_said => {
                tracing::warn!("cannot serve metrics: {error}; it is tried again");
                is_said = true;
            }
            Err(_same) => {}
        }
        thread::sleep(BINDING);
    };
    if let Some(address) = server.address() {
        tracing::info!("metrics are at http://{address}/metrics");
    }
    // One that says nothing keeps only one of them waiting.
    thread::scope(|scope| {
        for _ in 0..SERVERS {
            scope.spawn(|| {
                loop {
                    server.turn();
                }
            });
        }
    });
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ExportError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(ExportError::Thread)
}
