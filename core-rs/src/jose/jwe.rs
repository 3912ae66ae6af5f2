//! JWE in compact serialisation.

use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::agree::Parties;
use super::algorithms::{Enc, KeyAlg};
use super::base64url::{self, encoded_len};
use super::content::ContentKey;
use super::header::{Header, MAX_HEADER, protected_json};
use super::json::Object;
use super::keys::{DecryptionKey, EncryptionKey};
use super::parse::compact_jwe;
use super::{MAX_INPUT, MAX_TRIES};
use crate::error::{CoreError, Result};

/// The longest plaintext: its object must be readable again.
pub fn check_plaintext(plaintext: &[u8]) -> Result<()> {
    if plaintext.len() > MAX_INPUT / 4 * 3 - 2 * MAX_HEADER {
        return Err(CoreError::invalid("JWE: the plaintext is too long"));
    }
    Ok(())
}

/// Encrypts to one recipient under one protected header.
pub struct Encrypter {
    key: EncryptionKey,
    enc: Enc,
    parties: Parties,
    /// The header without its closing brace, and encoded whole.
    open: String,
    encoded: Vec<u8>,
    /// The content's key where it is always the same.
    direct: Option<ContentKey>,
}

impl Encrypter {
    /// `header` is the protected header without what each message adds; its alg and enc must be these.
    pub fn new(key: EncryptionKey, header: &[u8]) -> Result<Self> {
        if header.len() > MAX_HEADER / 2 {
            return Err(CoreError::invalid("JWE: the header is too long"));
        }
        let object = Object::parse(header)?;
        let parsed = Header::new(&object, [None, None], &[])?;
        if KeyAlg::parse(parsed.alg()?)? != key.alg {
            return Err(CoreError::bad_algorithm("JWE: the header names another algorithm than the key's"));
        }
        check_reserved(&parsed)?;
        let enc = Enc::parse(parsed.string("enc")?.ok_or_else(|| CoreError::invalid("JWE: enc is missing"))?)?;
        let parties = Parties::read(&parsed)?;
        let mut open = String::new();
        object.write(&mut open);
        open.pop();
        let encoded = base64url::encode(format!("{open}}}").as_bytes()).into_bytes();
        let direct = match key.alg {
            KeyAlg::Dir => Some(ContentKey::new(enc, &key.deliver(enc, None, &parties)?.cek)?),
            _ => None,
        };
        Ok(Self { key, enc, parties, open, encoded, direct })
    }

    pub fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>> {
        check_plaintext(plaintext)?;
        let mut out = Vec::with_capacity(self.encoded.len() + encoded_len(plaintext.len()) + 512);
        if let Some(content) = &self.direct {
            out.extend_from_slice(&self.encoded);
            return self.finish(out, content, &[], plaintext);
        }
        let delivery = self.key.deliver(self.enc, None, &self.parties)?;
        if delivery.parameters.is_empty() {
            out.extend_from_slice(&self.encoded);
        } else {
            base64url::encode_into(format!("{}{}}}", self.open, delivery.parameters).as_bytes(), &mut out);
        }
        self.finish(out, &ContentKey::new(self.enc, &delivery.cek)?, &delivery.encrypted_key, plaintext)
    }

    /// `out` holds the encoded header, which is the additional authenticated data.
    fn finish(&self, mut out: Vec<u8>, content: &ContentKey, key: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
        let mut iv = [0; 16];
        let iv = iv.get_mut(..self.enc.iv_len()).unwrap_or_default();
        aws_lc_rs::rand::fill(iv)?;
        let mut body = Zeroizing::new(Vec::with_capacity(plaintext.len() + 16));
        body.extend_from_slice(plaintext);
        let tag = content.seal(iv, &out, &mut body)?;
        for part in [key, iv, &body, tag.as_ref()] {
            out.push(b'.');
            base64url::encode_into(part, &mut out);
        }
        Ok(out)
    }
}

/// What a message adds itself may not be given.
pub fn check_reserved(header: &Header<'_>) -> Result<()> {
    for name in ["epk", "ek", "iv", "tag", "p2s", "p2c", "crit"] {
        if header.get(name).is_some() {
            return Err(CoreError::invalid(format!("JWE: {name:?} is not the caller's to set")));
        }
    }
    Ok(())
}

