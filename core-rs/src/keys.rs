//! Private and public keys. aws-lc holds the secrets and cleanses them when a key is dropped.

use std::sync::OnceLock;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, AsRawBytes, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey, PqdsaKeyPair};
use zeroize::Zeroizing;

use crate::agreement::{self, Agreement};
use crate::algorithms::{Curve, Hash, KeyAlgorithm, MlDsa, SignatureAlgorithm, no_digests, oid, rsa_size};
use crate::der::{self, INTEGER, OCTET_STRING, Reader, SEQUENCE};
use crate::error::{CoreError, Result};
use crate::ml_kem;
use crate::rsa_encryption::{Decryption, Padding};

/// A PKCS#8 document longer than this is not one of ours: RSA-8192 takes under 5 000 octets, ML-DSA-87 under 5 100.
pub const MAX_PKCS8: usize = 16 * 1024;
/// RSA-8192 and ML-DSA-87 public keys take under 2 700 octets.
pub const MAX_SPKI: usize = 8 * 1024;

enum Pair {
    Rsa(rsa::KeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair),
    X25519(Agreement),
    MlKem(ml_kem::PrivateKey),
}

/// The same key as the library wants it for another use, made when it is first needed.
#[derive(Default)]
struct OtherUse {
    agreement: OnceLock<Agreement>,
    decryption: OnceLock<Decryption>,
}

/// A key that signs, agrees, decrypts or decapsulates, whichever its algorithm offers. It has no `Debug`, no `Clone` and no accessor of its secret but `export_pkcs8`.
pub struct PrivateKey {
    pair: Pair,
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
    other: OtherUse,
}

