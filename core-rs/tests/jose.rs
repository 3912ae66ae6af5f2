//! JOSE below Python: what the parsers refuse, and many at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use pycryptoutil_core::algorithms::KeyAlgorithm;
use pycryptoutil_core::error::Kind;
use pycryptoutil_core::jose::algorithms::{Enc, KeyAlg, SigAlg};
use pycryptoutil_core::jose::json::{Object, Value};
use pycryptoutil_core::jose::jwe::{Decrypter, Encrypter};
use pycryptoutil_core::jose::jws::{Signer, Verifier};
use pycryptoutil_core::jose::keys::{DecryptionKey, EncryptionKey, SigningKey, VerifyingKey};
use pycryptoutil_core::jose::secret::SecretKey;
use pycryptoutil_core::jose::{base64url, many};
use pycryptoutil_core::keys::{PrivateKey, PublicKey};

#[test]
fn base64url_has_one_form() {
    for length in 0..70_u8 {
        let data: Vec<u8> = (0..length).map(|octet| octet.wrapping_mul(37)).collect();
        let text = base64url::encode(&data);
        assert_eq!(text.len(), base64url::encoded_len(data.len()));
        assert_eq!(base64url::decode(text.as_bytes()).unwrap(), data);
    }
    for text in ["A", "AB", "ABC", "AA==", "AA=", "A A", "A+", "A/", "AA\n", "é", "AAAAA"] {
        assert_eq!(base64url::decode(text.as_bytes()).unwrap_err().kind(), Kind::Malformed, "{text}");
    }
    assert_eq!(base64url::encode(&[0xfb, 0xff]), "-_8");
}

#[test]
fn json_is_read_strictly() {
    let text = br#" {"a":[1,-0.5e+3,true,null],"b":"\u00e9\ud83d\ude00\n\/","c":{}} "#;
    let object = Object::parse(text).unwrap();
    assert_eq!(object.string("b").unwrap(), Some("é😀\n/"));
    assert_eq!(object.get("c"), Some(&Value::Object(Object::default())));
    let mut written = String::new();
    object.write(&mut written);
    assert_eq!(Object::parse(written.as_bytes()).unwrap(), object);
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(20), "]".repeat(20));
    let members = (0..300).map(|index| format!(r#""{index}":1"#)).collect::<Vec<_>>().join(",");
    for bad in [
        "",
        "[]",
        "1",
        "{",
        "}",
        "{}x",
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":+1}"#,
        r#"{"a":1e}"#,
        r#"{"a":NaN}"#,
        r#"{"a":tru}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"\u00g0"}"#,
        r#"{"a":"\u+123"}"#,
        "{\"a\":\"\n\"}",
        r"{'a':1}",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r"{a:1}",
        r#"{"a":[1,]}"#,
        r#"{"a":[1 2]}"#,
        "\u{feff}{}",
        &deep,
        &format!("{{{members}}}"),
    ] {
        assert_eq!(Object::parse(bad.as_bytes()).err().map(|error| error.kind()), Some(Kind::Malformed), "{bad:.60}");
    }
    assert!(Object::parse(b"{\"a\":\"\xff\"}").is_err());
}

#[test]
fn many_keep_their_order_and_their_failures() {
    let items: Vec<usize> = (0..10_000).collect();
    let done = many::spread(&items, 7, |item| item * 2).unwrap();
    assert!(done.iter().enumerate().all(|(index, value)| *value == index * 2));
    assert!(many::spread(&[0_usize; 0], 7, |item| *item).unwrap().is_empty());
    assert!(many::spread(&items, 1, |item| assert!(*item != 5_000)).is_err());
}

#[test]
fn a_token_goes_around_in_every_algorithm() {
    let secret = Arc::new(SecretKey::generate(64).unwrap());
    for name in ["HS256", "HS384", "HS512"] {
        let alg = SigAlg::parse(name).unwrap();
        let header = format!(r#"{{"alg":"{name}"}}"#);
        let signer = Signer::new(SigningKey::secret(alg, &secret).unwrap(), header.as_bytes()).unwrap();
        let verifier = Verifier::new(vec![VerifyingKey::secret(alg, &secret, None).unwrap()]);
        let token = signer.compact(b"payload").unwrap();
        assert_eq!(verifier.compact(&token, None).unwrap().1, b"payload");
        assert_eq!(alg.name(), name);
    }
    for (kind, names) in [
        ("RSA-2048", &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        ("EC-P256", &["ES256"]),
        ("EC-P384", &["ES384"]),
        ("EC-P521", &["ES512"]),
        ("Ed25519", &["EdDSA", "Ed25519"]),
        ("ML-DSA-44", &["ML-DSA-44"]),
        ("ML-DSA-65", &["ML-DSA-65"]),
        ("ML-DSA-87", &["ML-DSA-87"]),
    ] {
        let key = Arc::new(PrivateKey::generate(KeyAlgorithm::parse(kind).unwrap()).unwrap());
        let public = PublicKey::from_spki(key.spki()).unwrap();
        for name in names {
            let alg = SigAlg::parse(name).unwrap();
            let header = format!(r#"{{"alg":"{name}"}}"#);
            let signer = Signer::new(SigningKey::private(alg, key.clone()).unwrap(), header.as_bytes()).unwrap();
            let verifier = Verifier::new(vec![VerifyingKey::public(alg, &public, None).unwrap()]);
            // short numbers in an ECDSA signature are padded
            for round in 0..if kind.starts_with("EC") { 300 } else { 2_u32 } {
                let token = signer.compact(&round.to_be_bytes()).unwrap();
                assert_eq!(verifier.compact(&token, None).unwrap().1, round.to_be_bytes());
            }
        }
        assert!(SigningKey::private(SigAlg::parse("HS256").unwrap(), key.clone()).is_err());
        assert!(VerifyingKey::public(SigAlg::parse("HS256").unwrap(), &public, None).is_err());
    }
}

#[test]
fn a_secret_goes_around() {
    let key = Arc::new(SecretKey::generate(32).unwrap());
    for name in ["dir", "A256KW", "A256GCMKW"] {
        let alg = KeyAlg::parse(name).unwrap();
        let header = format!(r#"{{"alg":"{name}","enc":"A256GCM"}}"#);
        let encrypter = Encrypter::new(EncryptionKey::secret(alg, key.clone()).unwrap(), header.as_bytes()).unwrap();
        let ring = vec![DecryptionKey::secret(alg, key.clone(), None).unwrap()];
        let decrypter = Decrypter::new(ring, vec![Enc::A256Gcm]);
        let token = encrypter.encrypt(b"plaintext").unwrap();
        assert_eq!(*decrypter.decrypt(&token).unwrap().2, b"plaintext");
        for at in [3, token.len() - 2] {
            let mut changed = token.clone();
            changed[at] ^= 1;
            assert!(decrypter.decrypt(&changed).is_err());
        }
    }
}
