//! HTTP clients with TLS: which certificates they trust, and what they never do. Must not know what is sent.

use std::{io, sync::Arc, time::Duration};

use rustls::crypto::ring;
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// The system's certificates, as Debian, Arch, Alpine and SUSE (by a link) have them.
pub const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
const CONNECTING: Duration = Duration::from_secs(10);

/// A client that trusts servers whose certificates come from these (PEM), and none without any. It follows no redirect,
/// uses no proxy, and keeps no connection.
///
/// # Errors
///
/// If the certificates cannot be read, for people.
pub fn agent(ca: Option<&str>, timeout: Duration) -> Result<Agent, String> {
    let mut roots: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(ca.unwrap_or_default().as_bytes()) {
        match item {
            Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(format!("the certificates cannot be read: {error}")),
        }
    }
    if ca.is_some() && roots.is_empty() {
        return Err("the file of certificates has none".to_owned());
    }
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .timeout_global(Some(timeout))
        .timeout_connect(Some(CONNECTING))
        .max_response_header_size(16 << 10)
        .user_agent("execlayerd")
        .accept("application/json")
        .build();
    Ok(Agent::new_with_config(config))
}

/// An error in a few words.
#[must_use]
pub fn short(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "no response in time".to_owned(),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            format!("the connection is not to be trusted: {error}")
        }
        error => error.to_string(),
    }
}
