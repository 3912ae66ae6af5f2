//! The three serialisations, taken apart (RFC 7515 section 7, RFC 7516 section 7).

use std::borrow::Cow;

use super::base64url;
use super::header::MAX_HEADER;
use super::json::{Object, Value};
use crate::error::{CoreError, Result};

/// Signatures or recipients of one object.
const MAX_PARTS: usize = 64;
/// ML-DSA-87 signs with 4 627 octets.
const MAX_SIGNATURE: usize = 8 * 1024;

fn malformed(what: &'static str) -> CoreError {
    CoreError::malformed(what)
}

/// One signature of a JWS, its protected header still encoded.
pub struct Signature<'a> {
    pub protected: Cow<'a, str>,
    pub unprotected: Option<Object<'a>>,
    pub value: Vec<u8>,
}

/// A JWS in JSON.
pub struct Jws<'a> {
    /// As it is written; none if it is detached.
    pub payload: Option<Cow<'a, str>>,
    pub signatures: Vec<Signature<'a>>,
}

/// One recipient of a JWE.
pub struct Recipient<'a> {
    pub header: Option<Object<'a>>,
    pub encrypted_key: Vec<u8>,
}

/// A JWE in JSON.
pub struct Jwe<'a> {
    pub protected: Cow<'a, str>,
    pub unprotected: Option<Object<'a>>,
    pub aad: Option<Cow<'a, str>>,
    pub iv: Vec<u8>,
    pub ciphertext: Vec<u8>,
    pub tag: Vec<u8>,
    pub recipients: Vec<Recipient<'a>>,
}

/// `BASE64URL(header) . payload . BASE64URL(signature)`.
pub struct CompactJws<'a> {
    pub protected: &'a [u8],
    pub payload: &'a [u8],
    /// Both, with the full stop between them: what is signed.
    pub input: &'a [u8],
    pub signature: Vec<u8>,
}

pub fn compact_jws(token: &[u8]) -> Result<CompactJws<'_>> {
    let not = || malformed("JWS: not three parts");
    let last = token.iter().rposition(|octet| *octet == b'.').ok_or_else(not)?;
    let (input, signature) = token.split_at_checked(last).ok_or_else(not)?;
    let first = input.iter().take(base64url::encoded_len(MAX_HEADER) + 1).position(|octet| *octet == b'.');
    let (protected, payload) = input.split_at_checked(first.ok_or_else(not)?).ok_or_else(not)?;
    let (payload, signature) = (payload.get(1..).ok_or_else(not)?, signature.get(1..).ok_or_else(not)?);
    if payload.contains(&b'.') {
        return Err(not());
    }
    Ok(CompactJws { protected, payload, input, signature: signature_value(signature)? })
}

fn signature_value(encoded: &[u8]) -> Result<Vec<u8>> {
    if encoded.len() > base64url::encoded_len(MAX_SIGNATURE) {
        return Err(malformed("JWS: the signature is too long"));
    }
    base64url::decode(encoded)
}

/// The five parts of a compact JWE, the last four decoded.
pub struct CompactJwe<'a> {
    pub protected: &'a [u8],
    pub encrypted_key: Vec<u8>,
    pub iv: Vec<u8>,
    pub ciphertext: Vec<u8>,
    pub tag: Vec<u8>,
}

pub fn compact_jwe(token: &[u8]) -> Result<CompactJwe<'_>> {
    let mut parts = token.split(|octet| *octet == b'.');
    let mut next = || parts.next().ok_or_else(|| malformed("JWE: not five parts"));
    let (protected, key, iv, ciphertext, tag) = (next()?, next()?, next()?, next()?, next()?);
    if parts.next().is_some() {
        return Err(malformed("JWE: not five parts"));
    }
    Ok(CompactJwe {
        protected,
        encrypted_key: key_octets(key)?,
        iv: short(iv)?,
        ciphertext: ciphertext_octets(ciphertext, 32)?,
        tag: short(tag)?,
    })
}

/// With room for the tag, which decryption in place wants behind it.
fn ciphertext_octets(encoded: &[u8], room: usize) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(encoded.len() / 4 * 3 + room + 2);
    base64url::decode_into(encoded, &mut out)?;
    Ok(out)
}

