//! Keys bound to one algorithm and parsed once.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ParsedPublicKey, VerificationAlgorithm,
};
use zeroize::Zeroizing;

use super::agree::{Parties, concat_kdf, epk_member, epk_point, kem_kdf};
use super::algorithms::{Enc, KeyAlg, SigAlg, mismatch};
use super::base64url;
use super::header::Header;
use super::secret::SecretKey;
use crate::agreement::Agreement;
use crate::algorithms::{Curve, Hash, KeyAlgorithm, MlKem, SignatureAlgorithm};
use crate::der::{INTEGER, Reader, SEQUENCE, single};
use crate::error::{CoreError, Result};
use crate::keys::{PrivateKey, PublicKey, public_key_bits};
use crate::rsa_encryption::{Encryption, Padding};
use crate::{aead, ml_kem};

/// Octets that are cleansed when dropped.
type Secret = Zeroizing<Vec<u8>>;

fn hmac_key(hash: Hash, secret: &SecretKey) -> Result<hmac::Key> {
    let algorithm = match hash {
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
        Hash::Sha512 => hmac::HMAC_SHA512,
    };
    // RFC 7518 section 3.2
    if secret.bytes().len() < algorithm.digest_algorithm().output_len() {
        return Err(CoreError::weak_key("HMAC: the key is shorter than the hash"));
    }
    Ok(hmac::Key::new(algorithm, secret.bytes()))
}

enum Signing {
    Mac(Box<hmac::Key>),
    Private(Arc<PrivateKey>, SignatureAlgorithm),
}

/// A key that signs with one algorithm.
pub struct SigningKey {
    pub alg: SigAlg,
    inner: Signing,
}

impl SigningKey {
    pub fn private(alg: SigAlg, key: Arc<PrivateKey>) -> Result<Self> {
        let scheme = alg.scheme(key.algorithm())?;
        Ok(Self { alg, inner: Signing::Private(key, scheme) })
    }

    pub fn secret(alg: SigAlg, key: &SecretKey) -> Result<Self> {
        let SigAlg::Hmac(hash) = alg else { return Err(mismatch()) };
        Ok(Self { alg, inner: Signing::Mac(Box::new(hmac_key(hash, key)?)) })
    }

    pub fn is_slow(&self) -> bool {
        matches!(&self.inner, Signing::Private(key, _) if key.is_slow())
    }

    /// The signature as JWS writes it: ECDSA as two numbers of fixed length (RFC 7518 section 3.4).
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>> {
        match &self.inner {
            Signing::Mac(key) => Ok(hmac::sign(key, data).as_ref().to_vec()),
            Signing::Private(key, scheme) => {
                let signature = key.sign(*scheme, data)?;
                match self.alg {
                    SigAlg::Ecdsa(Curve::P256) => fixed(&signature, 32),
                    SigAlg::Ecdsa(Curve::P384) => fixed(&signature, 48),
                    SigAlg::Ecdsa(Curve::P521) => fixed(&signature, 66),
                    _ => Ok(signature),
                }
            }
        }
    }
}

/// From Ecdsa-Sig-Value to r ‖ s.
fn fixed(signature: &[u8], octets: usize) -> Result<Vec<u8>> {
    let mut out = vec![0; 2 * octets];
    let mut reader = Reader::new(single(signature, SEQUENCE)?);
    for half in out.chunks_exact_mut(octets) {
        let number = reader.expect(INTEGER)?.value;
        for (target, digit) in half.iter_mut().rev().zip(number.iter().rev()) {
            *target = *digit;
        }
    }
    Ok(out)
}

