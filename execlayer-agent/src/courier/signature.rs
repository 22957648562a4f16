//! HMAC-SHA256 over what goes to a webhook and comes from it. Must not compare byte by byte.

use std::{fmt::Write, fs::File, io, io::Read};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const SCHEME: &str = "sha256=";

/// The header's value for these parts, one after another.
pub(super) fn sign(secret: &[u8], parts: &[&[u8]]) -> Option<String> {
    Some(format!("{SCHEME}{}", hex(&mac(secret, parts)?.finalize().into_bytes())))
}

/// Whether a header's value is that of these parts.
pub(super) fn is_of(value: &str, secret: &[u8], parts: &[&[u8]]) -> bool {
    let given = value.strip_prefix(SCHEME).and_then(bytes);
    given.zip(mac(secret, parts)).is_some_and(|(given, mac)| mac.verify_slice(&given).is_ok())
}

/// 32 hexadecimal digits that nobody knows before.
pub(super) fn nonce() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex(&bytes))
}

fn mac(secret: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    // HMAC takes a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    digits.chunks_exact(2).map(|pair| Some(pair.first()? << 4 | pair.last()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::{is_of, nonce, sign};

    #[test]
    fn the_vector_of_rfc_4231_comes_out() {
        // Test case 2.
        let value = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let parts: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        assert_eq!(sign(b"Jefe", &parts).unwrap(), value);
        assert!(is_of(value, b"Jefe", &parts));
        assert!(is_of(&value.to_uppercase().replace("SHA", "sha"), b"Jefe", &parts));
        for wrong in [&value[7..], &value[..60], "sha256=", "", &value.replace('5', "6")] {
            assert!(!is_of(wrong, b"Jefe", &parts), "{wrong}");
        }
        assert!(!is_of(value, b"jefe", &parts));
    }

    #[test]
    fn no_nonce_comes_twice() {
        let (one, other) = (nonce().unwrap(), nonce().unwrap());
        assert!(one.len() == 32 && one != other);
    }
}
