//! TLS of the listener: certificates and key from files. Must not know what is said over it.

use std::{io, path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

/// What accepts TLS 1.2 and 1.3 with the certificates (PEM, the server's first) and the private key (PEM) of these files.
///
/// # Errors
///
/// If they cannot be read or do not belong together.
pub fn acceptor(certificates: &Path, key: &Path) -> io::Result<TlsAcceptor> {
    let wrong = |path: &Path, error: String| {
        io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {error}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(certificates, error.to_string()))?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(certificates, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| wrong(certificates, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
