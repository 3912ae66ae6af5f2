//! AES-GCM, AES-CBC with HMAC, AES key wrap, and the 256-bit key that seals with them.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use aws_lc_rs::cipher::{AES_192, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::key_wrap::{AES_128 as KW_128, AES_256 as KW_256, AesKek, KeyWrap};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{CoreError, Result};
use crate::jose::algorithms::Enc;
use crate::jose::content::ContentKey;
use crate::kdf;

const TAG_LEN: usize = 16;
/// What a sealed value has more than its plaintext.
pub const SEAL_OVERHEAD: usize = NONCE_LEN + TAG_LEN;
/// Wrapped keys are keys: longer ones are refused.
const MAX_WRAPPED: usize = 64 * 1024;

fn algorithm(name: &str) -> Result<&'static Algorithm> {
    match name {
        "aes-128-gcm" => Ok(&AES_128_GCM),
        "aes-192-gcm" => Ok(&AES_192_GCM),
        "aes-256-gcm" => Ok(&AES_256_GCM),
        _ => Err(CoreError::bad_algorithm(format!("unknown AEAD {name:.40?}"))),
    }
}

fn key(name: &str, key: &[u8]) -> Result<LessSafeKey> {
    let unbound = UnboundKey::new(algorithm(name)?, key).map_err(|_| CoreError::invalid("AEAD: key length"))?;
    Ok(LessSafeKey::new(unbound))
}

fn nonce(bytes: &[u8]) -> Result<Nonce> {
    Nonce::try_assume_unique_for_key(bytes).map_err(|_| CoreError::invalid("AEAD: the nonce has 12 octets"))
}

/// The composite AEADs of RFC 7518 section 5.2, by their names.
fn composite(name: &str) -> Option<Enc> {
    match name {
        "aes-128-cbc-hmac-sha256" => Some(Enc::A128CbcHs256),
        "aes-192-cbc-hmac-sha384" => Some(Enc::A192CbcHs384),
        "aes-256-cbc-hmac-sha512" => Some(Enc::A256CbcHs512),
        _ => None,
    }
}

/// Ciphertext followed by the tag. The caller must never repeat a nonce under one key.
pub fn encrypt(name: &str, secret: &[u8], iv: &[u8], plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
    if let Some(enc) = composite(name) {
        let mut out = plaintext.to_vec();
        let tag = ContentKey::new(enc, secret)?.seal(iv, aad, &mut out)?;
        out.extend_from_slice(tag.as_ref());
        return Ok(out);
    }
    let key = key(name, secret)?;
    let mut out = Vec::with_capacity(plaintext.len() + TAG_LEN);
    out.extend_from_slice(plaintext);
    key.seal_in_place_append_tag(nonce(iv)?, Aad::from(aad), &mut out)?;
    Ok(out)
}

pub fn decrypt(name: &str, secret: &[u8], iv: &[u8], ciphertext: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    if let Some(enc) = composite(name) {
        let at = ciphertext.len().checked_sub(enc.tag_len()).ok_or_else(short)?;
        let (body, tag) = ciphertext.split_at_checked(at).ok_or_else(short)?;
        return ContentKey::new(enc, secret)?.open(iv, aad, body.to_vec(), tag);
    }
    open(&key(name, secret)?, iv, ciphertext, aad)
}

fn open(key: &LessSafeKey, iv: &[u8], ciphertext: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let len = key
        .open_in_place(nonce(iv)?, Aad::from(aad), &mut buffer)
        .map_err(|_| CoreError::bad_signature("the sealed value is not from this key and context"))?
        .len();
    buffer.truncate(len);
    Ok(buffer)
}

/// 32 octets, held with the AES key schedule ready. Both are cleansed when dropped.
pub struct SymmetricKey {
    bytes: Box<Zeroizing<[u8; 32]>>,
    aead: LessSafeKey,
}

impl SymmetricKey {
    pub fn generate() -> Result<Self> {
        let mut bytes = Box::new(Zeroizing::new([0; 32]));
        aws_lc_rs::rand::fill(bytes.as_mut_slice())?;
        Self::new(bytes)
    }

    pub fn from_bytes(key: &[u8]) -> Result<Self> {
        if key.len() != 32 {
            return Err(CoreError::invalid("a symmetric key has 32 octets"));
        }
        let mut bytes = Box::new(Zeroizing::new([0; 32]));
        bytes.copy_from_slice(key);
        Self::new(bytes)
    }

    fn new(bytes: Box<Zeroizing<[u8; 32]>>) -> Result<Self> {
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.as_slice())?);
        Ok(Self { bytes, aead })
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    pub fn unwrap(kek: &Self, wrapped: &[u8]) -> Result<Self> {
        Self::from_bytes(&kw_unwrap(kek.bytes(), wrapped)?)
    }

    pub fn wrap(&self, kek: &Self) -> Result<Vec<u8>> {
        kw_wrap(kek.bytes(), self.bytes())
    }

    /// HKDF-SHA256 to another key of 32 octets.
    pub fn derive(&self, info: &[u8], salt: &[u8]) -> Result<Self> {
        Self::from_bytes(&kdf::hkdf("sha256", self.bytes(), salt, info, 32)?)
    }

    /// nonce ‖ ciphertext ‖ tag, with a random nonce.
    pub fn encrypt(&self, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
        let mut iv = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut iv)?;
        let mut out = Vec::with_capacity(plaintext.len() + SEAL_OVERHEAD);
        out.extend_from_slice(&iv);
        out.extend_from_slice(plaintext);
        let (_, body) = out.split_at_mut_checked(NONCE_LEN).ok_or_else(short)?;
        let tag = self.aead.seal_in_place_separate_tag(nonce(&iv)?, Aad::from(aad), body)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    pub fn decrypt(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (iv, body) = sealed.split_at_checked(NONCE_LEN).ok_or_else(short)?;
        if body.len() < TAG_LEN {
            return Err(short());
        }
        open(&self.aead, iv, body, aad)
    }
}

