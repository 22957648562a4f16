//! A webhook for tests: https on the loopback interface, with an authority of its own, and answers
//! that each test makes up.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener},
    sync::{Arc, Mutex},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::signature;

pub(super) const SECRET: &[u8] = b"a secret of sufficient length";

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> String {
        let named = |line: &&str| line.to_lowercase().starts_with(&format!("{name}:"));
        let line = self.head.lines().find(named).unwrap_or_default();
        line.split_once(':').unwrap_or_default().1.trim().to_owned()
    }

    pub(super) fn nonce(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body["nonce"].as_str().unwrap().to_owned()
    }

    /// A whole response, signed as an answer to this request.
    pub(super) fn answer(&self, body: &str) -> String {
        response("200 OK", &signed(&self.nonce(), body), body)
    }
}

pub(super) fn signed(nonce: &str, body: &str) -> String {
    let parts = [b"execlayer-answer\n", nonce.as_bytes(), b"\n", body.as_bytes()];
    signature::sign(SECRET, &parts).unwrap()
}

pub(super) fn response(status: &str, signature: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nx-execlayer-signature: {signature}\r\nlocation: /elsewhere\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// A server until the test ends.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) ca: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `respond` gets the number of the request, from 0, and the request.
    pub(super) fn start(respond: impl Fn(usize, &Request) -> String + Send + 'static) -> Self {
        let (ca, config) = authority();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/ask", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
                // Who does not trust this server leaves before the request.
                let Some(request) = read(&mut stream) else { continue };
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request.clone());
                    seen.len() - 1
                };
                let mut stream = stream.into_inner();
                let _ = stream.write_all(respond(number, &request).as_bytes());
                let _ = stream.flush();
                stream.conn.send_close_notify();
                let _ = stream.flush();
                let _ = stream.sock.shutdown(Shutdown::Write);
            }
        });
        Self { url, ca, requests }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).ok().filter(|count| *count > 0)?;
    }
    let mut request = Request { head, body: String::new() };
    let length: u64 = request.header("content-length").parse().ok()?;
    stream.take(length).read_to_string(&mut request.body).ok()?;
    Some(request)
}

/// An authority's certificate (PEM), and a server that has one of it for 127.0.0.1.
pub(super) fn authority() -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&own, &issuer).unwrap();
    let own = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], own)
        .unwrap();
    (ca.pem(), Arc::new(config))
}
