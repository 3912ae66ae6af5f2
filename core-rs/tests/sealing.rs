//! AEAD, key wrap, HKDF, HMAC and secret sharing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use pycryptoutil_core::aead::{SEAL_OVERHEAD, SymmetricKey, decrypt, encrypt, kw_unwrap, kw_wrap};
use pycryptoutil_core::error::Kind;
use pycryptoutil_core::{kdf, shamir};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn sealed_values_open_in_their_context_only() {
    let (key, other) = (SymmetricKey::generate().unwrap(), SymmetricKey::generate().unwrap());
    for length in [0, 1, 16, 1000] {
        let plaintext = vec![7; length];
        let sealed = key.encrypt(&plaintext, b"row 1").unwrap();
        assert_eq!(sealed.len(), length + SEAL_OVERHEAD);
        assert_ne!(sealed, key.encrypt(&plaintext, b"row 1").unwrap());
        assert_eq!(*key.decrypt(&sealed, b"row 1").unwrap(), plaintext);
        for failed in [key.decrypt(&sealed, b"row 2"), other.decrypt(&sealed, b"row 1")] {
            assert_eq!(failed.unwrap_err().kind(), Kind::BadSignature);
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x40;
            assert!(key.decrypt(&changed, b"row 1").is_err());
        }
    }
    assert_eq!(key.decrypt(&[0; SEAL_OVERHEAD - 1], b"").unwrap_err().kind(), Kind::Malformed);
    assert_eq!(SymmetricKey::from_bytes(&[0; 31]).err().unwrap().kind(), Kind::Invalid);
}