fn short() -> CoreError {
    CoreError::malformed("a sealed value is shorter than nonce and tag")
}

/// AES key wrap (RFC 3394). `secret` is a multiple of 8 octets, at least 16.
pub fn kw_wrap(kek: &[u8], secret: &[u8]) -> Result<Vec<u8>> {
    if secret.len() < 16 || !secret.len().is_multiple_of(8) || secret.len() > MAX_WRAPPED {
        return Err(CoreError::invalid("AES-KW: the key has a multiple of 8 octets, at least 16"));
    }
    let mut out = vec![0; secret.len() + 8];
    match kek.len() {
        16 => AesKek::new(&KW_128, kek)?.wrap(secret, &mut out)?.len(),
        24 => kw_192(kek, secret, &mut out)?,
        32 => AesKek::new(&KW_256, kek)?.wrap(secret, &mut out)?.len(),
        _ => return Err(CoreError::invalid("AES-KW: the wrapping key has 16, 24 or 32 octets")),
    };
    Ok(out)
}

pub fn kw_unwrap(kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    if wrapped.len() < 24 || !wrapped.len().is_multiple_of(8) || wrapped.len() > MAX_WRAPPED + 8 {
        return Err(CoreError::malformed("AES-KW: a wrapped key has a multiple of 8 octets, at least 24"));
    }
    let mut out = Zeroizing::new(vec![0; wrapped.len() - 8]);
    let unwrapped = match kek.len() {
        16 => AesKek::new(&KW_128, kek)?.unwrap(wrapped, &mut out).is_ok(),
        24 => kw_192_open(kek, wrapped, &mut out)?,
        32 => AesKek::new(&KW_256, kek)?.unwrap(wrapped, &mut out).is_ok(),
        _ => return Err(CoreError::invalid("AES-KW: the wrapping key has 16, 24 or 32 octets")),
    };
    if unwrapped { Ok(out) } else { Err(CoreError::bad_signature("AES-KW: the wrapped key is not from this key")) }
}

// aws-lc-rs wraps under 128 and 256 bits only; the algorithm of RFC 3394 section 2.2 over its AES-192 fills the gap.

const KW_IV: [u8; 8] = [0xa6; 8];

fn kw_192(kek: &[u8], secret: &[u8], out: &mut [u8]) -> Result<usize> {
    let cipher = EncryptingKey::ecb(UnboundCipherKey::new(&AES_192, kek)?)?;
    let (head, blocks) = out.split_at_mut_checked(8).ok_or_else(short)?;
    blocks.copy_from_slice(secret);
    let mut state = Zeroizing::new([0_u8; 16]);
    let mut register = KW_IV;
    let mut step: u64 = 0;
    for _ in 0..6 {
        for block in blocks.chunks_exact_mut(8) {
            let (left, right) = state.split_at_mut(8);
            left.copy_from_slice(&register);
            right.copy_from_slice(block);
            cipher.encrypt(state.as_mut_slice())?;
            step += 1;
            let (left, right) = state.split_at(8);
            for ((target, value), count) in register.iter_mut().zip(left).zip(step.to_be_bytes()) {
                *target = value ^ count;
            }
            block.copy_from_slice(right);
        }
    }
    head.copy_from_slice(&register);
    Ok(out.len())
}

fn kw_192_open(kek: &[u8], wrapped: &[u8], out: &mut [u8]) -> Result<bool> {
    let cipher = DecryptingKey::ecb(UnboundCipherKey::new(&AES_192, kek)?)?;
    let (head, blocks) = wrapped.split_at_checked(8).ok_or_else(short)?;
    out.copy_from_slice(blocks);
    let mut register = [0; 8];
    register.copy_from_slice(head);
    let mut state = Zeroizing::new([0_u8; 16]);
    let mut step = 6 * (out.len() / 8) as u64;
    for _ in 0..6 {
        for block in out.chunks_exact_mut(8).rev() {
            let (left, right) = state.split_at_mut(8);
            for ((target, value), count) in left.iter_mut().zip(register).zip(step.to_be_bytes()) {
                *target = value ^ count;
            }
            right.copy_from_slice(block);
            cipher.decrypt(state.as_mut_slice(), DecryptionContext::None)?;
            step -= 1;
            let (left, right) = state.split_at(8);
            register.copy_from_slice(left);
            block.copy_from_slice(right);
        }
    }
    let genuine = kdf::constant_time_equal(&register, &KW_IV);
    if !genuine {
        out.zeroize();
    }
    Ok(genuine)
}