enum Verifying {
    Mac(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

/// A key that verifies one algorithm.
pub struct VerifyingKey {
    pub alg: SigAlg,
    pub kid: Option<String>,
    inner: Verifying,
}

impl VerifyingKey {
    pub fn public(alg: SigAlg, key: &PublicKey, kid: Option<String>) -> Result<Self> {
        let verification: &'static dyn VerificationAlgorithm = match alg {
            SigAlg::Ecdsa(Curve::P256) => &ECDSA_P256_SHA256_FIXED,
            SigAlg::Ecdsa(Curve::P384) => &ECDSA_P384_SHA384_FIXED,
            SigAlg::Ecdsa(Curve::P521) => &ECDSA_P521_SHA512_FIXED,
            _ => alg.scheme(key.algorithm())?.verification(key.algorithm())?,
        };
        alg.scheme(key.algorithm())?;
        Ok(Self { alg, kid, inner: Verifying::Public(ParsedPublicKey::new(verification, key.spki())?) })
    }

    pub fn secret(alg: SigAlg, key: &SecretKey, kid: Option<String>) -> Result<Self> {
        let SigAlg::Hmac(hash) = alg else { return Err(mismatch()) };
        Ok(Self { alg, kid, inner: Verifying::Mac(Box::new(hmac_key(hash, key)?)) })
    }

    pub fn verify(&self, data: &[u8], signature: &[u8]) -> Result<()> {
        match &self.inner {
            Verifying::Mac(key) => hmac::verify(key, data, signature),
            Verifying::Public(key) => key.verify_sig(data, signature),
        }
        .map_err(|_| CoreError::bad_signature("JWS: the signature does not verify"))
    }
}

fn gcm_key(key: &[u8]) -> Result<LessSafeKey> {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        24 => &AES_192_GCM,
        _ => &AES_256_GCM,
    };
    Ok(LessSafeKey::new(UnboundKey::new(algorithm, key)?))
}

/// The key of a secret in the length that `alg` has.
fn check_length(alg: KeyAlg, secret: &SecretKey) -> Result<()> {
    match alg {
        KeyAlg::Kw(octets) | KeyAlg::GcmKw(octets) if secret.bytes().len() != octets => {
            Err(CoreError::invalid("JWE: the key has another length than alg needs"))
        }
        KeyAlg::Kw(_) | KeyAlg::GcmKw(_) | KeyAlg::Dir => Ok(()),
        _ => Err(mismatch()),
    }
}

fn oaep(hash: Hash) -> Padding {
    match hash {
        Hash::Sha256 => Padding::OaepSha256,
        Hash::Sha384 => Padding::OaepSha384,
        Hash::Sha512 => Padding::OaepSha512,
    }
}

fn random(octets: usize) -> Result<Secret> {
    let mut key = Zeroizing::new(vec![0; octets]);
    aws_lc_rs::rand::fill(&mut key)?;
    Ok(key)
}

enum Encrypting {
    Secret(Arc<SecretKey>),
    Gcm(LessSafeKey),
    Rsa(Encryption),
    Point(Option<Curve>, Vec<u8>),
    Kem(MlKem, Vec<u8>),
}

/// A recipient.
pub struct EncryptionKey {
    pub alg: KeyAlg,
    inner: Encrypting,
}

/// What a recipient gets: its encrypted key, and parameters as a run of JSON members each after a comma.
pub struct Delivery {
    pub cek: Secret,
    pub encrypted_key: Vec<u8>,
    pub parameters: String,
}

impl EncryptionKey {
    pub fn secret(alg: KeyAlg, key: Arc<SecretKey>) -> Result<Self> {
        check_length(alg, &key)?;
        let inner = match alg {
            KeyAlg::GcmKw(_) => Encrypting::Gcm(gcm_key(key.bytes())?),
            _ => Encrypting::Secret(key),
        };
        Ok(Self { alg, inner })
    }

    pub fn public(alg: KeyAlg, key: &PublicKey) -> Result<Self> {
        let inner = match (alg, key.algorithm()) {
            (KeyAlg::RsaOaep(_), KeyAlgorithm::Rsa(_)) => Encrypting::Rsa(Encryption::from_spki(key.spki())?),
            (KeyAlg::EcdhEs(_), KeyAlgorithm::Ec(curve)) => {
                Encrypting::Point(Some(curve), public_key_bits(key.spki())?.to_vec())
            }
            (KeyAlg::EcdhEs(_), KeyAlgorithm::X25519) => Encrypting::Point(None, public_key_bits(key.spki())?.to_vec()),
            (KeyAlg::MlKem(level, _), KeyAlgorithm::MlKem(own)) if level == own => {
                Encrypting::Kem(level, public_key_bits(key.spki())?.to_vec())
            }
            _ => return Err(mismatch()),
        };
        Ok(Self { alg, inner })
    }

