//! Names and encodings of the algorithms. Which of them are allowed is decided in `crypto/policy.py`.

use aws_lc_rs::{digest, rsa, signature};

use crate::error::{CoreError, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MlDsa {
    Level44,
    Level65,
    Level87,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MlKem {
    Level512,
    Level768,
    Level1024,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// What a key is. RSA carries the length of its modulus in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    Rsa(usize),
    Ec(Curve),
    Ed25519,
    MlDsa(MlDsa),
    /// Agrees only.
    X25519,
    /// Decapsulates only.
    MlKem(MlKem),
}

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ecdsa(Hash),
    Ed25519,
    MlDsa(MlDsa),
}

/// Object identifiers of keys, DER content octets.
pub mod oid {
    pub const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    pub const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
    pub const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
    pub const P384: &[u8] = b"\x2b\x81\x04\x00\x22";
    pub const P521: &[u8] = b"\x2b\x81\x04\x00\x23";
    pub const ED25519: &[u8] = b"\x2b\x65\x70";
    pub const X25519: &[u8] = b"\x2b\x65\x6e";
    pub const ML_KEM_512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x04\x01";
    pub const ML_KEM_768: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x04\x02";
    pub const ML_KEM_1024: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x04\x03";
    pub const ML_DSA_44: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x03\x11";
    pub const ML_DSA_65: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x03\x12";
    pub const ML_DSA_87: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x03\x13";
}

/// PSS with a salt as long as the hash (RFC 4055 section 3.1), the whole AlgorithmIdentifier.
macro_rules! pss {
    ($hash:literal, $salt:literal) => {
        &[
            0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34, 0xa0, 0x0f, 0x30,
            0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, $hash, 0x05, 0x00, 0xa1, 0x1c, 0x30,
            0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86,
            0x48, 0x01, 0x65, 0x03, 0x04, 0x02, $hash, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, $salt,
        ]
    };
}

impl Curve {
    pub const fn signing(self) -> &'static signature::EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            Self::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }

    /// The hash that matches the curve's strength, the only one this core signs with.
    pub const fn hash(self) -> Hash {
        match self {
            Self::P256 => Hash::Sha256,
            Self::P384 => Hash::Sha384,
            Self::P521 => Hash::Sha512,
        }
    }
}

impl MlDsa {
    pub const fn signing(self) -> &'static signature::PqdsaSigningAlgorithm {
        match self {
            Self::Level44 => &signature::ML_DSA_44_SIGNING,
            Self::Level65 => &signature::ML_DSA_65_SIGNING,
            Self::Level87 => &signature::ML_DSA_87_SIGNING,
        }
    }

    pub const fn oid(self) -> &'static [u8] {
        match self {
            Self::Level44 => oid::ML_DSA_44,
            Self::Level65 => oid::ML_DSA_65,
            Self::Level87 => oid::ML_DSA_87,
        }
    }
}

impl Hash {
    pub const fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            "sha512" => Ok(Self::Sha512),
            _ => Err(CoreError::bad_algorithm(format!("unknown hash {name:.40?}"))),
        }
    }
}