fn key_octets(encoded: &[u8]) -> Result<Vec<u8>> {
    if encoded.len() > base64url::encoded_len(2048) {
        return Err(malformed("JWE: the encrypted key is too long"));
    }
    base64url::decode(encoded)
}

fn short(encoded: &[u8]) -> Result<Vec<u8>> {
    if encoded.len() > 64 {
        return Err(malformed("JWE: iv or tag is too long"));
    }
    base64url::decode(encoded)
}

/// Take a member out, so that what is in it can be kept without a copy.
fn take<'a>(object: &mut Object<'a>, name: &str) -> Option<Value<'a>> {
    let index = object.0.iter().position(|(key, _)| key == name)?;
    Some(object.0.swap_remove(index).1)
}

fn text<'a>(object: &mut Object<'a>, name: &'static str) -> Result<Option<Cow<'a, str>>> {
    match take(object, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(CoreError::malformed(format!("JOSE: {name:?} is not a string"))),
    }
}

fn inner<'a>(object: &mut Object<'a>, name: &'static str) -> Result<Option<Object<'a>>> {
    match take(object, name) {
        None => Ok(None),
        Some(Value::Object(inner)) => Ok(Some(inner)),
        Some(_) => Err(CoreError::malformed(format!("JOSE: {name:?} is not an object"))),
    }
}

/// The members of `list`, each an object; or the object itself where the flattened form is used.
fn parts<'a>(object: &mut Object<'a>, list: &'static str, flat: &[&str]) -> Result<Option<Vec<Object<'a>>>> {
    let Some(value) = take(object, list) else { return Ok(None) };
    if flat.iter().any(|name| object.get(name).is_some()) {
        return Err(malformed("JOSE: general and flattened in one"));
    }
    let Value::Array(values) = value else { return Err(malformed("JOSE: the parts are not a list")) };
    if values.is_empty() || values.len() > MAX_PARTS {
        return Err(malformed("JOSE: 1 to 64 signatures or recipients"));
    }
    let parts = values.into_iter().map(|part| match part {
        Value::Object(part) => Ok(part),
        _ => Err(malformed("JOSE: a part is not an object")),
    });
    Ok(Some(parts.collect::<Result<_>>()?))
}

pub fn json_jws(document: &[u8]) -> Result<Jws<'_>> {
    let mut object = Object::parse(document)?;
    let payload = text(&mut object, "payload")?;
    let parts = match parts(&mut object, "signatures", &["signature", "protected", "header"])? {
        Some(parts) => parts,
        None => vec![object],
    };
    Ok(Jws { payload, signatures: parts.into_iter().map(signature).collect::<Result<_>>()? })
}

fn signature(mut part: Object<'_>) -> Result<Signature<'_>> {
    let value = text(&mut part, "signature")?.ok_or_else(|| malformed("JWS: a signature is missing"))?;
    let protected = text(&mut part, "protected")?.unwrap_or_default();
    Ok(Signature { protected, unprotected: inner(&mut part, "header")?, value: signature_value(value.as_bytes())? })
}

fn recipient(mut part: Object<'_>) -> Result<Recipient<'_>> {
    let key = text(&mut part, "encrypted_key")?.unwrap_or_default();
    Ok(Recipient { header: inner(&mut part, "header")?, encrypted_key: key_octets(key.as_bytes())? })
}

pub fn json_jwe(document: &[u8]) -> Result<Jwe<'_>> {
    let mut object = Object::parse(document)?;
    let protected = text(&mut object, "protected")?.unwrap_or_default();
    let unprotected = inner(&mut object, "unprotected")?;
    let aad = text(&mut object, "aad")?;
    let missing = || malformed("JWE: iv, ciphertext or tag is missing");
    let iv = short(text(&mut object, "iv")?.ok_or_else(missing)?.as_bytes())?;
    let ciphertext = ciphertext_octets(text(&mut object, "ciphertext")?.ok_or_else(missing)?.as_bytes(), 32)?;
    let tag = short(text(&mut object, "tag")?.ok_or_else(missing)?.as_bytes())?;
    let parts = match parts(&mut object, "recipients", &["encrypted_key", "header"])? {
        Some(parts) => parts,
        None => vec![object],
    };
    let recipients = parts.into_iter().map(recipient).collect::<Result<_>>()?;
    Ok(Jwe { protected, unprotected, aad, iv, ciphertext, tag, recipients })
}
