//! Real sockets: what a scraper sees.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::{UnixListener, UnixStream},
    sync::Arc,
    thread,
};

use super::{Place, Shown, serve};
use crate::metrics::Watch;

fn shown(status: std::path::PathBuf) -> Arc<Shown> {
    Arc::new(Shown::new(Arc::new(Watch::default()), Arc::default(), status))
}

fn said(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn only_places_of_this_machine_are_taken() {
    for text in ["unix:/run/m.sock", "127.0.0.1:9464", "[::1]:9464", "[::ffff:127.0.0.1]:1"] {
        assert!(text.parse::<Place>().is_ok(), "{text}");
    }
    for (text, part) in [
        ("0.0.0.0:9464", "loopback"),
        ("[::]:9464", "loopback"),
        ("192.0.2.1:9464", "loopback"),
        ("unix:run/m.sock", "unix:/PATH"),
        ("localhost:9464", "unix:/PATH"),
        ("9464", "unix:/PATH"),
    ] {
        let problem = text.parse::<Place>().unwrap_err().to_string();
        assert!(problem.contains(part), "{text}: {problem}");
    }
}

#[test]
fn a_scrape_gets_metrics_and_anything_else_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let status = folder.path().join("status.sock");
    let server = serve(&"127.0.0.1:0".parse().unwrap(), shown(status)).unwrap();
    let address = server.address().unwrap();
    let long = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(10_000));
    thread::spawn(move || {
        loop {
            server.turn();
        }
    });
    let ask = |request: &str| said(TcpStream::connect(address).unwrap(), request);
    let metrics = ask("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/openmetrics-text"));
    assert!(metrics.contains("\nexeclayer_up 0\n") && metrics.ends_with("# EOF\n"), "{metrics}");
    assert!(ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask("POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert!(ask("\0\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let stream = TcpStream::connect(address).unwrap();
    let mut answer = Vec::new();
    // It may hang up before it has taken all of it.
    let _ = (&stream).write_all(long.as_bytes());
    let _ = (&stream).read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn a_socket_that_was_left_is_replaced_and_a_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sock");
    let place: Place = format!("unix:{}", path.display()).parse().unwrap();
    drop(UnixListener::bind(&path).unwrap());
    let server = serve(&place, shown(folder.path().join("none"))).unwrap();
    let scrape = thread::spawn(move || server.turn());
    let text = said(UnixStream::connect(&path).unwrap(), "GET /metrics HTTP/1.1\r\n\r\n");
    assert!(text.contains("execlayer_up 0"), "{text}");
    scrape.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    assert!(serve(&place, shown(folder.path().join("none"))).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}
