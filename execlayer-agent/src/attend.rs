//! The loop: whatever happens next has its turn, and nothing keeps the others waiting. What a turn
//! does is the daemon's.

use std::{io, time::Duration};

use execlayer_common::{event::EventHeader, limits};
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use crate::{
    control::{self, Call, Link},
    courier::Courier,
    daemon::Daemon,
    dropped::Watch,
    error::DaemonError,
    kernel::Ring,
    manager,
    why::{self, About, Query},
};

const TICK: Duration = Duration::from_secs(1);
const CLOCK: Duration = Duration::from_secs(10);
/// Records that are taken before something else has its turn.
const BURST: usize = 512;
/// More records than the ring buffer holds.
const RING: usize = limits::RING_BYTES as usize / size_of::<EventHeader>();

/// What becomes of the gate when the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A service keeps its pins: they enforce without it.
    Leave,
    /// Nothing is enforced afterwards.
    TakeDown,
}

/// Where calls come from.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// The operator's tool.
    pub(crate) control: UnixListener,
    /// Whoever wants to know what was denied to it.
    pub(crate) why: UnixListener,
    /// Whoever may know how the daemon is.
    pub(crate) status: UnixListener,
    /// The process that serves the evaluation API, if there is to be one.
    pub(crate) link: Option<UnixListener>,
}

/// Attends to everything until it is time to end.
pub(crate) async fn attend(
    daemon: &mut Daemon,
    ring: &mut Ring,
    listeners: Listeners,
) -> Result<Ending, DaemonError> {
    let hook = |kind| signal(kind).map_err(|source| system("wait for signals", source));
    let (mut terminate, mut interrupt) =
        (hook(SignalKind::terminate())?, hook(SignalKind::interrupt())?);
    let mut hang_up = hook(SignalKind::hangup())?;
    let (sender, mut calls) = mpsc::channel::<Call>(16);
    let clients = tokio::spawn(control::serve(listeners.control, sender));
    let (sender, mut asked) = mpsc::channel::<Call<Link>>(16);
    // Without one the sender is gone, and its branch below never taken.
    let linked = listeners.link.map(|link| tokio::spawn(control::serve(link, sender)));
    let (sender, mut queries) = mpsc::channel::<Query>(16);
    let watching = tokio::spawn(why::serve(listeners.status, About::State, sender.clone()));
    let curious = tokio::spawn(why::serve(listeners.why, About::Denials, sender));
    let (mut tick, mut clock) = (interval(TICK), interval(CLOCK));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);

    manager::check_patience(TICK);
    let mut dropped = watch(daemon);
    daemon.take_dropped();
    let mut courier = Courier::new();
    let mut is_behind = false;
    let ending = loop {
        let mut may_be_done = false;
        daemon.take_errands().into_iter().for_each(|task| courier.send(task));
        tokio::select! {
            ready = ring.ready(), if !is_behind => {
                ready.map_err(|source| system("wait for records", source))?;
                is_behind = observe(daemon, ring, BURST);
            }
            // A flood of records does not keep calls and signals waiting.
            () = std::future::ready(()), if is_behind => {
                is_behind = observe(daemon, ring, BURST);
                tokio::task::yield_now().await;
            }
            Some(call) = calls.recv() => {
                // What happened before the call is counted before it is answered.
                observe(daemon, ring, RING);
                daemon.answer(call);
                may_be_done = true;
            }
            Some(call) = asked.recv() => {
                observe(daemon, ring, RING);
                daemon.answer_link(call);
            }
            Some(query) = queries.recv() => {
                observe(daemon, ring, RING);
                daemon.answer_query(query);
            }
            reply = courier.next() => daemon.errand_done(reply.id, reply.answer, &reply.note),
            _ = tick.tick() => {
                // A question whose record waits here would be taken for one that has none.
                observe(daemon, ring, RING);
                daemon.tick();
                manager::alive();
                may_be_done = true;
            }
            _ = clock.tick() => daemon.set_clock(),
            _ = hang_up.recv() => {
                if !dropped.as_ref().is_some_and(Watch::is_on) {
                    dropped = watch(daemon);
                }
                daemon.take_dropped();
            }
            Some(()) = changed(&mut dropped) => daemon.take_dropped(),
            _ = terminate.recv() => break Ending::Leave,
            _ = interrupt.recv() => break Ending::Leave,
        }
        if may_be_done && daemon.is_done() {
            // The answer to a request to stop is still on its way out.
            tokio::time::sleep(Duration::from_millis(50)).await;
            break Ending::TakeDown;
        }
    };
    clients.abort();
    curious.abort();
    watching.abort();
    linked.iter().for_each(tokio::task::JoinHandle::abort);
    observe(daemon, ring, RING);
    Ok(ending)
}

/// Watches a service's drop-in directory.
fn watch(daemon: &Daemon) -> Option<Watch> {
    let folder = daemon.bundles_dir()?;
    let watch = Watch::on(&folder).map_err(|error| {
        tracing::debug!("`{}` is not watched: {error}; SIGHUP looks again", folder.display());
    });
    watch.ok()
}

async fn changed(watch: &mut Option<Watch>) -> Option<()> {
    match watch {
        Some(watch) => watch.changed().await,
        None => None,
    }
}

/// Takes records; whether there may be more than `at_most`.
fn observe(daemon: &mut Daemon, ring: &mut Ring, at_most: usize) -> bool {
    let mut taken = 0;
    while taken < at_most && ring.next(&mut |record| daemon.observe(record)) {
        taken += 1;
    }
    daemon.settle();
    taken == at_most
}

fn system(what: &'static str, source: io::Error) -> DaemonError {
    DaemonError::System { what, source }
}