impl PrivateKey {
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self> {
        let pair = match algorithm {
            KeyAlgorithm::Rsa(bits) => Pair::Rsa(rsa::KeyPair::generate(rsa_size(bits)?)?),
            KeyAlgorithm::Ec(curve) => Pair::Ec(EcdsaKeyPair::generate(curve.signing())?),
            KeyAlgorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate()?),
            KeyAlgorithm::MlDsa(level) => Pair::MlDsa(PqdsaKeyPair::generate(level.signing())?),
            KeyAlgorithm::X25519 => Pair::X25519(Agreement::generate_x25519()?),
            KeyAlgorithm::MlKem(level) => Pair::MlKem(ml_kem::PrivateKey::generate(level)?),
        };
        Self::new(pair, algorithm)
    }

    /// Read a PKCS#8 document (RFC 5208, RFC 5958). Public halves inside are checked against the private ones.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self> {
        if document.len() > MAX_PKCS8 {
            return Err(CoreError::malformed("PKCS#8: too long"));
        }
        let algorithm = pkcs8_algorithm(document)?;
        let (pair, algorithm) = match algorithm {
            KeyAlgorithm::Rsa(_) => {
                let pair = rsa::KeyPair::from_pkcs8(document)?;
                let bits = modulus_bits(pair.public_key().as_ref())?;
                (Pair::Rsa(pair), KeyAlgorithm::Rsa(bits))
            }
            KeyAlgorithm::Ec(curve) => (Pair::Ec(EcdsaKeyPair::from_pkcs8(curve.signing(), document)?), algorithm),
            KeyAlgorithm::Ed25519 => (Pair::Ed25519(Ed25519KeyPair::from_pkcs8(document)?), algorithm),
            KeyAlgorithm::MlDsa(level) => {
                (Pair::MlDsa(PqdsaKeyPair::from_pkcs8(level.signing(), document)?), algorithm)
            }
            KeyAlgorithm::X25519 => (Pair::X25519(Agreement::x25519_from_pkcs8(document)?), algorithm),
            KeyAlgorithm::MlKem(level) => {
                let key = OneAsymmetricKey::read(document)?;
                (Pair::MlKem(ml_kem::PrivateKey::from_choice(level, key.private, key.public)?), algorithm)
            }
        };
        Self::new(pair, algorithm)
    }

    fn new(pair: Pair, algorithm: KeyAlgorithm) -> Result<Self> {
        let spki: PublicKeyX509Der<'static> = match &pair {
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Ec(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::MlDsa(pair) => pair.public_key().as_der(),
            Pair::X25519(key) => key.public(),
            Pair::MlKem(key) => {
                let spki = key.spki();
                return Ok(Self { pair, algorithm, spki, other: OtherUse::default() });
            }
        }?;
        let spki = spki.as_ref().to_vec();
        Ok(Self { pair, algorithm, spki, other: OtherUse::default() })
    }

    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Unencrypted PKCS#8, the one way out. ML-DSA and ML-KEM are written as their seed, or expanded where only that was imported.
    pub fn export_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        let copy = |document: &[u8]| Zeroizing::new(document.to_vec());
        Ok(match &self.pair {
            Pair::Rsa(pair) => {
                let document: Pkcs8V1Der<'static> = pair.as_der()?;
                copy(document.as_ref())
            }
            Pair::Ec(pair) => copy(pair.to_pkcs8v1()?.as_ref()),
            Pair::Ed25519(pair) => copy(pair.to_pkcs8v1()?.as_ref()),
            Pair::MlDsa(pair) => match pair.to_pkcs8v1() {
                Ok(document) => copy(document.as_ref()),
                Err(_) => expanded_pkcs8(self.algorithm, pair)?,
            },
            Pair::X25519(key) => key.x25519_pkcs8()?,
            Pair::MlKem(key) => key.pkcs8(),
        })
    }

    /// Sign `data` and append the signature to `out`.
    pub fn sign_into(&self, algorithm: SignatureAlgorithm, data: &[u8], out: &mut Vec<u8>) -> Result<()> {
        algorithm.check_signs(self.algorithm)?;
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(algorithm.rsa_encoding()?, &SystemRandom::new(), data, &mut signature)?;
                out.extend_from_slice(&signature);
            }
            Pair::Ec(pair) => out.extend_from_slice(pair.sign(&SystemRandom::new(), data)?.as_ref()),
            Pair::Ed25519(pair) => out.extend_from_slice(pair.try_sign(data)?.as_ref()),
            Pair::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                pair.sign(data, &mut signature)?;
                out.extend_from_slice(&signature);
            }
            Pair::X25519(_) | Pair::MlKem(_) => return Err(CoreError::bad_algorithm("this key does not sign")),
        }
        Ok(())
    }

    pub fn sign(&self, algorithm: SignatureAlgorithm, data: &[u8]) -> Result<Vec<u8>> {
        let mut signature = Vec::new();
        self.sign_into(algorithm, data, &mut signature)?;
        Ok(signature)
    }

    /// Sign what has been hashed already. The FIPS module does not approve of it, nor do all schemes have a hash.
    pub fn sign_digest(&self, algorithm: SignatureAlgorithm, digest: &Digest) -> Result<Vec<u8>> {
        algorithm.check_signs(self.algorithm)?;
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(algorithm.rsa_encoding()?, digest, &mut signature)?;
                Ok(signature)
            }
            Pair::Ec(pair) => Ok(pair.sign_digest(digest)?.as_ref().to_vec()),
            Pair::Ed25519(_) | Pair::MlDsa(_) | Pair::X25519(_) | Pair::MlKem(_) => Err(no_digests()),
        }
    }

    /// The shared secret with the holder of `peer`, a SubjectPublicKeyInfo on the same curve: the x coordinate of
    /// SP 800-56A section 5.7.1.2, or X25519's output. Derive keys from it, do not use it as one.
    pub fn ecdh(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        if spki_algorithm(peer)? != self.algorithm {
            return Err(CoreError::bad_algorithm("ECDH: the peer's key is on another curve"));
        }
        self.ecdh_point(public_key_bits(peer)?)
    }

    /// The same with the peer's bare public key: an uncompressed point, or 32 octets for X25519.
    pub fn ecdh_point(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        match (&self.pair, self.algorithm) {
            (Pair::X25519(key), _) => key.agree(peer),
            (Pair::Ec(_), KeyAlgorithm::Ec(curve)) => {
                if let Some(key) = self.other.agreement.get() {
                    return key.agree(peer);
                }
                let key = Agreement::ec_from_pkcs8(curve, &self.export_pkcs8()?)?;
                self.other.agreement.get_or_init(|| key).agree(peer)
            }
            _ => Err(CoreError::bad_algorithm("ECDH: this key does not agree")),
        }
    }

    /// Decrypt with RSA. With `Padding::Pkcs1` every failure looks the same, and whoever calls must answer it as he
    /// answers a wrong content (RFC 8017 section 7.2.2, RFC 3218): go on with a random key.
    pub fn rsa_decrypt(&self, padding: Padding, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        if !matches!(self.pair, Pair::Rsa(_)) {
            return Err(CoreError::bad_algorithm("RSA decryption with a key that is not RSA"));
        }
        if let Some(key) = self.other.decryption.get() {
            return key.decrypt(padding, ciphertext);
        }
        let key = Decryption::from_pkcs8(&self.export_pkcs8()?)?;
        self.other.decryption.get_or_init(|| key).decrypt(padding, ciphertext)
    }

    /// The secret in an ML-KEM ciphertext (FIPS 203 section 7.3). One that was made for another key gives another
    /// secret, not an error.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        match &self.pair {
            Pair::MlKem(key) => key.decapsulate(ciphertext),
            _ => Err(CoreError::bad_algorithm("this key does not decapsulate")),
        }
    }

    /// Whether one signature takes so long (over 200 µs, or near it) that other threads should run meanwhile.
    pub const fn is_slow(&self) -> bool {
        match self.algorithm {
            KeyAlgorithm::Rsa(_) | KeyAlgorithm::Ec(Curve::P521) => true,
            KeyAlgorithm::Ec(_) | KeyAlgorithm::Ed25519 | KeyAlgorithm::X25519 | KeyAlgorithm::MlKem(_) => false,
            KeyAlgorithm::MlDsa(level) => !matches!(level, MlDsa::Level44),
        }
    }
}

