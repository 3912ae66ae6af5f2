//! JWE in JSON, flattened and general, with additional authenticated data (RFC 7516 section 7.2).

use zeroize::Zeroizing;

use super::MAX_INPUT;
use super::agree::Parties;
use super::algorithms::{Enc, KeyAlg};
use super::base64url;
use super::content::ContentKey;
use super::header::{Header, MAX_HEADER, protected_json};
use super::json::Object;
use super::jwe::{Content, Decrypter, check_plaintext, check_reserved};
use super::keys::EncryptionKey;
use super::parse::json_jwe;
use crate::error::{CoreError, Result};

/// A recipient and its own header.
pub struct Recipient {
    pub key: EncryptionKey,
    pub header: Vec<u8>,
}

/// What an object says beside its recipients; each a JSON object.
pub struct Shared<'a> {
    pub protected: &'a [u8],
    pub unprotected: &'a [u8],
    pub aad: Option<&'a [u8]>,
    pub flattened: bool,
}

/// Encrypt once, for every recipient. enc stands in the protected header, alg in each recipient's.
pub fn encrypt(recipients: &[Recipient], shared: &Shared<'_>, plaintext: &[u8]) -> Result<String> {
    check_plaintext(plaintext)?;
    if recipients.is_empty() || recipients.len() > 64 || shared.flattened && recipients.len() != 1 {
        return Err(CoreError::invalid("JWE: 1 to 64 recipients, and one if it is flattened"));
    }
    let total: usize = recipients.iter().map(|one| one.header.len()).sum();
    if shared.protected.len() > MAX_HEADER / 2 || shared.unprotected.len() + total > MAX_HEADER * 8 {
        return Err(CoreError::invalid("JWE: a header is too long"));
    }
    let protected = Object::parse(shared.protected)?;
    let unprotected = Object::parse(shared.unprotected)?;
    let enc = protected.string("enc")?.ok_or_else(|| CoreError::invalid("JWE: enc is missing"))?;
    let enc = Enc::parse(enc)?;
    let mut cek: Option<Zeroizing<Vec<u8>>> = None;
    let mut parts = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let own = Object::parse(&recipient.header)?;
        let header = Header::new(&protected, [Some(&unprotected), Some(&own)], &[])?;
        if KeyAlg::parse(header.alg()?)? != recipient.key.alg {
            return Err(CoreError::bad_algorithm("JWE: the header names another algorithm than the key's"));
        }
        check_reserved(&header)?;
        if recipients.len() > 1 && recipient.key.alg.is_direct() {
            return Err(CoreError::bad_algorithm("JWE: with this alg there is one recipient"));
        }
        let parties = Parties::read(&header)?;
        let delivery = recipient.key.deliver(enc, cek.as_deref().map(Vec::as_slice), &parties)?;
        let mut text = String::new();
        own.write(&mut text);
        text.pop();
        let added = if own.0.is_empty() { delivery.parameters.trim_start_matches(',') } else { &delivery.parameters };
        text.push_str(added);
        text.push('}');
        let mut part = format!(r#""header":{text}"#);
        if !delivery.encrypted_key.is_empty() {
            member("encrypted_key", &base64url::encode(&delivery.encrypted_key), &mut part);
        }
        parts.push(part);
        cek = Some(delivery.cek);
    }
    let cek = cek.ok_or_else(|| CoreError::invalid("JWE: no recipient"))?;
    let mut written = String::new();
    protected.write(&mut written);
    let written = base64url::encode(written.as_bytes());
    let mut iv = vec![0; enc.iv_len()];
    aws_lc_rs::rand::fill(&mut iv)?;
    let mut body = Zeroizing::new(Vec::with_capacity(plaintext.len() + 16));
    body.extend_from_slice(plaintext);
    let aad = shared.aad.map(base64url::encode);
    let tag = ContentKey::new(enc, &cek)?.seal(&iv, &authenticated(&written, aad.as_deref()), &mut body)?;
    let mut out = format!(r#"{{"protected":"{written}""#);
    if !unprotected.0.is_empty() {
        out.push_str(r#","unprotected":"#);
        unprotected.write(&mut out);
    }
    match parts.as_slice() {
        [part] if shared.flattened => {
            out.push(',');
            out.push_str(part);
        }
        _ => {
            out.push_str(r#","recipients":[{"#);
            out.push_str(&parts.join("},{"));
            out.push_str("}]");
        }
    }
    if let Some(aad) = &aad {
        member("aad", aad, &mut out);
    }
    for (name, value) in [("iv", iv.as_slice()), ("ciphertext", &body), ("tag", tag.as_ref())] {
        member(name, &base64url::encode(value), &mut out);
    }
    out.push('}');
    Ok(out)
}

/// Append a member whose value is base64url.
fn member(name: &str, value: &str, out: &mut String) {
    for part in [",\"", name, "\":\"", value, "\""] {
        out.push_str(part);
    }
}

/// `protected`, and `.aad` where there is one (RFC 7516 section 5.1 step 14).
fn authenticated(protected: &str, aad: Option<&str>) -> Vec<u8> {
    let mut out = protected.as_bytes().to_vec();
    if let Some(aad) = aad {
        out.push(b'.');
        out.extend_from_slice(aad.as_bytes());
    }
    out
}

/// What comes out of a JWE in JSON.
pub struct Opened {
    pub key: usize,
    pub recipient: usize,
    pub header: Vec<u8>,
    pub plaintext: Zeroizing<Vec<u8>>,
    pub aad: Option<Vec<u8>>,
}

/// Decrypt for the first recipient whose key is in the ring.
pub fn decrypt(ring: &Decrypter, document: &[u8]) -> Result<Opened> {
    if document.len() > MAX_INPUT {
        return Err(CoreError::malformed("JWE: too long"));
    }
    let jwe = json_jwe(document)?;
    let json = if jwe.protected.is_empty() { b"{}".to_vec() } else { protected_json(jwe.protected.as_bytes())? };
    let protected = Object::parse(&json)?;
    let aad = authenticated(&jwe.protected, jwe.aad.as_deref());
    let content = Content { aad: &aad, iv: &jwe.iv, ciphertext: &jwe.ciphertext, tag: &jwe.tag };
    let mut refused = CoreError::bad_signature("JWE: no such key");
    for (index, recipient) in jwe.recipients.iter().enumerate() {
        let opened = Header::new(&protected, [jwe.unprotected.as_ref(), recipient.header.as_ref()], &[])
            .and_then(|header| Ok((ring.open(&header, &recipient.encrypted_key, &content)?, header.joint())));
        match opened {
            Ok(((key, plaintext), header)) => {
                let aad = jwe.aad.as_deref().map(|aad| base64url::decode(aad.as_bytes())).transpose()?;
                return Ok(Opened { key, recipient: index, header, plaintext, aad });
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}
