//! Symmetric keys of any size.

use zeroize::Zeroizing;

use super::base64url;
use crate::aead;
use crate::error::{CoreError, Result};
use crate::kdf;
use crate::siv;

/// No algorithm here takes more; HMAC would hash longer keys down.
pub const MAX_SECRET: usize = 1024;

/// Octets that nobody sees, cleansed when dropped.
pub struct SecretKey(Zeroizing<Vec<u8>>);

impl SecretKey {
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() || bytes.len() > MAX_SECRET {
            return Err(CoreError::invalid("a secret key has 1 to 1024 octets"));
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    pub fn generate(length: usize) -> Result<Self> {
        if !(16..=MAX_SECRET).contains(&length) {
            return Err(CoreError::invalid("a secret key is generated with 16 to 1024 octets"));
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        aws_lc_rs::rand::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// HKDF to another key (RFC 5869).
    pub fn derive(&self, hash: &str, salt: &[u8], info: &[u8], length: usize) -> Result<Self> {
        Self::from_bytes(&kdf::hkdf(hash, &self.0, salt, info, length)?)
    }

    fn gcm(&self) -> Result<&'static str> {
        match self.0.len() {
            16 => Ok("aes-128-gcm"),
            24 => Ok("aes-192-gcm"),
            32 => Ok("aes-256-gcm"),
            _ => Err(CoreError::bad_algorithm("AES-GCM: the key has 16, 24 or 32 octets")),
        }
    }

    /// nonce ‖ ciphertext ‖ tag of AES-GCM, with a random nonce.
    pub fn encrypt(&self, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; 12];
        aws_lc_rs::rand::fill(&mut nonce)?;
        let sealed = aead::encrypt(self.gcm()?, &self.0, &nonce, plaintext, aad)?;
        let mut out = Vec::with_capacity(nonce.len() + sealed.len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    pub fn decrypt(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let name = self.gcm()?;
        let short = || CoreError::malformed("a sealed value is shorter than nonce and tag");
        let (nonce, body) = sealed.split_at_checked(12).ok_or_else(short)?;
        if body.len() < 16 {
            return Err(short());
        }
        aead::decrypt(name, &self.0, nonce, body, aad)
    }

    /// AES-SIV by the key's length (RFC 5297): synthetic IV ‖ ciphertext, the same every time.
    pub fn siv_encrypt(&self, plaintext: &[u8], components: &[&[u8]]) -> Result<Vec<u8>> {
        siv::encrypt(&self.0, components, plaintext)
    }

    pub fn siv_decrypt(&self, sealed: &[u8], components: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>> {
        siv::decrypt(&self.0, components, sealed)
    }

    /// AES key wrap (RFC 3394) of octets under this key.
    pub fn wrap(&self, secret: &[u8]) -> Result<Vec<u8>> {
        aead::kw_wrap(&self.0, secret)
    }

    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        aead::kw_unwrap(&self.0, wrapped)
    }

    /// SHA-256 over the required members (RFC 7638 section 3.2). It is as secret as a hash of the key can be.
    pub fn thumbprint(&self) -> [u8; 32] {
        let mut text = Zeroizing::new(Vec::with_capacity(base64url::encoded_len(self.0.len()) + 20));
        text.extend_from_slice(b"{\"k\":\"");
        base64url::encode_into(&self.0, &mut text);
        text.extend_from_slice(b"\",\"kty\":\"oct\"}");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
        digest.as_ref().try_into().unwrap_or_default()
    }
}
