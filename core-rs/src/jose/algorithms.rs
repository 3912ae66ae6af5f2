//! The names of RFC 7518, 8037, 9864 and 9964, and of draft-ietf-jose-pqc-kem-05, the last that has ML-KEM in JOSE.

use crate::algorithms::{Curve, Hash, KeyAlgorithm, MlDsa, MlKem, SignatureAlgorithm};
use crate::error::{CoreError, Result};

/// How a JWS is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigAlg {
    Hmac(Hash),
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ecdsa(Curve),
    /// The name of RFC 8037, here with Ed25519 keys.
    EdDsa,
    /// The fully specified name of RFC 9864 for the same.
    Ed25519,
    MlDsa(MlDsa),
}

impl SigAlg {
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "HS256" => Self::Hmac(Hash::Sha256),
            "HS384" => Self::Hmac(Hash::Sha384),
            "HS512" => Self::Hmac(Hash::Sha512),
            "RS256" => Self::RsaPkcs1(Hash::Sha256),
            "RS384" => Self::RsaPkcs1(Hash::Sha384),
            "RS512" => Self::RsaPkcs1(Hash::Sha512),
            "PS256" => Self::RsaPss(Hash::Sha256),
            "PS384" => Self::RsaPss(Hash::Sha384),
            "PS512" => Self::RsaPss(Hash::Sha512),
            "ES256" => Self::Ecdsa(Curve::P256),
            "ES384" => Self::Ecdsa(Curve::P384),
            "ES512" => Self::Ecdsa(Curve::P521),
            "EdDSA" => Self::EdDsa,
            "Ed25519" => Self::Ed25519,
            "ML-DSA-44" => Self::MlDsa(MlDsa::Level44),
            "ML-DSA-65" => Self::MlDsa(MlDsa::Level65),
            "ML-DSA-87" => Self::MlDsa(MlDsa::Level87),
            _ => return Err(CoreError::bad_algorithm(format!("JWS: alg {name:.40?} is not offered"))),
        })
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Hmac(Hash::Sha256) => "HS256",
            Self::Hmac(Hash::Sha384) => "HS384",
            Self::Hmac(Hash::Sha512) => "HS512",
            Self::RsaPkcs1(Hash::Sha256) => "RS256",
            Self::RsaPkcs1(Hash::Sha384) => "RS384",
            Self::RsaPkcs1(Hash::Sha512) => "RS512",
            Self::RsaPss(Hash::Sha256) => "PS256",
            Self::RsaPss(Hash::Sha384) => "PS384",
            Self::RsaPss(Hash::Sha512) => "PS512",
            Self::Ecdsa(Curve::P256) => "ES256",
            Self::Ecdsa(Curve::P384) => "ES384",
            Self::Ecdsa(Curve::P521) => "ES512",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
            Self::MlDsa(MlDsa::Level44) => "ML-DSA-44",
            Self::MlDsa(MlDsa::Level65) => "ML-DSA-65",
            Self::MlDsa(MlDsa::Level87) => "ML-DSA-87",
        }
    }

    /// Whether two names say the same of an Ed25519 key.
    pub fn accepts(self, other: Self) -> bool {
        let edwards = |alg| matches!(alg, Self::EdDsa | Self::Ed25519);
        self == other || edwards(self) && edwards(other)
    }

    /// The scheme of an asymmetric algorithm, if such a key has it.
    pub fn scheme(self, key: KeyAlgorithm) -> Result<SignatureAlgorithm> {
        let scheme = match self {
            Self::Hmac(_) => return Err(mismatch()),
            Self::RsaPkcs1(hash) => SignatureAlgorithm::RsaPkcs1(hash),
            Self::RsaPss(hash) => SignatureAlgorithm::RsaPss(hash),
            Self::Ecdsa(curve) => SignatureAlgorithm::Ecdsa(curve.hash()),
            Self::EdDsa | Self::Ed25519 => SignatureAlgorithm::Ed25519,
            Self::MlDsa(level) => SignatureAlgorithm::MlDsa(level),
        };
        scheme.check_signs(key)?;
        Ok(scheme)
    }
}

/// How the key of a JWE's content gets to its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlg {
    Dir,
    /// AES key wrap under so many octets.
    Kw(usize),
    GcmKw(usize),
    RsaOaep(Hash),
    /// Directly, or by AES key wrap under so many octets.
    EcdhEs(Option<usize>),
    MlKem(MlKem, Option<usize>),
}

