//! RSA encryption (RFC 8017 section 7). The caller decides which padding its protocol allows.

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm,
    OaepPrivateDecryptingKey, OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use zeroize::Zeroizing;

use crate::error::{CoreError, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// With SHA-1, which old CMS and SCEP peers need. MGF1 uses the same hash.
    OaepSha1,
    OaepSha256,
    OaepSha384,
    OaepSha512,
    /// RSAES-PKCS1-v1_5, for SCEP and CMS only.
    Pkcs1,
}

impl Padding {
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "oaep-sha1" => Self::OaepSha1,
            "oaep-sha256" => Self::OaepSha256,
            "oaep-sha384" => Self::OaepSha384,
            "oaep-sha512" => Self::OaepSha512,
            "pkcs1" => Self::Pkcs1,
            _ => return Err(CoreError::bad_algorithm(format!("unknown RSA padding {name:.40?}"))),
        })
    }

    fn oaep(self) -> Option<&'static OaepAlgorithm> {
        match self {
            Self::OaepSha1 => Some(&OAEP_SHA1_MGF1SHA1),
            Self::OaepSha256 => Some(&OAEP_SHA256_MGF1SHA256),
            Self::OaepSha384 => Some(&OAEP_SHA384_MGF1SHA384),
            Self::OaepSha512 => Some(&OAEP_SHA512_MGF1SHA512),
            Self::Pkcs1 => None,
        }
    }
}

/// A private key in both forms that decrypt; they share the library's one structure.
pub struct Decryption {
    oaep: OaepPrivateDecryptingKey,
    pkcs1: Pkcs1PrivateDecryptingKey,
}

impl Decryption {
    pub fn from_pkcs8(document: &[u8]) -> Result<Self> {
        let key = PrivateDecryptingKey::from_pkcs8(document)?;
        Ok(Self { oaep: OaepPrivateDecryptingKey::new(key.clone())?, pkcs1: Pkcs1PrivateDecryptingKey::new(key)? })
    }

    pub fn decrypt(&self, padding: Padding, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        // One message for every cause: which check fails is what Bleichenbacher and Manger ask.
        let refused = |_| CoreError::bad_signature("RSA: the ciphertext is not for this key");
        let mut out = Zeroizing::new(vec![0; self.oaep.min_output_size()]);
        let len = match padding.oaep() {
            Some(algorithm) => self.oaep.decrypt(algorithm, ciphertext, &mut out, None).map_err(refused)?.len(),
            None => self.pkcs1.decrypt(ciphertext, &mut out).map_err(refused)?.len(),
        };
        out.truncate(len);
        Ok(out)
    }
}

/// Encrypt to a SubjectPublicKeyInfo.
pub fn encrypt(spki: &[u8], padding: Padding, plaintext: &[u8]) -> Result<Vec<u8>> {
    Encryption::from_spki(spki)?.encrypt(padding, plaintext)
}

/// A public key that encrypts, parsed once.
pub struct Encryption(PublicEncryptingKey);

impl Encryption {
    pub fn from_spki(spki: &[u8]) -> Result<Self> {
        Ok(Self(PublicEncryptingKey::from_der(spki)?))
    }

    pub fn encrypt(&self, padding: Padding, plaintext: &[u8]) -> Result<Vec<u8>> {
        let too_long = |_| CoreError::invalid("RSA: the plaintext is too long for this key and padding");
        let mut out = vec![0; self.0.key_size_bytes()];
        match padding.oaep() {
            Some(algorithm) => {
                let key = OaepPublicEncryptingKey::new(self.0.clone())?;
                key.encrypt(algorithm, plaintext, &mut out, None).map_err(too_long)?;
            }
            None => {
                Pkcs1PublicEncryptingKey::new(self.0.clone())?.encrypt(plaintext, &mut out).map_err(too_long)?;
            }
        }
        Ok(out)
    }
}