/// A ring of keys that decrypt, with the content encryptions that are accepted.
pub struct Decrypter {
    keys: Vec<(DecryptionKey, OnceLock<(Enc, ContentKey)>)>,
    encs: Vec<Enc>,
}

/// What is authenticated and encrypted.
pub struct Content<'a> {
    pub aad: &'a [u8],
    pub iv: &'a [u8],
    pub ciphertext: &'a [u8],
    pub tag: &'a [u8],
}

impl Decrypter {
    pub fn new(keys: Vec<DecryptionKey>, encs: Vec<Enc>) -> Self {
        Self { keys: keys.into_iter().map(|key| (key, OnceLock::new())).collect(), encs }
    }

    pub fn is_slow(&self) -> bool {
        self.keys.iter().any(|(key, _)| key.is_slow())
    }

    /// The key, the header as JSON and the plaintext of a compact JWE.
    pub fn decrypt(&self, token: &[u8]) -> Result<(usize, Vec<u8>, Zeroizing<Vec<u8>>)> {
        if token.len() > MAX_INPUT {
            return Err(CoreError::malformed("JWE: too long"));
        }
        let jwe = compact_jwe(token)?;
        let json = protected_json(jwe.protected)?;
        let object = Object::parse(&json)?;
        let header = Header::new(&object, [None, None], &[])?;
        let content = Content { aad: jwe.protected, iv: &jwe.iv, ciphertext: &jwe.ciphertext, tag: &jwe.tag };
        let (key, plaintext) = self.open(&header, &jwe.encrypted_key, &content)?;
        Ok((key, json, plaintext))
    }

    /// Try the keys that this recipient may mean.
    pub fn open(
        &self,
        header: &Header<'_>,
        encrypted_key: &[u8],
        content: &Content<'_>,
    ) -> Result<(usize, Zeroizing<Vec<u8>>)> {
        let alg = KeyAlg::parse(header.alg()?)?;
        let enc = header.string("enc")?.ok_or_else(|| CoreError::malformed("JWE: enc is missing"))?;
        let enc = Enc::parse(enc)?;
        if !self.encs.contains(&enc) {
            return Err(CoreError::bad_algorithm("JWE: this content encryption is not accepted here"));
        }
        if content.iv.len() != enc.iv_len() || content.tag.len() != enc.tag_len() {
            return Err(CoreError::malformed("JWE: iv or tag has another length than enc needs"));
        }
        let kid = header.string("kid")?;
        let mut refused = CoreError::bad_signature("JWE: no such key");
        let mut tries = 0;
        for (index, (key, prepared)) in self.keys.iter().enumerate() {
            if kid.is_some_and(|kid| key.kid.as_deref().is_some_and(|own| own != kid)) {
                continue;
            }
            if key.alg != alg || key.enc.is_some_and(|own| own != enc) {
                refused = CoreError::bad_algorithm("JWE: the key has another algorithm than the header");
                continue;
            }
            match attempt(key, prepared, header, enc, encrypted_key, content) {
                Ok(plaintext) => return Ok((index, plaintext)),
                Err(error) => refused = error,
            }
            tries += 1;
            if tries == MAX_TRIES {
                break;
            }
        }
        Err(refused)
    }
}

fn attempt(
    key: &DecryptionKey,
    prepared: &OnceLock<(Enc, ContentKey)>,
    header: &Header<'_>,
    enc: Enc,
    encrypted_key: &[u8],
    content: &Content<'_>,
) -> Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Vec::with_capacity(content.ciphertext.len() + content.tag.len());
    buffer.extend_from_slice(content.ciphertext);
    if let (Some(direct), true) = (key.direct(), encrypted_key.is_empty())
        && direct.len() == enc.key_len()
    {
        if prepared.get().is_none() {
            // Whoever is first; the other one's is the same but for enc, which is compared.
            let _ = prepared.set((enc, ContentKey::new(enc, direct)?));
        }
        if let Some((kept, ready)) = prepared.get()
            && *kept == enc
        {
            return ready.open(content.iv, content.aad, buffer, content.tag);
        }
    }
    let cek = key.recover(header, enc, encrypted_key)?;
    ContentKey::new(enc, &cek)?.open(content.iv, content.aad, buffer, content.tag)
}
