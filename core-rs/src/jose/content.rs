//! Content encryption: AES-GCM, and AES-CBC with HMAC (RFC 7518 section 5).

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use super::algorithms::Enc;
use crate::error::{CoreError, Result};
use crate::kdf::constant_time_equal;

/// The longest tag: half of SHA-512.
const MAX_TAG: usize = 32;

/// A content encryption key, made ready.
pub enum ContentKey {
    Gcm(LessSafeKey),
    Cbc(Box<CbcKey>),
}

/// The two keys of AES-CBC with HMAC.
pub struct CbcKey {
    enc: Enc,
    mac: hmac::Key,
    cipher: Zeroizing<Vec<u8>>,
}

/// An authentication tag, on the stack.
pub struct Tag {
    octets: [u8; MAX_TAG],
    len: usize,
}

impl Tag {
    fn new(octets: &[u8], len: usize) -> Self {
        let mut tag = Self { octets: [0; MAX_TAG], len };
        for (target, octet) in tag.octets.iter_mut().zip(octets).take(len) {
            *target = *octet;
        }
        tag
    }
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

fn wrong() -> CoreError {
    CoreError::bad_signature("JWE: not from this key, or changed")
}

impl ContentKey {
    /// The key must have exactly the length of `enc`.
    pub fn new(enc: Enc, key: &[u8]) -> Result<Self> {
        if key.len() != enc.key_len() {
            return Err(CoreError::invalid("JWE: the content encryption key has another length than enc needs"));
        }
        let (gcm, mac) = match enc {
            Enc::A128Gcm => (Some(&AES_128_GCM), hmac::HMAC_SHA256),
            Enc::A192Gcm => (Some(&AES_192_GCM), hmac::HMAC_SHA256),
            Enc::A256Gcm => (Some(&AES_256_GCM), hmac::HMAC_SHA256),
            Enc::A128CbcHs256 => (None, hmac::HMAC_SHA256),
            Enc::A192CbcHs384 => (None, hmac::HMAC_SHA384),
            Enc::A256CbcHs512 => (None, hmac::HMAC_SHA512),
        };
        if let Some(algorithm) = gcm {
            return Ok(Self::Gcm(LessSafeKey::new(UnboundKey::new(algorithm, key)?)));
        }
        // MAC_KEY ‖ ENC_KEY (RFC 7518 section 5.2.2.1)
        let (first, second) = key.split_at_checked(key.len() / 2).ok_or_else(wrong)?;
        let key = CbcKey { enc, mac: hmac::Key::new(mac, first), cipher: Zeroizing::new(second.to_vec()) };
        Ok(Self::Cbc(Box::new(key)))
    }

    /// Encrypt `buffer` from `start` on in place.
    pub fn seal(&self, iv: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<Tag> {
        match self {
            Self::Gcm(key) => {
                let nonce = Nonce::try_assume_unique_for_key(iv)?;
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), buffer)?;
                Ok(Tag::new(tag.as_ref(), 16))
            }
            Self::Cbc(cbc) => {
                let block: [u8; 16] = iv.try_into().map_err(|_| wrong())?;
                let key = PaddedBlockEncryptingKey::cbc_pkcs7(unbound(&cbc.cipher)?)?;
                key.less_safe_encrypt(buffer, EncryptionContext::Iv128(FixedLength::from(block)))?;
                Ok(Tag::new(authenticate(&cbc.mac, aad, iv, buffer).as_ref(), cbc.enc.tag_len()))
            }
        }
    }

    /// Decrypt in place. The tag is compared before anything else is looked at.
    pub fn open(&self, iv: &[u8], aad: &[u8], ciphertext: Vec<u8>, tag: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let mut buffer = Zeroizing::new(ciphertext);
        let len = match self {
            Self::Gcm(key) => {
                let nonce = Nonce::try_assume_unique_for_key(iv).map_err(|_| wrong())?;
                if tag.len() != 16 {
                    return Err(wrong());
                }
                buffer.extend_from_slice(tag);
                key.open_in_place(nonce, Aad::from(aad), &mut buffer).map_err(|_| wrong())?.len()
            }
            Self::Cbc(cbc) => {
                let block: [u8; 16] = iv.try_into().map_err(|_| wrong())?;
                let expected = Tag::new(authenticate(&cbc.mac, aad, iv, &buffer).as_ref(), cbc.enc.tag_len());
                if !constant_time_equal(expected.as_ref(), tag) {
                    return Err(wrong());
                }
                let key = PaddedBlockDecryptingKey::cbc_pkcs7(unbound(&cbc.cipher)?)?;
                let context = DecryptionContext::Iv128(FixedLength::from(block));
                key.decrypt(&mut buffer, context).map_err(|_| wrong())?.len()
            }
        };
        buffer.truncate(len);
        Ok(buffer)
    }
}

fn unbound(key: &[u8]) -> Result<UnboundCipherKey> {
    let algorithm = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        _ => &AES_256,
    };
    Ok(UnboundCipherKey::new(algorithm, key)?)
}

/// HMAC over AAD ‖ IV ‖ ciphertext ‖ length of the AAD in bits (RFC 7518 section 5.2.2.1).
fn authenticate(key: &hmac::Key, aad: &[u8], iv: &[u8], ciphertext: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(aad);
    context.update(iv);
    context.update(ciphertext);
    context.update(&(aad.len() as u64 * 8).to_be_bytes());
    context.sign()
}
