//! Private keys in PEM, locked or not: whatever the file says, only its passphrase opens it, and trying to takes no
//! more time and memory than a person grants. A first byte that begins no PEM says what the DER behind it is.

use base64ct::{Base64, Encoding};
use execlayer_bundle::PrivateKey;
use pkcs8::{
    AlgorithmIdentifierRef, EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef,
    SecretDocument,
    der::asn1::OctetStringRef,
    pkcs5::{
        pbes2::{Kdf, Parameters},
        scrypt,
    },
};
use zeroize::Zeroizing;

use crate::{
    error::CliError,
    signed::{OWN, key},
};

/// The tool is a program and no library: its own file is read here, as it is.
#[path = "../../execlayer-cli/src/locked.rs"]
#[allow(dead_code, reason = "keys are locked here with salts that are the same every time")]
mod tool;

const PASSPHRASE: &str = "correct horse";
const PLAIN: &str = "PRIVATE KEY";
const LOCKED: &str = "ENCRYPTED PRIVATE KEY";
/// Rounds, or blocks in all, of what is tried here.
const CHEAP: u32 = 4_096;

pub(crate) fn body(bytes: &[u8]) {
    let text = match bytes.split_first() {
        Some((b'-', _)) => str::from_utf8(bytes).map(str::to_owned).ok(),
        Some((0, der)) => Some(pem(PLAIN, der)),
        Some((_, der)) => Some(pem(LOCKED, der)),
        None => None,
    };
    let Some(text) = text else { return };
    if !is_cheap(&text) {
        return;
    }
    let mut was_asked = false;
    let opened = tool::open(&text, "it", || {
        was_asked = true;
        passphrase(PASSPHRASE)
    });
    let opened = match opened {
        Ok(opened) => opened,
        Err(CliError(why)) => return assert!(why.starts_with("it is refused: "), "{why}"),
    };
    assert!(tool::is_pem(&text));
    if was_asked {
        let other = tool::open(&text, "it", || passphrase("correct horse "));
        assert!(other.is_err(), "a wrong passphrase opens it");
    }
    let again = tool::open(&text, "it", || passphrase(PASSPHRASE)).unwrap();
    assert_eq!(again.id(), opened.id());
    assert!(
        tool::public_pem(&opened.public()).unwrap().starts_with("-----BEGIN PUBLIC KEY-----\n")
    );
}

/// Whether trying a passphrase costs nothing to speak of. Where it would cost more than the tool grants, it must
/// refuse.
fn is_cheap(text: &str) -> bool {
    let Ok((_label, document)) = SecretDocument::from_pem(text) else { return true };
    let Ok(locked) = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()) else { return true };
    if !tool::is_affordable(&locked) {
        let opened = tool::open(text, "it", || passphrase(PASSPHRASE));
        assert!(opened.is_err(), "it grants more than it says");
        return false;
    }
    match locked.encryption_algorithm.pbes2().map(|settings| &settings.kdf) {
        Some(Kdf::Scrypt(scrypt)) => {
            let once = scrypt.cost_parameter * u64::from(scrypt.block_size);
            once * u64::from(scrypt.parallelization) <= CHEAP.into()
        }
        Some(Kdf::Pbkdf2(pbkdf2)) => pbkdf2.iteration_count <= CHEAP,
        _ => true,
    }
}

fn passphrase(text: &str) -> Result<Zeroizing<String>, CliError> {
    Ok(Zeroizing::new(text.to_owned()))
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// RFC 8410, section 7.
fn der(key: &PrivateKey) -> Vec<u8> {
    let seed = [&[0x04, 0x20], key.secret().as_slice()].concat();
    [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22][..], &seed].concat()
}

/// The key locked with settings that cost nothing.
fn locked(settings: Parameters) -> Vec<u8> {
    let seed = [&[0x04, 0x20], key(OWN).secret().as_slice()].concat();
    let algorithm = AlgorithmIdentifierRef {
        oid: ObjectIdentifier::new_unwrap("1.3.101.112"),
        parameters: None,
    };
    let info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&seed).unwrap());
    info.encrypt_with_params(settings, PASSPHRASE).unwrap().as_bytes().to_vec()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let cheap = scrypt::Params::new(1, 1, 1).unwrap();
    let settings = [
        Parameters::generate_pbkdf2_sha256_aes256cbc(1, &[7; 8], [8; 16]),
        Parameters::generate_pbkdf2_sha256_aes128cbc(2, &[7; 16], [8; 16]),
        Parameters::generate_scrypt_aes256cbc(cheap, &[7; 16], [8; 16]),
        Parameters::scrypt_aes256gcm(cheap, &[7; 16], [8; 12]),
    ];
    let mut all = vec![[&[0][..], &der(&key(OWN))].concat(), pem(PLAIN, &der(&key(OWN))).into()];
    for settings in settings {
        let der = locked(settings.unwrap());
        all.push([&[1][..], &der].concat());
        all.push(pem(LOCKED, &der).into());
    }
    all
}