impl KeyAlgorithm {
    /// The algorithms that keys can be generated for.
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "RSA-2048" => Self::Rsa(2048),
            "RSA-3072" => Self::Rsa(3072),
            "RSA-4096" => Self::Rsa(4096),
            "EC-P256" => Self::Ec(Curve::P256),
            "EC-P384" => Self::Ec(Curve::P384),
            "EC-P521" => Self::Ec(Curve::P521),
            "Ed25519" => Self::Ed25519,
            "ML-DSA-44" => Self::MlDsa(MlDsa::Level44),
            "ML-DSA-65" => Self::MlDsa(MlDsa::Level65),
            "ML-DSA-87" => Self::MlDsa(MlDsa::Level87),
            "X25519" => Self::X25519,
            "ML-KEM-512" => Self::MlKem(MlKem::Level512),
            "ML-KEM-768" => Self::MlKem(MlKem::Level768),
            "ML-KEM-1024" => Self::MlKem(MlKem::Level1024),
            _ => return Err(CoreError::bad_algorithm(format!("unknown key algorithm {name:.40?}"))),
        })
    }

    pub fn name(self) -> String {
        match self {
            Self::Rsa(bits) => return format!("RSA-{bits}"),
            Self::Ec(Curve::P256) => "EC-P256",
            Self::Ec(Curve::P384) => "EC-P384",
            Self::Ec(Curve::P521) => "EC-P521",
            Self::Ed25519 => "Ed25519",
            Self::MlDsa(MlDsa::Level44) => "ML-DSA-44",
            Self::MlDsa(MlDsa::Level65) => "ML-DSA-65",
            Self::MlDsa(MlDsa::Level87) => "ML-DSA-87",
            Self::X25519 => "X25519",
            Self::MlKem(MlKem::Level512) => "ML-KEM-512",
            Self::MlKem(MlKem::Level768) => "ML-KEM-768",
            Self::MlKem(MlKem::Level1024) => "ML-KEM-1024",
        }
        .to_owned()
    }

    /// Read an AlgorithmIdentifier's content: the OID and, for a curve, its parameters.
    pub fn from_identifier(oid: &[u8], parameters: &[u8], rsa_bits: usize) -> Result<Self> {
        Ok(match oid {
            oid::RSA => Self::Rsa(rsa_bits),
            oid::EC => match crate::der::single(parameters, crate::der::OID)? {
                oid::P256 => Self::Ec(Curve::P256),
                oid::P384 => Self::Ec(Curve::P384),
                oid::P521 => Self::Ec(Curve::P521),
                _ => return Err(CoreError::bad_algorithm("a curve that is not offered")),
            },
            oid::ED25519 => Self::Ed25519,
            oid::ML_DSA_44 => Self::MlDsa(MlDsa::Level44),
            oid::ML_DSA_65 => Self::MlDsa(MlDsa::Level65),
            oid::ML_DSA_87 => Self::MlDsa(MlDsa::Level87),
            oid::X25519 => Self::X25519,
            oid::ML_KEM_512 => Self::MlKem(MlKem::Level512),
            oid::ML_KEM_768 => Self::MlKem(MlKem::Level768),
            oid::ML_KEM_1024 => Self::MlKem(MlKem::Level1024),
            _ => return Err(CoreError::bad_algorithm("a key algorithm that is not offered")),
        })
    }
}