impl KeyAlg {
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "dir" => Self::Dir,
            "A128KW" => Self::Kw(16),
            "A192KW" => Self::Kw(24),
            "A256KW" => Self::Kw(32),
            "A128GCMKW" => Self::GcmKw(16),
            "A192GCMKW" => Self::GcmKw(24),
            "A256GCMKW" => Self::GcmKw(32),
            "RSA-OAEP-256" => Self::RsaOaep(Hash::Sha256),
            "RSA-OAEP-384" => Self::RsaOaep(Hash::Sha384),
            "RSA-OAEP-512" => Self::RsaOaep(Hash::Sha512),
            "ECDH-ES" => Self::EcdhEs(None),
            "ECDH-ES+A128KW" => Self::EcdhEs(Some(16)),
            "ECDH-ES+A192KW" => Self::EcdhEs(Some(24)),
            "ECDH-ES+A256KW" => Self::EcdhEs(Some(32)),
            "ML-KEM-512" => Self::MlKem(MlKem::Level512, None),
            "ML-KEM-768" => Self::MlKem(MlKem::Level768, None),
            "ML-KEM-1024" => Self::MlKem(MlKem::Level1024, None),
            "ML-KEM-512+A128KW" => Self::MlKem(MlKem::Level512, Some(16)),
            "ML-KEM-768+A192KW" => Self::MlKem(MlKem::Level768, Some(24)),
            "ML-KEM-1024+A256KW" => Self::MlKem(MlKem::Level1024, Some(32)),
            _ => return Err(CoreError::bad_algorithm(format!("JWE: alg {name:.40?} is not offered"))),
        })
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Dir => "dir",
            Self::Kw(16) => "A128KW",
            Self::Kw(24) => "A192KW",
            Self::Kw(_) => "A256KW",
            Self::GcmKw(16) => "A128GCMKW",
            Self::GcmKw(24) => "A192GCMKW",
            Self::GcmKw(_) => "A256GCMKW",
            Self::RsaOaep(Hash::Sha256) => "RSA-OAEP-256",
            Self::RsaOaep(Hash::Sha384) => "RSA-OAEP-384",
            Self::RsaOaep(Hash::Sha512) => "RSA-OAEP-512",
            Self::EcdhEs(None) => "ECDH-ES",
            Self::EcdhEs(Some(16)) => "ECDH-ES+A128KW",
            Self::EcdhEs(Some(24)) => "ECDH-ES+A192KW",
            Self::EcdhEs(Some(_)) => "ECDH-ES+A256KW",
            Self::MlKem(MlKem::Level512, None) => "ML-KEM-512",
            Self::MlKem(MlKem::Level768, None) => "ML-KEM-768",
            Self::MlKem(MlKem::Level1024, None) => "ML-KEM-1024",
            Self::MlKem(MlKem::Level512, Some(_)) => "ML-KEM-512+A128KW",
            Self::MlKem(MlKem::Level768, Some(_)) => "ML-KEM-768+A192KW",
            Self::MlKem(MlKem::Level1024, Some(_)) => "ML-KEM-1024+A256KW",
        }
    }

    /// Whether the content's key comes out of this itself, so that there is one recipient and no encrypted key.
    pub const fn is_direct(self) -> bool {
        matches!(self, Self::Dir | Self::EcdhEs(None) | Self::MlKem(_, None))
    }
}

/// How a JWE's content is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enc {
    A128Gcm,
    A192Gcm,
    A256Gcm,
    A128CbcHs256,
    A192CbcHs384,
    A256CbcHs512,
}

impl Enc {
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "A128GCM" => Self::A128Gcm,
            "A192GCM" => Self::A192Gcm,
            "A256GCM" => Self::A256Gcm,
            "A128CBC-HS256" => Self::A128CbcHs256,
            "A192CBC-HS384" => Self::A192CbcHs384,
            "A256CBC-HS512" => Self::A256CbcHs512,
            _ => return Err(CoreError::bad_algorithm(format!("JWE: enc {name:.40?} is not offered"))),
        })
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A192Gcm => "A192GCM",
            Self::A256Gcm => "A256GCM",
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A192CbcHs384 => "A192CBC-HS384",
            Self::A256CbcHs512 => "A256CBC-HS512",
        }
    }

    pub const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A192Gcm => 24,
            Self::A256Gcm | Self::A128CbcHs256 => 32,
            Self::A192CbcHs384 => 48,
            Self::A256CbcHs512 => 64,
        }
    }

    pub const fn iv_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::A192Gcm | Self::A256Gcm => 12,
            _ => 16,
        }
    }

    pub const fn tag_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::A192Gcm | Self::A256Gcm | Self::A128CbcHs256 => 16,
            Self::A192CbcHs384 => 24,
            Self::A256CbcHs512 => 32,
        }
    }
}

pub fn mismatch() -> CoreError {
    CoreError::bad_algorithm("JOSE: the algorithm does not go with the key")
}