/// A key that verifies, encrypts or encapsulates, parsed once.
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
}

impl PublicKey {
    /// Read a DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7); another encoding of the same key is refused.
    pub fn from_spki(spki: &[u8]) -> Result<Self> {
        if spki.len() > MAX_SPKI {
            return Err(CoreError::malformed("SubjectPublicKeyInfo: too long"));
        }
        let algorithm = spki_algorithm(spki)?;
        let default = match algorithm {
            KeyAlgorithm::Rsa(_) => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
            KeyAlgorithm::Ec(curve) => SignatureAlgorithm::Ecdsa(curve.hash()),
            KeyAlgorithm::Ed25519 => SignatureAlgorithm::Ed25519,
            KeyAlgorithm::MlDsa(level) => SignatureAlgorithm::MlDsa(level),
            KeyAlgorithm::X25519 => {
                agreement::check_x25519(spki)?;
                return Ok(Self { algorithm, spki: spki.to_vec() });
            }
            KeyAlgorithm::MlKem(level) => {
                ml_kem::check_spki(level, spki)?;
                return Ok(Self { algorithm, spki: spki.to_vec() });
            }
        };
        let parsed = ParsedPublicKey::new(default.verification(algorithm)?, spki)?;
        let canonical: PublicKeyX509Der<'static> = parsed.as_der()?;
        if canonical.as_ref() != spki {
            return Err(CoreError::malformed("SubjectPublicKeyInfo: not the canonical encoding"));
        }
        Ok(Self { algorithm, spki: spki.to_vec() })
    }

    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// An error unless `signature` is over `data`.
    pub fn verify(&self, algorithm: SignatureAlgorithm, data: &[u8], signature: &[u8]) -> Result<()> {
        ParsedPublicKey::new(algorithm.verification(self.algorithm)?, &self.spki)?
            .verify_sig(data, signature)
            .map_err(|_| CoreError::bad_signature("the signature does not verify"))
    }

    /// The same for data of which only the digest is known.
    pub fn verify_digest(&self, algorithm: SignatureAlgorithm, digest: &Digest, signature: &[u8]) -> Result<()> {
        let verification = algorithm.verification(self.algorithm)?;
        if algorithm.prehash().is_none() {
            return Err(no_digests());
        }
        ParsedPublicKey::new(verification, &self.spki)?
            .verify_digest_sig(digest, signature)
            .map_err(|_| CoreError::bad_signature("the signature does not verify"))
    }
}

impl PublicKey {
    /// Encrypt with RSA.
    pub fn rsa_encrypt(&self, padding: Padding, plaintext: &[u8]) -> Result<Vec<u8>> {
        match self.algorithm {
            KeyAlgorithm::Rsa(_) => crate::rsa_encryption::encrypt(&self.spki, padding, plaintext),
            _ => Err(CoreError::bad_algorithm("RSA encryption with a key that is not RSA")),
        }
    }

    /// A fresh ML-KEM ciphertext and the secret in it (FIPS 203 section 7.2).
    pub fn encapsulate(&self) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>)> {
        match self.algorithm {
            KeyAlgorithm::MlKem(level) => ml_kem::encapsulate(level, public_key_bits(&self.spki)?),
            _ => Err(CoreError::bad_algorithm("this key does not encapsulate")),
        }
    }
}

/// The content octets of the BIT STRING in a SubjectPublicKeyInfo, without the count of unused bits.
pub fn public_key_bits(spki: &[u8]) -> Result<&[u8]> {
    let mut fields = Reader::new(der::single(spki, SEQUENCE)?);
    fields.expect(SEQUENCE)?;
    let bits = fields.expect(der::BIT_STRING)?;
    fields.finish()?;
    match bits.value.split_first() {
        Some((0, key)) => Ok(key),
        _ => Err(CoreError::malformed("SubjectPublicKeyInfo: unused bits")),
    }
}

