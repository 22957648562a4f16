//! Files of keys that no passphrase locks: one line each. A private key's file is never taken for a public one's,
//! nor the other way round.

use execlayer_bundle::{KeyError, PrivateKey, PublicKey, key::PUBLIC_TAG, limits};

use crate::signed::{OWN, key};

pub(crate) fn body(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (public, private) = (PublicKey::parse(text), PrivateKey::parse(text));
    assert!(public.is_err() || private.is_err(), "both halves of a key");
    if let Ok(public) = public {
        assert!(text.len() <= limits::MAX_KEY_FILE_BYTES && text.starts_with(PUBLIC_TAG));
        assert_eq!(PrivateKey::parse(text).map(|_| ()), Err(KeyError::Public));
        let again = PublicKey::parse(&public.to_text()).unwrap();
        assert_eq!((&again, again.id()), (&public, public.id()));
        // Nothing that is not the key is taken for it.
        assert!(public.id() != key(OWN).id() || public.bytes() == key(OWN).public().bytes());
    }
    if let Ok(private) = private {
        assert_eq!(PublicKey::parse(text), Err(KeyError::Private));
        let again = PrivateKey::parse(&private.to_secret_text()).unwrap();
        assert_eq!((again.id(), again.secret()), (private.id(), private.secret()));
        assert!(!format!("{private:?}").contains(text.split(' ').nth(1).unwrap_or(text)));
        assert_eq!(PublicKey::parse(&private.public().to_text()), Ok(private.public()));
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for number in [0, 1, 77] {
        all.push(key(number).public().to_text().into_bytes());
        all.push(key(number).to_secret_text().as_bytes().to_vec());
    }
    // A point of small order.
    all.push(b"execlayer-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= x\n".to_vec());
    all
}
