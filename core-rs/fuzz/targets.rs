// What the fuzz targets and `cargo test` (tests/fuzz_smoke.rs) run: a decoder may refuse, never panic, and what it
// accepts must hold what it promises.

use pycryptoutil_core::aead::{SymmetricKey, kw_unwrap};
use pycryptoutil_core::algorithms::KeyAlgorithm;
use pycryptoutil_core::crl::check_entries;
use pycryptoutil_core::der;
use pycryptoutil_core::jose::algorithms::{Enc, KeyAlg, SigAlg};
use pycryptoutil_core::jose::json::Object;
use pycryptoutil_core::jose::jwe::{Decrypter, Encrypter};
use pycryptoutil_core::jose::jws::{Signer, Verifier};
use pycryptoutil_core::jose::keys::{DecryptionKey, EncryptionKey, SigningKey, VerifyingKey};
use pycryptoutil_core::jose::secret::SecretKey;
use pycryptoutil_core::jose::{base64url, jwe_json, jws};
use pycryptoutil_core::keys::{PrivateKey, PublicKey};
use pycryptoutil_core::shamir;

pub fn pkcs8(data: &[u8]) {
    if let Ok(key) = PrivateKey::from_pkcs8(data) {
        // what was imported can be exported, and is the same key
        let again = key.export_pkcs8().and_then(|document| PrivateKey::from_pkcs8(&document));
        assert!(again.is_ok_and(|again| again.spki() == key.spki()));
    }
}

pub fn spki(data: &[u8]) {
    if let Ok(key) = PublicKey::from_spki(data) {
        assert!(key.spki() == data);
    }
}

pub fn sealed(data: &[u8]) {
    if let Ok(key) = SymmetricKey::from_bytes(&[7; 32]) {
        let _ = key.decrypt(data, b"aad");
        let _ = PrivateKey::from_pkcs8(data);
        let _ = kw_unwrap(key.bytes(), data);
        let _ = kw_unwrap(&[7; 24], data);
    }
}

/// The shares are as long as the first octet says.
pub fn shares(data: &[u8]) {
    if let Some((length, rest)) = data.split_first() {
        let parts: Vec<&[u8]> = rest.chunks(usize::from(*length).max(1)).collect();
        if let Ok(secret) = shamir::combine(&parts) {
            assert!(!secret.is_empty());
        }
    }
}

pub fn crl_entries(data: &[u8]) {
    if let Ok(count) = check_entries(data) {
        // the fast reader accepts nothing that the strict one does not split into as many
        let mut reader = der::Reader::new(data);
        for _ in 0..count {
            assert!(reader.expect(der::SEQUENCE).is_ok());
        }
        assert!(reader.is_empty());
    }
}

pub fn der_reader(data: &[u8]) {
    let _ = der::well_formed(data, der::SEQUENCE);
    let _ = der::well_formed_run(data);
    let _ = pycryptoutil_core::keys::public_key_bits(data);
}

/// RFC 8037 appendix A.6's key, as PKCS#8.
const X25519: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20\
    \x77\x07\x6d\x0a\x73\x18\xa5\x7d\x3c\x16\xc1\x72\x51\xb2\x66\x45\xdf\x4c\x2f\x87\xeb\xc0\x99\x2a\xb1\x77\xfb\xa5\x1d\xb9\x2c\x2a";

fn rings() -> Option<(Verifier, Decrypter)> {
    let secret = std::sync::Arc::new(SecretKey::from_bytes(&[7; 32]).ok()?);
    let agreement = std::sync::Arc::new(PrivateKey::from_pkcs8(X25519).ok()?);
    let verifier = Verifier::new(vec![VerifyingKey::secret(SigAlg::parse("HS256").ok()?, &secret, None).ok()?]);
    let mut keys = Vec::new();
    for name in ["dir", "A256KW", "A256GCMKW"] {
        keys.push(DecryptionKey::secret(KeyAlg::parse(name).ok()?, secret.clone(), None).ok()?);
    }
    for name in ["ECDH-ES", "ECDH-ES+A256KW"] {
        keys.push(DecryptionKey::private(KeyAlg::parse(name).ok()?, agreement.clone(), None).ok()?);
    }
    Some((verifier, Decrypter::new(keys, vec![Enc::A256Gcm, Enc::A128CbcHs256, Enc::A256CbcHs512])))
}

pub fn jose(data: &[u8]) {
    if let Ok(octets) = base64url::decode(data) {
        assert!(base64url::encode(&octets).as_bytes() == data, "one text for each value");
    }
    if let Ok(object) = Object::parse(data) {
        let mut text = String::new();
        object.write(&mut text);
        assert!(Object::parse(text.as_bytes()).is_ok_and(|again| again == object));
    }
    let inspected = jws::inspect(data, None);
    if let Some((verifier, decrypter)) = rings() {
        // what verifies was fit to be taken apart
        assert!(verifier.compact(data, None).is_err() || inspected.is_ok());
        let _ = verifier.compact(data, Some(b"payload"));
        if let Ok((_, found)) = verifier.json(data, None) {
            assert!(!found.is_empty());
        }
        let _ = verifier.json(data, Some(b"payload"));
        let _ = decrypter.decrypt(data);
        let _ = jwe_json::decrypt(&decrypter, data);
    }
}