impl SignatureAlgorithm {
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "rsa-sha256" => Self::RsaPkcs1(Hash::Sha256),
            "rsa-sha384" => Self::RsaPkcs1(Hash::Sha384),
            "rsa-sha512" => Self::RsaPkcs1(Hash::Sha512),
            "rsa-pss-sha256" => Self::RsaPss(Hash::Sha256),
            "rsa-pss-sha384" => Self::RsaPss(Hash::Sha384),
            "rsa-pss-sha512" => Self::RsaPss(Hash::Sha512),
            "ecdsa-sha256" => Self::Ecdsa(Hash::Sha256),
            "ecdsa-sha384" => Self::Ecdsa(Hash::Sha384),
            "ecdsa-sha512" => Self::Ecdsa(Hash::Sha512),
            "ed25519" => Self::Ed25519,
            "ml-dsa-44" => Self::MlDsa(MlDsa::Level44),
            "ml-dsa-65" => Self::MlDsa(MlDsa::Level65),
            "ml-dsa-87" => Self::MlDsa(MlDsa::Level87),
            _ => return Err(CoreError::bad_algorithm(format!("unknown signature algorithm {name:.40?}"))),
        })
    }

    /// DER AlgorithmIdentifier (RFC 4055, 5758, 8410, 9881).
    pub const fn identifier(self) -> &'static [u8] {
        match self {
            Self::RsaPkcs1(Hash::Sha256) => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00",
            Self::RsaPkcs1(Hash::Sha384) => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00",
            Self::RsaPkcs1(Hash::Sha512) => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00",
            Self::RsaPss(Hash::Sha256) => pss!(0x01, 0x20),
            Self::RsaPss(Hash::Sha384) => pss!(0x02, 0x30),
            Self::RsaPss(Hash::Sha512) => pss!(0x03, 0x40),
            Self::Ecdsa(Hash::Sha256) => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
            Self::Ecdsa(Hash::Sha384) => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
            Self::Ecdsa(Hash::Sha512) => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04",
            Self::Ed25519 => b"\x30\x05\x06\x03\x2b\x65\x70",
            Self::MlDsa(MlDsa::Level44) => b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11",
            Self::MlDsa(MlDsa::Level65) => b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12",
            Self::MlDsa(MlDsa::Level87) => b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x13",
        }
    }

    /// The hash that is applied before the key, if the scheme has one.
    pub const fn prehash(self) -> Option<Hash> {
        match self {
            Self::RsaPkcs1(hash) | Self::RsaPss(hash) | Self::Ecdsa(hash) => Some(hash),
            Self::Ed25519 | Self::MlDsa(_) => None,
        }
    }

    /// Take what somebody else hashed; an error if the scheme has no hash, or one of another length. The FIPS module
    /// does not approve of signing it.
    pub fn digest(self, octets: &[u8]) -> Result<digest::Digest> {
        let hash = self.prehash().ok_or_else(no_digests)?;
        if cfg!(feature = "fips") {
            return Err(CoreError::bad_algorithm("the FIPS module signs and verifies no digests"));
        }
        digest::Digest::import_less_safe(octets, hash.digest())
            .map_err(|_| CoreError::invalid("the digest has another length than the scheme's hash"))
    }

    /// How aws-lc names the verification of this by such a key.
    pub fn verification(self, key: KeyAlgorithm) -> Result<&'static dyn signature::VerificationAlgorithm> {
        Ok(match (self, key) {
            (Self::RsaPkcs1(Hash::Sha256), KeyAlgorithm::Rsa(_)) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Self::RsaPkcs1(Hash::Sha384), KeyAlgorithm::Rsa(_)) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Self::RsaPkcs1(Hash::Sha512), KeyAlgorithm::Rsa(_)) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Self::RsaPss(Hash::Sha256), KeyAlgorithm::Rsa(_)) => &signature::RSA_PSS_2048_8192_SHA256,
            (Self::RsaPss(Hash::Sha384), KeyAlgorithm::Rsa(_)) => &signature::RSA_PSS_2048_8192_SHA384,
            (Self::RsaPss(Hash::Sha512), KeyAlgorithm::Rsa(_)) => &signature::RSA_PSS_2048_8192_SHA512,
            (Self::Ecdsa(hash), KeyAlgorithm::Ec(curve)) => match (curve, hash) {
                (Curve::P256, Hash::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
                (Curve::P256, Hash::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
                (Curve::P256, Hash::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
                (Curve::P384, Hash::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
                (Curve::P384, Hash::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
                (Curve::P384, Hash::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
                (Curve::P521, Hash::Sha256) => &signature::ECDSA_P521_SHA256_ASN1,
                (Curve::P521, Hash::Sha384) => &signature::ECDSA_P521_SHA384_ASN1,
                (Curve::P521, Hash::Sha512) => &signature::ECDSA_P521_SHA512_ASN1,
            },
            (Self::Ed25519, KeyAlgorithm::Ed25519) => &signature::ED25519,
            (Self::MlDsa(level), KeyAlgorithm::MlDsa(own)) if level == own => match level {
                MlDsa::Level44 => &signature::ML_DSA_44,
                MlDsa::Level65 => &signature::ML_DSA_65,
                MlDsa::Level87 => &signature::ML_DSA_87,
            },
            _ => return Err(mismatch()),
        })
    }

    /// The RSA padding of this, if it is one of RSA's.
    pub fn rsa_encoding(self) -> Result<&'static dyn signature::RsaEncoding> {
        Ok(match self {
            Self::RsaPkcs1(Hash::Sha256) => &signature::RSA_PKCS1_SHA256,
            Self::RsaPkcs1(Hash::Sha384) => &signature::RSA_PKCS1_SHA384,
            Self::RsaPkcs1(Hash::Sha512) => &signature::RSA_PKCS1_SHA512,
            Self::RsaPss(Hash::Sha256) => &signature::RSA_PSS_SHA256,
            Self::RsaPss(Hash::Sha384) => &signature::RSA_PSS_SHA384,
            Self::RsaPss(Hash::Sha512) => &signature::RSA_PSS_SHA512,
            _ => return Err(mismatch()),
        })
    }

    /// Refuse a pair of key and scheme that this core does not sign with.
    pub fn check_signs(self, key: KeyAlgorithm) -> Result<()> {
        let fits = match (self, key) {
            (Self::RsaPkcs1(_) | Self::RsaPss(_), KeyAlgorithm::Rsa(_)) | (Self::Ed25519, KeyAlgorithm::Ed25519) => {
                true
            }
            (Self::Ecdsa(hash), KeyAlgorithm::Ec(curve)) => curve.hash() == hash,
            (Self::MlDsa(level), KeyAlgorithm::MlDsa(own)) => level == own,
            _ => false,
        };
        if fits { Ok(()) } else { Err(mismatch()) }
    }
}

/// The sizes that RSA keys are generated in.
pub fn rsa_size(bits: usize) -> Result<rsa::KeySize> {
    match bits {
        2048 => Ok(rsa::KeySize::Rsa2048),
        3072 => Ok(rsa::KeySize::Rsa3072),
        4096 => Ok(rsa::KeySize::Rsa4096),
        _ => Err(CoreError::bad_algorithm("RSA keys are generated with 2048, 3072 or 4096 bits")),
    }
}

pub(crate) fn no_digests() -> CoreError {
    CoreError::bad_algorithm("the signature scheme takes no digests, only what is to be signed")
}

fn mismatch() -> CoreError {
    CoreError::bad_algorithm("the signature algorithm does not go with the key")
}
