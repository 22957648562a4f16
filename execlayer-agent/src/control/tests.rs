//! Clients over a real socket; the daemon behind it is a loop in the test.

use std::path::PathBuf;

use execlayer_api::{
    ErrorCode, Outcome, Request, Response, decode_response, encode_request, line::MAX_REQUEST,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::mpsc,
};

use super::{Call, bind, serve};

/// Runs `test` against a socket whose every call is answered with `Stopping`.
fn with_socket<F: Future<Output = ()>>(test: impl FnOnce(PathBuf) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = bind(&path, None).unwrap();
        let (sender, mut calls) = mpsc::channel::<Call>(4);
        tokio::spawn(serve(listener, sender));
        tokio::spawn(async move {
            while let Some(call) = calls.recv().await {
                assert_eq!(call.pid, std::process::id() as i32);
                let _ = call.reply.send(Response::Done(Outcome::Stopping {}));
            }
        });
        test(path.clone()).await;
    });
}

async fn ask(stream: &mut UnixStream, line: &[u8]) -> Response {
    stream.write_all(line).await.unwrap();
    let mut answer = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut answer).await.unwrap();
    decode_response(&answer).unwrap()
}

fn code(response: &Response) -> Option<ErrorCode> {
    match response {
        Response::Error(failure) => Some(failure.code),
        Response::Done(_) => None,
    }
}

/// The socket is root's: without root every line is refused, which is the claim of another test.
fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        println!("not run here: only root may use the control socket");
    }
    is_root
}

#[test]
fn requests_of_one_client_are_answered_in_order_and_bad_ones_do_not_end_it() {
    if !is_root() {
        return;
    }
    with_socket(|path| async move {
        let mut stream = UnixStream::connect(path).await.unwrap();
        let hello = encode_request(&Request::Hello {}).unwrap();
        assert_eq!(code(&ask(&mut stream, &hello).await), None);
        let broken = ask(&mut stream, b"{\"version\":1}\n").await;
        assert_eq!(code(&broken), Some(ErrorCode::BadRequest));
        let other = ask(&mut stream, b"{\"version\":9,\"request\":{}}\n").await;
        assert_eq!(code(&other), Some(ErrorCode::UnsupportedVersion));
        assert_eq!(code(&ask(&mut stream, &hello).await), None);
    });
}

#[test]
fn a_line_without_end_is_cut_off_and_a_silent_client_holds_nobody_up() {
    if !is_root() {
        return;
    }
    with_socket(|path| async move {
        let mut silent = UnixStream::connect(&path).await.unwrap();
        silent.write_all(b"{\"version\"").await.unwrap();
        let mut long = UnixStream::connect(&path).await.unwrap();
        let refusal = ask(&mut long, &vec![b'x'; MAX_REQUEST + 1]).await;
        assert_eq!(code(&refusal), Some(ErrorCode::BadRequest));
        let mut rest = Vec::new();
        long.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "the connection is closed");
        let mut other = UnixStream::connect(&path).await.unwrap();
        let hello = encode_request(&Request::Hello {}).unwrap();
        assert_eq!(code(&ask(&mut other, &hello).await), None);
    });
}

#[test]
fn a_socket_of_a_dead_daemon_is_replaced_and_only_its_owner_may_connect() {
    use std::os::unix::fs::PermissionsExt;
    with_socket(|path| async move {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let _second = bind(&path, None).unwrap();
    });
}