fn tokens() -> Option<Vec<Vec<u8>>> {
    let secret = std::sync::Arc::new(SecretKey::from_bytes(&[7; 32]).ok()?);
    let public = PublicKey::from_spki(PrivateKey::from_pkcs8(X25519).ok()?.spki()).ok()?;
    let mut out = Vec::new();
    for header in [r#"{"alg":"HS256","kid":"k"}"#, r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#] {
        let signer =
            Signer::new(SigningKey::secret(SigAlg::parse("HS256").ok()?, &secret).ok()?, header.as_bytes()).ok()?;
        out.push(signer.compact(b"payload").ok()?);
        out.push(signer.detached(b"payload").ok()?);
        let (protected, signature) = signer.part(b"payload").ok()?;
        let (protected, signature) = (String::from_utf8(protected).ok()?, String::from_utf8(signature).ok()?);
        let part = format!(r#""protected":"{protected}","header":{{"x":[1,null,-2.5e3]}},"signature":"{signature}""#);
        out.push(format!(r#"{{"payload":"cGF5bG9hZA",{part}}}"#).into_bytes());
        out.push(format!(r#"{{"payload":"cGF5bG9hZA","signatures":[{{{part}}}]}}"#).into_bytes());
    }
    for alg in ["dir", "A256KW", "A256GCMKW", "ECDH-ES", "ECDH-ES+A256KW"] {
        let key = |parsed| {
            if alg.starts_with('E') {
                EncryptionKey::public(parsed, &public)
            } else {
                EncryptionKey::secret(parsed, secret.clone())
            }
        };
        let header = format!(r#"{{"alg":"{alg}","enc":"A256GCM"}}"#);
        out.push(
            Encrypter::new(key(KeyAlg::parse(alg).ok()?).ok()?, header.as_bytes()).ok()?.encrypt(b"plaintext").ok()?,
        );
        let recipient = jwe_json::Recipient {
            key: key(KeyAlg::parse(alg).ok()?).ok()?,
            header: format!(r#"{{"alg":"{alg}"}}"#).into_bytes(),
        };
        for flattened in [false, true] {
            let shared = jwe_json::Shared {
                protected: br#"{"enc":"A256GCM"}"#,
                unprotected: b"{}",
                aad: Some(b"aad"),
                flattened,
            };
            out.push(jwe_json::encrypt(std::slice::from_ref(&recipient), &shared, b"plaintext").ok()?.into_bytes());
        }
    }
    Some(out)
}

type Target = fn(&[u8]);

/// Name, target and seeds.
#[allow(dead_code)]
pub fn all() -> Vec<(&'static str, Target, Vec<Vec<u8>>)> {
    let keys: Vec<PrivateKey> = ["EC-P256", "EC-P521", "Ed25519", "ML-DSA-44", "RSA-2048"]
        .into_iter()
        .filter_map(|name| KeyAlgorithm::parse(name).and_then(PrivateKey::generate).ok())
        .collect();
    let documents: Vec<Vec<u8>> = keys.iter().filter_map(|key| Some(key.export_pkcs8().ok()?.to_vec())).collect();
    let spkis: Vec<Vec<u8>> = keys.iter().map(|key| key.spki().to_vec()).collect();
    let share_runs = shamir::split(&[5; 8], 3, 2).map_or_else(
        |_| Vec::new(),
        |parts| {
            let length = parts.first().map_or(0, |part| part.len());
            let mut run = vec![u8::try_from(length).unwrap_or_default()];
            run.extend(parts.iter().flat_map(|part| part.iter().copied()));
            vec![run]
        },
    );
    let entries = vec![
        b"\x30\x12\x02\x01\x01\x17\x0d250101000000Z".to_vec(),
        b"\x30\x14\x02\x01\x01\x18\x0f20500101000000Z".to_vec(),
        b"\x30\x20\x02\x01\x01\x17\x0d250101000000Z\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01\x01".to_vec(),
    ];
    vec![
        ("pkcs8", pkcs8, documents.clone()),
        ("spki", spki, spkis.clone()),
        ("sealed", sealed, [documents, vec![vec![0; 28], vec![1; 40]]].concat()),
        ("shares", shares, share_runs),
        ("crl_entries", crl_entries, entries),
        ("der_reader", der_reader, spkis),
        ("jose", jose, tokens().unwrap_or_default()),
    ]
}
