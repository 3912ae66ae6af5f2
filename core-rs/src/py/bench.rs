//! The limits that `make bench` holds our figures against, measured in the same process.

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use pyo3::prelude::*;

use super::keys::{PrivateKey, PublicKey};
use super::secret::SecretKey;
use crate::algorithms::SignatureAlgorithm;
use crate::error::Result;
use crate::jose::agree::Parties;
use crate::jose::algorithms::{Enc, KeyAlg, SigAlg};
use crate::jose::content::ContentKey;
use crate::jose::header::{Header, protected_json};
use crate::jose::json::Object;
use crate::jose::keys::{DecryptionKey, EncryptionKey, SigningKey, VerifyingKey};
use crate::jose::parse::compact_jwe;

/// Seconds for `count` bare signatures over `data`, with nothing around them.
#[pyfunction]
pub fn bench_sign_loop(
    py: Python<'_>,
    key: &PrivateKey,
    signature_algorithm: &str,
    data: &[u8],
    count: usize,
) -> PyResult<f64> {
    let algorithm = SignatureAlgorithm::parse(signature_algorithm)?;
    py.detach(|| {
        let mut out = Vec::with_capacity(8192);
        let start = Instant::now();
        for _ in 0..count {
            out.clear();
            key.0.sign_into(algorithm, black_box(data), &mut out)?;
            black_box(&out);
        }
        Ok(start.elapsed().as_secs_f64())
    })
}

/// Seconds for one SHA-256 over `data`.
#[pyfunction]
pub fn bench_sha256(py: Python<'_>, data: &[u8]) -> f64 {
    py.detach(|| {
        let start = Instant::now();
        black_box(digest(&SHA256, black_box(data)));
        start.elapsed().as_secs_f64()
    })
}

/// Seconds for `count` rounds of `work`.
fn rounds(count: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..count {
        work()?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds for `count` bare HMACs.
#[pyfunction]
pub fn bench_mac_loop(py: Python<'_>, key: &SecretKey, alg: &str, data: &[u8], count: usize) -> PyResult<f64> {
    let key = SigningKey::secret(SigAlg::parse(alg)?, &key.0)?;
    Ok(py.detach(|| rounds(count, || key.sign(black_box(data)).map(drop)))?)
}

/// Seconds for `count` bare verifications by a key that is parsed.
#[pyfunction]
pub fn bench_verify_loop(
    py: Python<'_>,
    key: &PublicKey,
    alg: &str,
    data: &[u8],
    signature: &[u8],
    count: usize,
) -> PyResult<f64> {
    let key = VerifyingKey::public(SigAlg::parse(alg)?, &key.0, None)?;
    Ok(py.detach(|| rounds(count, || key.verify(black_box(data), signature)))?)
}

/// Seconds for `count` deliveries of a key and encryptions under it, with no token around them.
#[pyfunction]
pub fn bench_encrypt_loop(
    py: Python<'_>,
    key: &Bound<'_, PyAny>,
    alg: &str,
    enc: &str,
    plaintext: &[u8],
    count: usize,
) -> PyResult<f64> {
    let (alg, enc) = (KeyAlg::parse(alg)?, Enc::parse(enc)?);
    let key = match key.cast::<SecretKey>() {
        Ok(key) => EncryptionKey::secret(alg, key.get().0.clone())?,
        Err(_) => EncryptionKey::public(alg, &key.cast::<PublicKey>()?.get().0)?,
    };
    let kept = match alg {
        KeyAlg::Dir => Some(ContentKey::new(enc, &key.deliver(enc, None, &Parties::default())?.cek)?),
        _ => None,
    };
    let mut body = Vec::with_capacity(plaintext.len() + 16);
    Ok(py.detach(|| {
        rounds(count, || {
            let mut iv = [0; 16];
            let iv = iv.get_mut(..enc.iv_len()).unwrap_or_default();
            aws_lc_rs::rand::fill(iv)?;
            body.clear();
            body.extend_from_slice(plaintext);
            if let Some(content) = &kept {
                return content.seal(iv, b"", &mut body).map(drop);
            }
            let delivery = key.deliver(enc, None, &Parties::default())?;
            ContentKey::new(enc, &delivery.cek)?.seal(iv, b"", &mut body).map(drop)
        })
    })?)
}

/// Seconds for `count` recoveries of the key in `token` and decryptions under it; the token is parsed once.
#[pyfunction]
pub fn bench_decrypt_loop(
    py: Python<'_>,
    key: &Bound<'_, PyAny>,
    alg: &str,
    token: &[u8],
    count: usize,
) -> PyResult<f64> {
    let alg = KeyAlg::parse(alg)?;
    let key = match key.cast::<SecretKey>() {
        Ok(key) => DecryptionKey::secret(alg, key.get().0.clone(), None)?,
        Err(_) => DecryptionKey::private(alg, key.cast::<PrivateKey>()?.get().0.clone(), None)?,
    };
    let jwe = compact_jwe(token)?;
    let json = protected_json(jwe.protected)?;
    let object = Object::parse(&json)?;
    let header = Header::new(&object, [None, None], &[])?;
    let enc = Enc::parse(header.string("enc")?.unwrap_or_default())?;
    let kept = match alg {
        KeyAlg::Dir => Some(ContentKey::new(enc, &key.recover(&header, enc, &jwe.encrypted_key)?)?),
        _ => None,
    };
    Ok(py.detach(|| {
        rounds(count, || {
            let mut body = Vec::with_capacity(jwe.ciphertext.len() + 32);
            body.extend_from_slice(&jwe.ciphertext);
            if let Some(content) = &kept {
                return content.open(&jwe.iv, jwe.protected, body, &jwe.tag).map(drop);
            }
            let cek = key.recover(&header, enc, &jwe.encrypted_key)?;
            ContentKey::new(enc, &cek)?.open(&jwe.iv, jwe.protected, body, &jwe.tag).map(drop)
        })
    })?)
}
