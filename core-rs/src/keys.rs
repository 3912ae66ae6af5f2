//! Private and public keys. aws-lc holds the secrets and cleanses them when a key is dropped.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, AsRawBytes, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey, PqdsaKeyPair};
use zeroize::Zeroizing;

use crate::algorithms::{Curve, Hash, KeyAlgorithm, MlDsa, SignatureAlgorithm, oid, rsa_size};
use crate::der::{self, INTEGER, OCTET_STRING, Reader, SEQUENCE};
use crate::error::{CoreError, Result};

/// A PKCS#8 document longer than this is not one of ours: RSA-8192 takes under 5 000 octets, ML-DSA-87 under 5 100.
pub const MAX_PKCS8: usize = 16 * 1024;
/// RSA-8192 and ML-DSA-87 public keys take under 2 700 octets.
pub const MAX_SPKI: usize = 8 * 1024;

enum Pair {
    Rsa(rsa::KeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair),
}

/// A key that signs. It has no `Debug`, no `Clone` and no accessor of its secret but `export_pkcs8`.
pub struct PrivateKey {
    pair: Pair,
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
}

impl PrivateKey {
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self> {
        let pair = match algorithm {
            KeyAlgorithm::Rsa(bits) => Pair::Rsa(rsa::KeyPair::generate(rsa_size(bits)?)?),
            KeyAlgorithm::Ec(curve) => Pair::Ec(EcdsaKeyPair::generate(curve.signing())?),
            KeyAlgorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate()?),
            KeyAlgorithm::MlDsa(level) => Pair::MlDsa(PqdsaKeyPair::generate(level.signing())?),
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
        };
        Self::new(pair, algorithm)
    }

    fn new(pair: Pair, algorithm: KeyAlgorithm) -> Result<Self> {
        let spki: PublicKeyX509Der<'static> = match &pair {
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Ec(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::MlDsa(pair) => pair.public_key().as_der(),
        }?;
        let spki = spki.as_ref().to_vec();
        Ok(Self { pair, algorithm, spki })
    }

    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Unencrypted PKCS#8, the one way out. ML-DSA is written as its seed, or expanded where only that was imported.
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
            Pair::Ed25519(_) | Pair::MlDsa(_) => Err(CoreError::bad_algorithm("this scheme signs no digests")),
        }
    }

    /// Whether one signature takes so long (over 200 µs, or near it) that other threads should run meanwhile.
    pub const fn is_slow(&self) -> bool {
        match self.algorithm {
            KeyAlgorithm::Rsa(_) | KeyAlgorithm::Ec(Curve::P521) => true,
            KeyAlgorithm::Ec(_) | KeyAlgorithm::Ed25519 => false,
            KeyAlgorithm::MlDsa(level) => !matches!(level, MlDsa::Level44),
        }
    }
}

/// A key that verifies, parsed once.
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