    /// Deliver `cek`, or a fresh one, or the one that comes of the agreement itself.
    pub fn deliver(&self, enc: Enc, cek: Option<&[u8]>, parties: &Parties) -> Result<Delivery> {
        if cek.is_some() && self.alg.is_direct() {
            return Err(CoreError::bad_algorithm("JWE: with this alg there is one recipient"));
        }
        let given = |cek: Option<&[u8]>| match cek {
            Some(key) => Ok(Zeroizing::new(key.to_vec())),
            None => random(enc.key_len()),
        };
        let mut parameters = String::new();
        let (cek, encrypted_key) = match (&self.inner, self.alg) {
            (Encrypting::Secret(key), KeyAlg::Dir) => (Zeroizing::new(key.bytes().to_vec()), Vec::new()),
            (Encrypting::Secret(key), _) => {
                let cek = given(cek)?;
                let wrapped = aead::kw_wrap(key.bytes(), &cek)?;
                (cek, wrapped)
            }
            (Encrypting::Gcm(key), _) => {
                let cek = given(cek)?;
                let mut iv = [0; 12];
                aws_lc_rs::rand::fill(&mut iv)?;
                let mut wrapped = cek.to_vec();
                let nonce = Nonce::assume_unique_for_key(iv);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut wrapped)?;
                let (iv, tag) = (base64url::encode(&iv), base64url::encode(tag.as_ref()));
                parameters = format!(r#","iv":"{iv}","tag":"{tag}""#);
                (cek, wrapped)
            }
            (Encrypting::Rsa(key), KeyAlg::RsaOaep(hash)) => {
                let cek = given(cek)?;
                let wrapped = key.encrypt(oaep(hash), &cek)?;
                (cek, wrapped)
            }
            (Encrypting::Point(curve, point), KeyAlg::EcdhEs(wrap)) => {
                let ephemeral = Agreement::ephemeral(*curve)?;
                parameters = epk_member(*curve, &ephemeral.public_point()?)?;
                let secret = ephemeral.agree(point)?;
                self.derived(enc, wrap, given, cek, |name, octets| concat_kdf(&secret, name, parties, octets))?
            }
            (Encrypting::Kem(level, public), KeyAlg::MlKem(_, wrap)) => {
                let (ciphertext, secret) = ml_kem::encapsulate(*level, public)?;
                parameters = format!(r#","ek":"{}""#, base64url::encode(&ciphertext));
                self.derived(enc, wrap, given, cek, |name, octets| kem_kdf(&secret, name, octets))?
            }
            _ => return Err(mismatch()),
        };
        Ok(Delivery { cek, encrypted_key, parameters })
    }

    /// Use a derived key as the content's, or wrap that with it.
    fn derived(
        &self,
        enc: Enc,
        wrap: Option<usize>,
        given: impl Fn(Option<&[u8]>) -> Result<Secret>,
        cek: Option<&[u8]>,
        derive: impl Fn(&str, usize) -> Secret,
    ) -> Result<(Secret, Vec<u8>)> {
        match wrap {
            None => Ok((derive(enc.name(), enc.key_len()), Vec::new())),
            Some(octets) => {
                let cek = given(cek)?;
                let wrapped = aead::kw_wrap(&derive(self.alg.name(), octets), &cek)?;
                Ok((cek, wrapped))
            }
        }
    }
}

enum Decrypting {
    Secret(Arc<SecretKey>),
    Gcm(LessSafeKey),
    Private(Arc<PrivateKey>),
}

/// A key that decrypts with one algorithm, and perhaps one content encryption only.
pub struct DecryptionKey {
    pub alg: KeyAlg,
    pub enc: Option<Enc>,
    pub kid: Option<String>,
    inner: Decrypting,
}

impl DecryptionKey {
    pub fn secret(alg: KeyAlg, key: Arc<SecretKey>, kid: Option<String>) -> Result<Self> {
        check_length(alg, &key)?;
        let inner = match alg {
            KeyAlg::GcmKw(_) => Decrypting::Gcm(gcm_key(key.bytes())?),
            _ => Decrypting::Secret(key),
        };
        Ok(Self { alg, enc: None, kid, inner })
    }

    /// A direct key that is for `enc` alone.
    pub fn content(enc: Enc, key: Arc<SecretKey>, kid: Option<String>) -> Result<Self> {
        if key.bytes().len() != enc.key_len() {
            return Err(CoreError::invalid("JWE: the key has another length than enc needs"));
        }
        Ok(Self { alg: KeyAlg::Dir, enc: Some(enc), kid, inner: Decrypting::Secret(key) })
    }

