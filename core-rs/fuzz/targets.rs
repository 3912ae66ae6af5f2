// What the fuzz targets and `cargo test` (tests/fuzz_smoke.rs) run: a decoder may refuse, never panic, and what it
// accepts must hold what it promises.

use pycryptoutil_core::aead::{SymmetricKey, kw_unwrap};
use pycryptoutil_core::algorithms::KeyAlgorithm;
use pycryptoutil_core::crl::check_entries;
use pycryptoutil_core::der;
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
    ]
}
