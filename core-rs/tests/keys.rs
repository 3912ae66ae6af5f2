//! Generate, export, import, sign, verify, for every algorithm.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aws_lc_rs::encoding::AsRawBytes;
use aws_lc_rs::signature::PqdsaKeyPair;
use pycryptoutil_core::algorithms::{Curve, Hash, KeyAlgorithm, MlDsa, MlKem, SignatureAlgorithm};
use pycryptoutil_core::der;
use pycryptoutil_core::error::Kind;
use pycryptoutil_core::keys::{PrivateKey, PublicKey, public_key_bits};

const ALL: [KeyAlgorithm; 8] = [
    KeyAlgorithm::Rsa(2048),
    KeyAlgorithm::Ec(Curve::P256),
    KeyAlgorithm::Ec(Curve::P384),
    KeyAlgorithm::Ec(Curve::P521),
    KeyAlgorithm::Ed25519,
    KeyAlgorithm::MlDsa(MlDsa::Level44),
    KeyAlgorithm::MlDsa(MlDsa::Level65),
    KeyAlgorithm::MlDsa(MlDsa::Level87),
];

fn schemes(key: KeyAlgorithm) -> Vec<SignatureAlgorithm> {
    let hashes = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
    match key {
        KeyAlgorithm::Rsa(_) => hashes
            .into_iter()
            .flat_map(|hash| [SignatureAlgorithm::RsaPkcs1(hash), SignatureAlgorithm::RsaPss(hash)])
            .collect(),
        KeyAlgorithm::Ec(curve) => vec![SignatureAlgorithm::Ecdsa(curve.hash())],
        KeyAlgorithm::Ed25519 => vec![SignatureAlgorithm::Ed25519],
        KeyAlgorithm::MlDsa(level) => vec![SignatureAlgorithm::MlDsa(level)],
        KeyAlgorithm::X25519 | KeyAlgorithm::MlKem(_) => Vec::new(),
    }
}

#[test]
fn every_key_goes_around() {
    for algorithm in ALL {
        let key = PrivateKey::generate(algorithm).unwrap();
        let again = PrivateKey::from_pkcs8(&key.export_pkcs8().unwrap()).unwrap();
        assert_eq!(again.algorithm(), algorithm);
        assert_eq!(again.spki(), key.spki());
        assert_eq!(*again.export_pkcs8().unwrap(), *key.export_pkcs8().unwrap());
        assert_eq!(KeyAlgorithm::parse(&algorithm.name()).unwrap(), algorithm);
        let public = PublicKey::from_spki(key.spki()).unwrap();
        assert_eq!(public.algorithm(), algorithm);
        for scheme in schemes(algorithm) {
            let mut signature = again.sign(scheme, b"message").unwrap();
            public.verify(scheme, b"message", &signature).unwrap();
            assert_eq!(public.verify(scheme, b"massage", &signature).unwrap_err().kind(), Kind::BadSignature);
            let last = signature.len() - 1;
            signature[last] ^= 1;
            assert_eq!(public.verify(scheme, b"message", &signature).unwrap_err().kind(), Kind::BadSignature);
            assert_eq!(public.verify(scheme, b"message", &[]).unwrap_err().kind(), Kind::BadSignature);
        }
    }
}

#[test]
fn a_scheme_of_another_key_is_refused() {
    let keys = ALL.map(|algorithm| PrivateKey::generate(algorithm).unwrap());
    for key in &keys {
        for other in ALL {
            for scheme in schemes(other) {
                if !schemes(key.algorithm()).contains(&scheme) {
                    assert_eq!(key.sign(scheme, b"").unwrap_err().kind(), Kind::BadAlgorithm);
                }
            }
        }
    }
    let public = PublicKey::from_spki(keys[1].spki()).unwrap();
    assert_eq!(public.verify(SignatureAlgorithm::Ed25519, b"", b"").unwrap_err().kind(), Kind::BadAlgorithm);
}

#[test]
fn documents_are_read_whole() {
    for algorithm in ALL {
        let key = PrivateKey::generate(algorithm).unwrap();
        let mut document = key.export_pkcs8().unwrap().to_vec();
        document.push(0);
        assert!(PrivateKey::from_pkcs8(&document).is_err(), "{algorithm:?}: trailing octet");
        document.pop();
        document.pop();
        assert!(PrivateKey::from_pkcs8(&document).is_err(), "{algorithm:?}: truncated");
        let mut spki = key.spki().to_vec();
        spki.push(0);
        assert!(PublicKey::from_spki(&spki).is_err(), "{algorithm:?}: trailing octet");
    }
    assert_eq!(PrivateKey::from_pkcs8(&vec![0x30; 20_000]).err().unwrap().kind(), Kind::Malformed);
    assert_eq!(PublicKey::from_spki(&vec![0x30; 20_000]).err().unwrap().kind(), Kind::Malformed);
}

