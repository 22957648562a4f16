//! A way to what the courier reads from outside, for the fuzz targets: hidden, and of no use to anybody else.
//! Must not do anything but call.

use super::{
    Answer,
    line::{self, MAX_NOTE},
    signature, webhook,
};

/// Bytes of a note at most.
pub const LONGEST_NOTE: usize = MAX_NOTE;

/// What a webhook's response says to the question with this nonce.
///
/// # Errors
///
/// Why it is not believed.
pub fn response(
    given: &str,
    secret: &[u8],
    nonce: &str,
    body: &[u8],
) -> Result<(Answer, Option<String>), String> {
    webhook::read(given, secret, nonce, body).map(|said| (said.answer, said.reason))
}

/// The signature of a webhook's response.
#[must_use]
pub fn signature(secret: &[u8], nonce: &str, body: &[u8]) -> Option<String> {
    signature::sign(secret, &webhook::signed_parts(nonce, body))
}

/// Lines of the courier's child: each task's number, its answer and the note.
///
/// # Errors
///
/// If one is no line of the child's.
pub fn lines(input: &mut Vec<u8>) -> std::io::Result<Vec<(u64, Answer, String)>> {
    let said = line::take(input)?;
    Ok(said.into_iter().map(|said| (said.number, said.answer, said.note)).collect())
}

/// Text from outside as one line that is shown.
#[must_use]
pub fn note(text: &str) -> String {
    line::note(text)
}
