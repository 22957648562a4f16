//! That every answer is as the API's own document says, shown by a tool that makes requests of that document alone.
//! Which requests, is its choice; the server is the real one, over a backend that answers.

use std::process::Command;

use crate::common::Served;
use execlayer_http::server::Limits;

/// The folder that Schemathesis is in; `cargo xtask test` puts it there.
const TOOL: &str = "EXECLAYER_SCHEMATHESIS";
/// SHA-256 of `abc` (FIPS 180-2, appendix B.1), for whoever may do everything.
const TOKENS: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad read,answer,administer desk\n";

#[test]
fn every_answer_is_as_the_document_says() {
    let Some(folder) = std::env::var_os(TOOL) else {
        println!("not run here: `{TOOL}` does not name where Schemathesis is");
        return;
    };
    let served = Served::start(Limits::default(), TOKENS);
    let place = tempfile::tempdir().unwrap();
    let mut tool = Command::new("python3");
    tool.args(["-m", "schemathesis.cli", "run", "--no-color", "--seed", "1"])
        .args(["--max-examples", "30", "--continue-on-failure"])
        .args(["--header", "Authorization: Bearer abc"])
        .arg(format!("http://{}/v1/openapi.json", served.tcp))
        .env("PYTHONPATH", folder)
        .current_dir(place.path());
    let output = tool.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "see above");
    assert!(!said.contains("Unresolvable"), "a part of the document was left out: see above");
    let seen = served.wishes.seen.lock().unwrap().len();
    assert!(seen > 30, "only {seen} calls came to be judged");
}
