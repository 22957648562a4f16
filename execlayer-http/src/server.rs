//! Listeners and connections: who has connected, and how much of everything one may have. Must not know what a route
//! does.
//!
//! Nobody holds others up: each connection is a task of its own, whose head and body have their time; callers of one user
//! have so many connections together, and operators have room that no agent can take.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, header},
    response::IntoResponse as _,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::{
    backend::Backend,
    caller::{Caller, Need, need},
    problem::{Code, Problem},
    routes::{Shared, router},
    token::TokenFile,
};

/// Bytes of a request's head.
const MAX_HEAD: usize = 32 << 10;
/// Header fields of a request.
const MAX_FIELDS: usize = 64;

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of one user, or over one TCP listener.
    pub per_user: usize,
    /// Connections of all users but root.
    pub others: usize,
    /// Connections of root.
    pub root: usize,
    /// For a request's head, from when the server waits for it: an idle connection ends then, too.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (head, body) = (Duration::from_secs(60), Duration::from_secs(10));
        Self { per_user: 12_000, others: 16_000, root: 512, head, body }
    }
}

/// What serves, over whatever listener.
#[derive(Debug)]
pub struct Server<B> {
    shared: Arc<Shared<B>>,
    app: Router,
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
    tokens: Option<Arc<TokenFile>>,
}

#[derive(Debug, Default)]
struct Taken {
    by_user: HashMap<u32, usize>,
    others: usize,
}

impl<B> Clone for Server<B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            app: self.app.clone(),
            limits: self.limits,
            taken: Arc::clone(&self.taken),
            tokens: self.tokens.clone(),
        }
    }
}

impl<B: Backend> Server<B> {
    /// A server before `backend`. `tokens`: the file of those who come over TCP.
    #[must_use]
    pub fn new(backend: B, tokens: Option<PathBuf>, limits: Limits) -> Self {
        let shared = Arc::new(Shared { backend, patience: limits.body });
        let app = router(Arc::clone(&shared));
        let tokens = tokens.map(|path| Arc::new(TokenFile::at(path)));
        Self { shared, app, limits, taken: Arc::default(), tokens }
    }

    /// What it serves for.
    #[must_use]
    pub fn backend(&self) -> &B {
        &self.shared.backend
    }

    /// Serves whoever connects here: the kernel says who that is.
    pub async fn serve_unix(&self, listener: UnixListener) {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _address)) => stream,
                Err(error) => {
                    pause(&error).await;
                    continue;
                }
            };
            let Ok(peer) = stream.peer_cred() else { continue };
            // Whoever has too many is turned away without a word: it could be made to wait for that, too.
            let Some(place) = self.take(peer.uid()) else { continue };
            let server = self.clone();
            tokio::spawn(async move {
                let door = match server.backend().identify(&stream).await {
                    Ok(caller) => Door::Known(caller),
                    Err(problem) => Door::Failed(problem),
                };
                server.connection(stream, door).await;
                drop(place);
            });
        }
    }

    /// Serves whoever connects here and has a token.
    pub async fn serve_tcp(&self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        loop {
            let (stream, address): (_, SocketAddr) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause(&error).await;
                    continue;
                }
            };
            let Some(place) = self.take(u32::MAX) else { continue };
            // Small answers are not to wait for more.
            let _best_effort = stream.set_nodelay(true);
            let (server, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => server.connection(stream, Door::Token).await,
                    Some(tls) => match timeout(server.limits.head, tls.accept(stream)).await {
                        Ok(Ok(stream)) => server.connection(stream, Door::Token).await,
                        Ok(Err(error)) => tracing::debug!("no TLS with {address}: {error}"),
                        Err(_late) => tracing::debug!("no TLS with {address} in time"),
                    },
                }
                drop(place);
            });
        }
    }

    async fn connection(&self, io: impl AsyncRead + AsyncWrite + Unpin, door: Door) {
        let service = service_fn(async |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            match self.caller(&door, &request) {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    self.app.clone().oneshot(request).await
                }
                Err(problem) => Ok(problem.into_response()),
            }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_headers(MAX_FIELDS)
            .max_buf_size(MAX_HEAD)
            // A client that says all it has to say and then only listens gets its answer.
            .half_close(true)
            .serve_connection(TokioIo::new(io), service);
        if let Err(error) = served.await {
            tracing::debug!("a connection ended: {error}");
        }
    }

    fn caller(&self, door: &Door, request: &Request<Body>) -> Result<Caller, Problem> {
        match door {
            Door::Known(caller) => return Ok(caller.clone()),
            Door::Failed(problem) => return without_caller(request, problem.clone()),
            Door::Token => {}
        }
        let header = request.headers().get(header::AUTHORIZATION);
        let token = header.and_then(|value| value.to_str().ok()).and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let Some(token) = token else {
            let detail = match header {
                None => "send a token: `Authorization: Bearer ...`",
                Some(_other) => "this is no bearer token",
            };
            return without_caller(request, Problem::new(Code::Unauthenticated, detail));
        };
        let Some(file) = &self.tokens else {
            return Err(Problem::new(Code::Unauthenticated, "this server has no tokens"));
        };
        let tokens = file.tokens().map_err(|error| {
            tracing::error!("tokens: {error}");
            Problem::new(Code::Unavailable, "the tokens cannot be read now")
        })?;
        let known = tokens.caller(token).cloned();
        known.ok_or_else(|| Problem::new(Code::Unauthenticated, "nobody has this token"))
    }

    /// Room for a connection of that user.
    fn take(&self, uid: u32) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_root, others) = (uid == 0, taken.others);
        let of_user = taken.by_user.entry(uid).or_default();
        let most = if is_root { self.limits.root } else { self.limits.per_user };
        if *of_user >= most || !is_root && others >= self.limits.others {
            return None;
        }
        *of_user += 1;
        taken.others += usize::from(!is_root);
        Some(Place { taken: Arc::clone(&self.taken), uid })
    }
}

/// Whoever is not known may see what everybody may.
fn without_caller(request: &Request<Body>, problem: Problem) -> Result<Caller, Problem> {
    match need(request.method().as_str(), request.uri().path()) {
        Some(Need::Nothing) => Ok(Caller::Nobody { why: problem.detail }),
        _ => Err(problem),
    }
}

enum Door {
    Known(Caller),
    /// Who it is could not be told.
    Failed(Problem),
    Token,
}

/// Room that a connection takes.
struct Place {
    taken: Arc<Mutex<Taken>>,
    uid: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if self.uid != 0 {
            taken.others = taken.others.saturating_sub(1);
        }
        if let Some(of_user) = taken.by_user.get_mut(&self.uid) {
            *of_user = of_user.saturating_sub(1);
            if *of_user == 0 {
                taken.by_user.remove(&self.uid);
            }
        }
    }
}

/// Out of descriptors, most likely: give others time to end.
async fn pause(error: &io::Error) {
    tracing::warn!("cannot take a connection: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
