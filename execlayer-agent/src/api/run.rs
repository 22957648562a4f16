//! `execlayerd api`, from its options to its listeners. Each step is one call; what it does is elsewhere.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::PathBuf};

use execlayer_api::places;
use execlayer_http::{
    server::{Limits, Server},
    tls,
};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{SignalKind, signal},
};

use super::{backend::Judge, link::Link, options::Options};

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Options that do not fit together.
    #[error("{0}")]
    Usage(String),
    /// A listener.
    #[error("cannot listen at `{place}`: {source}")]
    Listen {
        /// Where.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// Certificates, keys or tokens.
    #[error("cannot read what the TCP listener needs: {0}")]
    Files(String),
    /// The system.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl ApiError {
    /// Another try with the same options comes to the same.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_) | Self::Files(_))
    }
}

/// Serves until it is asked to end.
///
/// # Errors
///
/// An [`ApiError`].
pub fn run(options: Options) -> Result<(), ApiError> {
    options.check().map_err(ApiError::Usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), ApiError> {
    let tls = match (&options.tls_certificates, &options.tls_key) {
        (Some(certificates), Some(key)) => Some(
            tls::acceptor(certificates, key).map_err(|error| ApiError::Files(error.to_string()))?,
        ),
        _ => None,
    };
    if let Some(tokens) = &options.tokens {
        execlayer_http::token::Tokens::read(tokens)
            .map_err(|error| ApiError::Files(format!("`{}`: {error}", tokens.display())))?;
    }
    let unix = listen(&options.socket)?;
    let tcp = match options.tcp {
        None => None,
        Some(address) => {
            let place = address.to_string();
            let bound = TcpListener::bind(address).await;
            Some(bound.map_err(|source| ApiError::Listen { place, source })?)
        }
    };
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (socket, tokens) = (options.socket.clone(), options.tokens.clone());
    let link = Link::to(options.run_dir.join(places::LINK_SOCKET));
    let server = Server::new(Judge::new(options, link), tokens, Limits::default());
    let judge = server.backend();
    let over_tcp = async {
        match tcp {
            Some(tcp) => server.serve_tcp(tcp, tls).await,
            None => std::future::pending().await,
        }
    };
    tracing::info!("the evaluation API is at `{}`", socket.display());
    tokio::select! {
        () = judge.policies.follow(&judge.link) => {}
        () = server.serve_unix(unix) => {}
        () = over_tcp => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    if let Err(error) = fs::remove_file(&socket) {
        tracing::debug!("cannot remove `{}`: {error}", socket.display());
    }
    Ok(())
}

/// The unix socket, for everybody. What lies there is an earlier server's.
fn listen(path: &PathBuf) -> Result<UnixListener, ApiError> {
    let failed = |source| ApiError::Listen { place: path.display().to_string(), source };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}