fn spki_algorithm(spki: &[u8]) -> Result<KeyAlgorithm> {
    let key = public_key_bits(spki)?;
    let mut identifier = Reader::new(Reader::new(der::single(spki, SEQUENCE)?).expect(SEQUENCE)?.value);
    let algorithm = identifier.expect(der::OID)?.value;
    let bits = if algorithm == oid::RSA { modulus_bits(key)? } else { 0 };
    KeyAlgorithm::from_identifier(algorithm, identifier.rest(), bits)
}

/// OneAsymmetricKey ::= SEQUENCE { version INTEGER, AlgorithmIdentifier, OCTET STRING, … } (RFC 5958 section 2)
fn pkcs8_algorithm(document: &[u8]) -> Result<KeyAlgorithm> {
    let mut fields = Reader::new(der::single(document, SEQUENCE)?);
    match fields.expect(INTEGER)?.value {
        [0 | 1] => {}
        _ => return Err(CoreError::malformed("PKCS#8: unknown version")),
    }
    let mut identifier = Reader::new(fields.expect(SEQUENCE)?.value);
    fields.expect(OCTET_STRING)?;
    let algorithm = identifier.expect(der::OID)?.value;
    KeyAlgorithm::from_identifier(algorithm, identifier.rest(), 0)
}

/// What is inside a PKCS#8 document: the content of privateKey, and of `[1] publicKey` where it is there.
pub(crate) struct OneAsymmetricKey<'a> {
    pub private: &'a [u8],
    pub public: Option<&'a [u8]>,
}

impl<'a> OneAsymmetricKey<'a> {
    pub fn read(document: &'a [u8]) -> Result<Self> {
        let mut fields = Reader::new(der::single(document, SEQUENCE)?);
        let version = fields.expect(INTEGER)?.value;
        let mut identifier = Reader::new(fields.expect(SEQUENCE)?.value);
        identifier.expect(der::OID)?;
        identifier.finish()?;
        let private = fields.expect(OCTET_STRING)?.value;
        fields.optional(der::context(0))?;
        let public = fields.optional(0x81)?.map(|bits| bits.value);
        fields.finish()?;
        if public.is_some() && version != [1] {
            return Err(CoreError::malformed("PKCS#8: a public key in version 1"));
        }
        let public = match public.map(<[u8]>::split_first) {
            None => None,
            Some(Some((0, key))) => Some(key),
            Some(_) => return Err(CoreError::malformed("PKCS#8: unused bits")),
        };
        Ok(Self { private, public })
    }
}

/// RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } (RFC 8017 appendix A.1.1)
fn modulus_bits(key: &[u8]) -> Result<usize> {
    let modulus = Reader::new(der::single(key, SEQUENCE)?).expect(INTEGER)?.value;
    let zeros: usize = match modulus.iter().position(|octet| *octet != 0) {
        Some(index) => modulus.get(index).map_or(0, |octet| index * 8 + octet.leading_zeros() as usize),
        None => return Err(CoreError::malformed("RSA: the modulus is zero")),
    };
    let bits = modulus.len() * 8 - zeros;
    if bits < 2048 {
        return Err(CoreError::weak_key(format!("RSA: {bits} bits, at least 2048 are needed")));
    }
    Ok(bits)
}

/// The expanded form of RFC 9881 section 6, for keys whose seed nobody has any more.
fn expanded_pkcs8(algorithm: KeyAlgorithm, pair: &PqdsaKeyPair) -> Result<Zeroizing<Vec<u8>>> {
    let KeyAlgorithm::MlDsa(level) = algorithm else {
        return Err(CoreError::bad_algorithm("not an ML-DSA key"));
    };
    let raw = pair.private_key().as_raw_bytes()?;
    let identifier = der::wrap(SEQUENCE, &der::wrap(der::OID, level.oid()));
    let inner = der::tlv_len(raw.as_ref().len());
    let body = 3 + identifier.len() + der::tlv_len(inner);
    // Sized once, so that no abandoned reallocation keeps a copy of the secret.
    let mut out = Zeroizing::new(Vec::with_capacity(der::tlv_len(body)));
    der::header(&mut out, SEQUENCE, body);
    der::tlv(&mut out, INTEGER, &[0]);
    out.extend_from_slice(&identifier);
    der::header(&mut out, OCTET_STRING, inner);
    der::tlv(&mut out, OCTET_STRING, raw.as_ref());
    Ok(out)
}
