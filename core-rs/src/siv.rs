//! AES-SIV (RFC 5297): encryption that gives the same for the same, and loses nothing else when a nonce repeats.

use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, Algorithm, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::cmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use crate::error::{CoreError, Result};
use crate::kdf;

const BLOCK: usize = 16;
/// The components of S2V are 127 at most, of which the plaintext is one (RFC 5297 section 2.6).
pub const MAX_COMPONENTS: usize = 126;

type Block = Zeroizing<[u8; BLOCK]>;

/// One half authenticates, the other encrypts.
struct Halves<'a> {
    mac: cmac::Key,
    counter: &'static Algorithm,
    counter_key: &'a [u8],
}

impl<'a> Halves<'a> {
    fn new(key: &'a [u8]) -> Result<Self> {
        let (mac, counter) = match key.len() {
            32 => (cmac::AES_128, &AES_128),
            48 => (cmac::AES_192, &AES_192),
            64 => (cmac::AES_256, &AES_256),
            _ => return Err(CoreError::bad_algorithm("AES-SIV: the key has 32, 48 or 64 octets")),
        };
        let (first, second) = key.split_at_checked(key.len() / 2).ok_or_else(short)?;
        Ok(Self { mac: cmac::Key::new(mac, first)?, counter, counter_key: second })
    }

    fn cmac(&self, data: &[u8]) -> Result<Block> {
        let mut out = Block::default();
        cmac::sign_to_buffer(&self.mac, data, out.as_mut_slice())?;
        Ok(out)
    }

    /// S2V of section 2.4, over the components and, last, the plaintext.
    fn synthetic(&self, components: &[&[u8]], plaintext: &[u8]) -> Result<[u8; BLOCK]> {
        if components.len() > MAX_COMPONENTS {
            return Err(CoreError::invalid("AES-SIV: more than 126 components of additional data"));
        }
        let mut state = self.cmac(&[0; BLOCK])?;
        for component in components {
            double(&mut state);
            xor(state.as_mut_slice(), self.cmac(component)?.as_slice());
        }
        let mut context = cmac::Context::with_key(&self.mac);
        if let Some(at) = plaintext.len().checked_sub(BLOCK) {
            let (head, tail) = plaintext.split_at_checked(at).ok_or_else(short)?;
            xor(state.as_mut_slice(), tail);
            context.update(head)?;
        } else {
            double(&mut state);
            xor(state.as_mut_slice(), plaintext);
            xor(state.iter_mut().skip(plaintext.len()), &[0x80]);
        }
        context.update(state.as_slice())?;
        context.sign()?.as_ref().try_into().map_err(|_| short())
    }

    /// CTR from the synthetic IV with two bits cleared (section 2.5); the way back is the same.
    fn apply(&self, synthetic: [u8; BLOCK], text: &mut [u8]) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let start = u128::from_be_bytes(synthetic) & !(1 << 63 | 1 << 31);
        let cipher = EncryptingKey::ctr(UnboundCipherKey::new(self.counter, self.counter_key)?)?;
        let start = EncryptionContext::Iv128(FixedLength::from(start.to_be_bytes()));
        cipher.less_safe_encrypt(text, start)?;
        Ok(())
    }
}

/// Multiply by x in GF(2^128), in a time that tells nothing of the value.
fn double(block: &mut Block) {
    let value = u128::from_be_bytes(**block);
    **block = ((value << 1) ^ ((value >> 127) * 0x87)).to_be_bytes();
}

fn xor<'a>(target: impl IntoIterator<Item = &'a mut u8>, other: &[u8]) {
    for (octet, more) in target.into_iter().zip(other) {
        *octet ^= more;
    }
}

fn short() -> CoreError {
    CoreError::malformed("AES-SIV: a sealed value has at least 16 octets")
}

/// The synthetic IV, which is the tag too, followed by the ciphertext. Whoever wants a nonce gives it as the last
/// component; without one, equal inputs are seen to be equal.
pub fn encrypt(key: &[u8], components: &[&[u8]], plaintext: &[u8]) -> Result<Vec<u8>> {
    let halves = Halves::new(key)?;
    let synthetic = halves.synthetic(components, plaintext)?;
    let mut out = Vec::with_capacity(BLOCK + plaintext.len());
    out.extend_from_slice(&synthetic);
    out.extend_from_slice(plaintext);
    let (_, text) = out.split_at_mut_checked(BLOCK).ok_or_else(short)?;
    halves.apply(synthetic, text)?;
    Ok(out)
}

pub fn decrypt(key: &[u8], components: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let halves = Halves::new(key)?;
    let (synthetic, text) = sealed.split_first_chunk::<BLOCK>().ok_or_else(short)?;
    let mut plaintext = Zeroizing::new(text.to_vec());
    halves.apply(*synthetic, &mut plaintext)?;
    let expected = Zeroizing::new(halves.synthetic(components, &plaintext)?);
    if !kdf::constant_time_equal(expected.as_slice(), synthetic) {
        return Err(CoreError::bad_signature("the sealed value is not from this key and context"));
    }
    Ok(plaintext)
}