#[test]
fn a_foreign_public_half_is_refused() {
    // RFC 5915: the public key is the last field of the EC document
    let key = PrivateKey::generate(KeyAlgorithm::Ec(Curve::P256)).unwrap();
    let other = PrivateKey::generate(KeyAlgorithm::Ec(Curve::P256)).unwrap();
    let mut document = key.export_pkcs8().unwrap().to_vec();
    let at = document.len() - 65;
    document[at..].copy_from_slice(public_key_bits(other.spki()).unwrap());
    assert_eq!(PrivateKey::from_pkcs8(&document).err().unwrap().kind(), Kind::Malformed);
}

/// RFC 9881 section 6: seed, expanded key, or both, which are then compared.
#[test]
fn ml_dsa_in_all_three_forms() {
    for level in [MlDsa::Level44, MlDsa::Level65, MlDsa::Level87] {
        let key = PrivateKey::generate(KeyAlgorithm::MlDsa(level)).unwrap();
        let document = key.export_pkcs8().unwrap();
        let seed = &document[document.len() - 32..];
        let pair = PqdsaKeyPair::from_pkcs8(level.signing(), &document).unwrap();
        let expanded = pair.private_key().as_raw_bytes().unwrap();
        let info = |choice: &[u8]| {
            let identifier = der::wrap(der::SEQUENCE, &der::wrap(der::OID, level.oid()));
            let body = [&[2, 1, 0][..], &identifier, &der::wrap(der::OCTET_STRING, choice)].concat();
            PrivateKey::from_pkcs8(&der::wrap(der::SEQUENCE, &body))
        };
        let both = |seed: &[u8]| {
            let parts = [der::wrap(der::OCTET_STRING, seed), der::wrap(der::OCTET_STRING, expanded.as_ref())];
            info(&der::wrap(der::SEQUENCE, &parts.concat()))
        };
        assert!(both(&[0; 32]).is_err(), "a seed of another key");
        let expanded_only = info(&der::wrap(der::OCTET_STRING, expanded.as_ref()));
        for again in [info(&[&[0x80, 32][..], seed].concat()), expanded_only, both(seed)] {
            let again = again.unwrap();
            assert_eq!(again.spki(), key.spki());
            // what has lost its seed goes out expanded
            let exported = PrivateKey::from_pkcs8(&again.export_pkcs8().unwrap()).unwrap();
            let scheme = SignatureAlgorithm::MlDsa(level);
            let signature = exported.sign(scheme, b"message").unwrap();
            PublicKey::from_spki(key.spki()).unwrap().verify(scheme, b"message", &signature).unwrap();
        }
    }
}

#[test]
fn keys_that_do_not_sign() {
    let levels = [MlKem::Level512, MlKem::Level768, MlKem::Level1024].map(KeyAlgorithm::MlKem);
    for algorithm in levels.into_iter().chain([KeyAlgorithm::X25519]) {
        let key = PrivateKey::generate(algorithm).unwrap();
        let again = PrivateKey::from_pkcs8(&key.export_pkcs8().unwrap()).unwrap();
        assert_eq!(again.spki(), key.spki());
        assert_eq!(*again.export_pkcs8().unwrap(), *key.export_pkcs8().unwrap());
        let public = PublicKey::from_spki(key.spki()).unwrap();
        if algorithm == KeyAlgorithm::X25519 {
            let other = PrivateKey::generate(algorithm).unwrap();
            assert_eq!(*key.ecdh(other.spki()).unwrap(), *other.ecdh(key.spki()).unwrap());
        } else {
            let (ciphertext, secret) = public.encapsulate().unwrap();
            assert_eq!(*again.decapsulate(&ciphertext).unwrap(), *secret);
        }
        for scheme in ALL.into_iter().flat_map(schemes) {
            assert_eq!(key.sign(scheme, b"").unwrap_err().kind(), Kind::BadAlgorithm);
            assert_eq!(public.verify(scheme, b"", b"").unwrap_err().kind(), Kind::BadAlgorithm);
        }
    }
}

#[test]
fn points_off_the_curve_are_refused() {
    let key = PrivateKey::generate(KeyAlgorithm::Ec(Curve::P256)).unwrap();
    let mut spki = key.spki().to_vec();
    let last = spki.len() - 1;
    spki[last] ^= 1;
    assert_eq!(PublicKey::from_spki(&spki).err().unwrap().kind(), Kind::Malformed);
}

#[test]
fn sizes_that_are_not_offered() {
    assert_eq!(PrivateKey::generate(KeyAlgorithm::Rsa(1024)).err().unwrap().kind(), Kind::BadAlgorithm);
    for name in ["RSA-1024", "rsa-2048", "ML-KEM-769", "X448", "EC-P224", "", "Ed448", "ML-DSA-66"] {
        assert_eq!(KeyAlgorithm::parse(name).unwrap_err().kind(), Kind::BadAlgorithm);
    }
    for name in ["rsa-sha1", "ecdsa-md5", "", "RSA-SHA256"] {
        assert_eq!(SignatureAlgorithm::parse(name).unwrap_err().kind(), Kind::BadAlgorithm);
    }
}