    pub fn private(alg: KeyAlg, key: Arc<PrivateKey>, kid: Option<String>) -> Result<Self> {
        match (alg, key.algorithm()) {
            (KeyAlg::RsaOaep(_), KeyAlgorithm::Rsa(_))
            | (KeyAlg::EcdhEs(_), KeyAlgorithm::Ec(_) | KeyAlgorithm::X25519) => {}
            (KeyAlg::MlKem(level, _), KeyAlgorithm::MlKem(own)) if level == own => {}
            _ => return Err(mismatch()),
        }
        Ok(Self { alg, enc: None, kid, inner: Decrypting::Private(key) })
    }

    pub fn is_slow(&self) -> bool {
        matches!(&self.inner, Decrypting::Private(key) if key.is_slow())
    }

    /// The direct key, where there is one.
    pub fn direct(&self) -> Option<&[u8]> {
        match (&self.inner, self.alg) {
            (Decrypting::Secret(key), KeyAlg::Dir) => Some(key.bytes()),
            _ => None,
        }
    }

    /// The content encryption key. One that does not come out is replaced by a random one (RFC 7516 section 11.5), so that
    /// a peer sees, and may time, only a content that does not decrypt.
    pub fn recover(&self, header: &Header<'_>, enc: Enc, encrypted_key: &[u8]) -> Result<Secret> {
        if self.alg.is_direct() != encrypted_key.is_empty() {
            return Err(CoreError::malformed("JWE: an encrypted key where none belongs, or none"));
        }
        let recovered = match (&self.inner, self.alg) {
            (Decrypting::Secret(key), KeyAlg::Dir) => {
                // A wrong length is the caller's: the key is not for this enc.
                return if key.bytes().len() == enc.key_len() {
                    Ok(Zeroizing::new(key.bytes().to_vec()))
                } else {
                    Err(CoreError::bad_algorithm("JWE: the key has another length than enc needs"))
                };
            }
            (Decrypting::Secret(key), _) => aead::kw_unwrap(key.bytes(), encrypted_key),
            (Decrypting::Gcm(key), _) => unwrap_gcm(key, header, encrypted_key),
            (Decrypting::Private(key), KeyAlg::RsaOaep(hash)) => key.rsa_decrypt(oaep(hash), encrypted_key),
            (Decrypting::Private(key), KeyAlg::EcdhEs(wrap)) => {
                let curve = match key.algorithm() {
                    KeyAlgorithm::Ec(curve) => Some(curve),
                    _ => None,
                };
                let epk = header.object("epk")?.ok_or_else(|| CoreError::malformed("JWE: epk is missing"))?;
                let secret = key.ecdh_point(&epk_point(curve, epk)?)?;
                let parties = Parties::read(header)?;
                self.derived(enc, wrap, encrypted_key, |name, octets| concat_kdf(&secret, name, &parties, octets))
            }
            (Decrypting::Private(key), KeyAlg::MlKem(_, wrap)) => {
                let ciphertext = header.octets("ek")?.ok_or_else(|| CoreError::malformed("JWE: ek is missing"))?;
                let secret = key.decapsulate(&ciphertext)?;
                self.derived(enc, wrap, encrypted_key, |name, octets| kem_kdf(&secret, name, octets))
            }
            _ => return Err(mismatch()),
        };
        match recovered {
            Ok(key) if key.len() == enc.key_len() => Ok(key),
            _ => random(enc.key_len()),
        }
    }

    fn derived(
        &self,
        enc: Enc,
        wrap: Option<usize>,
        encrypted_key: &[u8],
        derive: impl Fn(&str, usize) -> Secret,
    ) -> Result<Secret> {
        match wrap {
            None => Ok(derive(enc.name(), enc.key_len())),
            Some(octets) => aead::kw_unwrap(&derive(self.alg.name(), octets), encrypted_key),
        }
    }
}

fn unwrap_gcm(key: &LessSafeKey, header: &Header<'_>, encrypted_key: &[u8]) -> Result<Secret> {
    let missing = || CoreError::malformed("JWE: iv or tag of the key is missing");
    let (iv, tag) = (header.octets("iv")?.ok_or_else(missing)?, header.octets("tag")?.ok_or_else(missing)?);
    if iv.len() != 12 || tag.len() != 16 {
        return Err(CoreError::malformed("JWE: iv or tag of the key has another length"));
    }
    let mut buffer = Zeroizing::new(encrypted_key.to_vec());
    buffer.extend_from_slice(&tag);
    let nonce = Nonce::try_assume_unique_for_key(&iv)?;
    let len = key.open_in_place(nonce, Aad::empty(), &mut buffer)?.len();
    buffer.truncate(len);
    Ok(buffer)
}