#[test]
fn key_wrap_of_rfc_3394() {
    let key = hex("00112233445566778899AABBCCDDEEFF0001020304050607");
    let kek = hex("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F");
    // sections 4.1, 4.2, 4.3 and 4.4, 4.5
    let wrapped = [
        (16, 16, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"),
        (24, 16, "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"),
        (32, 16, "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"),
        (24, 24, "031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2"),
        (32, 24, "A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1"),
    ];
    for (kek_len, key_len, expected) in wrapped {
        let out = kw_wrap(&kek[..kek_len], &key[..key_len]).unwrap();
        assert_eq!(out, hex(expected));
        assert_eq!(*kw_unwrap(&kek[..kek_len], &out).unwrap(), key[..key_len]);
        for at in 0..out.len() {
            let mut changed = out.clone();
            changed[at] ^= 1;
            assert_eq!(kw_unwrap(&kek[..kek_len], &changed).unwrap_err().kind(), Kind::BadSignature);
        }
    }
    for (kek_len, key_len) in [(15, 16), (16, 8), (16, 17), (16, 0), (0, 16)] {
        assert!(kw_wrap(&kek[..kek_len], &key[..key_len]).is_err());
    }
    assert!(kw_unwrap(&kek[..16], &[0; 16]).is_err());
    assert!(kw_unwrap(&kek[..16], &[0; 25]).is_err());
}

#[test]
fn symmetric_keys_wrap_and_derive() {
    let (kek, key) = (SymmetricKey::generate().unwrap(), SymmetricKey::generate().unwrap());
    let again = SymmetricKey::unwrap(&kek, &key.wrap(&kek).unwrap()).unwrap();
    assert_eq!(again.bytes(), key.bytes());
    assert!(SymmetricKey::unwrap(&key, &key.wrap(&kek).unwrap()).is_err());
    let derived = key.derive(b"info", b"salt").unwrap();
    assert_eq!(derived.bytes(), kdf::hkdf("sha256", key.bytes(), b"salt", b"info", 32).unwrap().as_slice());
    assert_ne!(derived.bytes(), key.derive(b"other", b"salt").unwrap().bytes());
}

#[test]
fn hkdf_of_rfc_5869() {
    // appendix A.1
    let okm = kdf::hkdf("sha256", &[0x0b; 22], &hex("000102030405060708090a0b0c"), &hex("f0f1f2f3f4f5f6f7f8f9"), 42);
    let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(*okm.unwrap(), hex(expected));
    assert!(kdf::hkdf("sha256", b"", b"", b"", 255 * 32).is_ok());
    for length in [0, 255 * 32 + 1, usize::MAX] {
        assert_eq!(kdf::hkdf("sha256", b"", b"", b"", length).unwrap_err().kind(), Kind::Invalid);
    }
    assert_eq!(kdf::hkdf("md5", b"", b"", b"", 1).unwrap_err().kind(), Kind::BadAlgorithm);
}

#[test]
fn hmac_of_rfc_4231() {
    // section 4.3
    let mac = kdf::hmac("sha256", b"Jefe", b"what do ya want for nothing?").unwrap();
    assert_eq!(mac, hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    assert!(kdf::constant_time_equal(b"abc", b"abc"));
    assert!(!kdf::constant_time_equal(b"abc", b"abd"));
    assert!(!kdf::constant_time_equal(b"abc", b"ab"));
}

#[test]
fn aead_checks_its_arguments() {
    let sealed = encrypt("aes-192-gcm", &[1; 24], &[2; 12], b"text", b"aad").unwrap();
    assert_eq!(*decrypt("aes-192-gcm", &[1; 24], &[2; 12], &sealed, b"aad").unwrap(), b"text");
    assert_eq!(encrypt("aes-192-gcm", &[1; 16], &[2; 12], b"", b"").unwrap_err().kind(), Kind::Invalid);
    assert_eq!(encrypt("aes-128-gcm", &[1; 16], &[2; 11], b"", b"").unwrap_err().kind(), Kind::Invalid);
    assert_eq!(encrypt("aes-128-cbc", &[1; 16], &[2; 12], b"", b"").unwrap_err().kind(), Kind::BadAlgorithm);
    assert_eq!(decrypt("aes-128-gcm", &[1; 16], &[2; 12], b"short", b"").unwrap_err().kind(), Kind::BadSignature);
}

#[test]
fn shares_give_the_secret() {
    for (shares, threshold) in [(1, 1), (2, 2), (3, 2), (5, 3), (8, 8), (255, 2)] {
        let secret: Vec<u8> = (0..32).collect();
        let parts = shamir::split(&secret, shares, threshold).unwrap();
        assert_eq!(parts.len(), usize::from(shares));
        let needed = usize::from(threshold);
        assert_eq!(*shamir::combine(&parts[parts.len() - needed..]).unwrap(), secret);
        assert_eq!(*shamir::combine(&parts).unwrap(), secret);
        if threshold > 1 {
            assert_eq!(shamir::combine(&parts[..needed - 1]).unwrap_err().kind(), Kind::Invalid);
            assert!(parts.iter().all(|part| !part.windows(8).any(|window| window == &secret[..8])));
        }
    }
}

#[test]
fn wrong_shares_are_noticed() {
    let parts = shamir::split(&[9; 32], 5, 3).unwrap();
    let others = shamir::split(&[9; 32], 5, 3).unwrap();
    let kind = |shares: &[&[u8]]| shamir::combine(shares).unwrap_err().kind();
    assert_eq!(kind(&[&parts[0], &parts[1], &others[2]]), Kind::BadSignature);
    assert_eq!(kind(&[&parts[0], &parts[1], &parts[1]]), Kind::Invalid);
    assert_eq!(kind(&[]), Kind::Invalid);
    assert_eq!(kind(&[b"short"]), Kind::Malformed);
    for at in 0..parts[0].len() {
        let mut changed = parts[0].to_vec();
        changed[at] ^= 0x10;
        assert!(shamir::combine(&[&changed[..], &parts[1], &parts[2]]).is_err(), "octet {at}");
    }
    for (shares, threshold) in [(0, 0), (1, 2), (3, 0)] {
        assert_eq!(shamir::split(b"x", shares, threshold).unwrap_err().kind(), Kind::Invalid);
    }
    assert_eq!(shamir::split(b"", 2, 2).unwrap_err().kind(), Kind::Invalid);
    assert_eq!(shamir::split(&[0; 1025], 2, 2).unwrap_err().kind(), Kind::Invalid);
}
