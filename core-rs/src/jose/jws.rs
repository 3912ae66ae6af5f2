//! JWS: sign and verify.

use std::borrow::Cow;

use super::algorithms::SigAlg;
use super::base64url::{self, encoded_len};
use super::header::{Header, MAX_HEADER, protected_json};
use super::json::Object;
use super::keys::{SigningKey, VerifyingKey};
use super::parse::{CompactJws, Signature, compact_jws, json_jws};
use super::{MAX_INPUT, MAX_TRIES};
use crate::error::{CoreError, Result};

const UNDERSTOOD: [&str; 1] = ["b64"];

/// Signs with one key under one protected header, which is encoded once.
pub struct Signer {
    key: SigningKey,
    /// BASE64URL(header) and a full stop.
    prefix: Vec<u8>,
    encoded: bool,
}

impl Signer {
    /// `header` is the whole protected header; its alg must be the key's.
    pub fn new(key: SigningKey, header: &[u8]) -> Result<Self> {
        if header.len() > MAX_HEADER {
            return Err(CoreError::invalid("JWS: the header is too long"));
        }
        let object = Object::parse(header)?;
        let parsed = Header::new(&object, [None, None], &UNDERSTOOD)?;
        if !SigAlg::parse(parsed.alg()?)?.accepts(key.alg) {
            return Err(CoreError::bad_algorithm("JWS: the header names another algorithm than the key's"));
        }
        let encoded = parsed.encoded_payload()?;
        let mut prefix = Vec::with_capacity(encoded_len(header.len()) + 1);
        base64url::encode_into(header, &mut prefix);
        prefix.push(b'.');
        Ok(Self { key, prefix, encoded })
    }

    pub fn is_slow(&self) -> bool {
        self.key.is_slow()
    }

    fn check(payload: &[u8]) -> Result<()> {
        if payload.len() > MAX_INPUT / 4 * 3 {
            return Err(CoreError::invalid("JWS: the payload is too long"));
        }
        Ok(())
    }

    /// The signing input, with room for the signature.
    fn input(&self, payload: &[u8]) -> Result<Vec<u8>> {
        Self::check(payload)?;
        let mut input = Vec::with_capacity(self.prefix.len() + encoded_len(payload.len()) + 128);
        input.extend_from_slice(&self.prefix);
        if self.encoded {
            base64url::encode_into(payload, &mut input);
        } else {
            input.extend_from_slice(payload);
        }
        Ok(input)
    }

    /// Compact serialisation. An unencoded payload must be fit to stand there (RFC 7797 section 5.2).
    pub fn compact(&self, payload: &[u8]) -> Result<Vec<u8>> {
        if !self.encoded && !payload.iter().all(|octet| matches!(octet, 0x20..=0x7e) && *octet != b'.') {
            return Err(CoreError::invalid("JWS: this payload must be detached or encoded"));
        }
        let mut out = self.input(payload)?;
        let signature = self.key.sign(&out)?;
        out.push(b'.');
        base64url::encode_into(&signature, &mut out);
        Ok(out)
    }

    /// Compact serialisation without the payload (RFC 7515 appendix F).
    pub fn detached(&self, payload: &[u8]) -> Result<Vec<u8>> {
        let signature = self.key.sign(&self.input(payload)?)?;
        let mut out = Vec::with_capacity(self.prefix.len() + 1 + encoded_len(signature.len()));
        out.extend_from_slice(&self.prefix);
        out.push(b'.');
        base64url::encode_into(&signature, &mut out);
        Ok(out)
    }

    /// Protected header and signature, encoded, for a JSON serialisation.
    pub fn part(&self, payload: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
        let signature = self.key.sign(&self.input(payload)?)?;
        let header = self.prefix.strip_suffix(b".").unwrap_or_default().to_vec();
        Ok((header, base64url::encode(&signature).into_bytes()))
    }
}

/// A signature that verifies: which key, and the header's parameters as JSON.
#[derive(Debug)]
pub struct Verified {
    pub key: usize,
    pub header: Vec<u8>,
}

/// What a signature is over, and itself: for algorithms that this core does not have.
pub struct Inspected {
    pub header: Vec<u8>,
    pub input: Vec<u8>,
    pub signature: Vec<u8>,
}

/// Verifies with a ring of keys.
pub struct Verifier {
    keys: Vec<VerifyingKey>,
}

impl Verifier {
    pub fn new(keys: Vec<VerifyingKey>) -> Self {
        Self { keys }
    }

    /// The key is chosen by kid and must have the header's alg; where no kid tells, a few keys of that alg are tried.
    fn check(&self, header: &Header<'_>, input: &[u8], signature: &[u8]) -> Result<usize> {
        let alg = SigAlg::parse(header.alg()?)?;
        let kid = header.string("kid")?;
        let mut refused = CoreError::bad_signature("JWS: no such key");
        let mut tries = 0;
        for (index, key) in self.keys.iter().enumerate() {
            if kid.is_some_and(|kid| key.kid.as_deref().is_some_and(|own| own != kid)) {
                continue;
            }
            if !key.alg.accepts(alg) {
                refused = CoreError::bad_algorithm("JWS: the key has another algorithm than the header");
                continue;
            }
            match key.verify(input, signature) {
                Ok(()) => return Ok(index),
                Err(error) => refused = error,
            }
            tries += 1;
            if tries == MAX_TRIES {
                break;
            }
        }
        Err(refused)
    }

    /// Verify a compact JWS and return its payload; `detached` is the payload if it travels elsewhere.
    pub fn compact(&self, token: &[u8], detached: Option<&[u8]>) -> Result<(Verified, Vec<u8>)> {
        if token.len() > MAX_INPUT {
            return Err(CoreError::malformed("JWS: too long"));
        }
        let CompactJws { protected, payload, input, signature } = compact_jws(token)?;
        let json = protected_json(protected)?;
        let object = Object::parse(&json)?;
        let header = Header::new(&object, [None, None], &UNDERSTOOD)?;
        let encoded = header.encoded_payload()?;
        let (key, payload) = match detached {
            None => {
                let key = self.check(&header, input, &signature)?;
                (key, if encoded { base64url::decode(payload)? } else { payload.to_vec() })
            }
            Some(outside) => {
                if !payload.is_empty() {
                    return Err(CoreError::malformed("JWS: a detached payload is there twice"));
                }
                let input = signing_input(protected, outside, encoded);
                (self.check(&header, &input, &signature)?, Vec::new())
            }
        };
        Ok((Verified { key, header: json }, payload))
    }

    /// Verify a JWS in JSON: its payload, and every signature's result.
    pub fn json(&self, document: &[u8], detached: Option<&[u8]>) -> Result<(Vec<u8>, Vec<Result<Verified>>)> {
        let jws = read_json(document)?;
        let payload = payload(jws.payload.as_deref(), &jws.signatures, detached)?;
        let check = |signature: &Signature<'_>| -> Result<Verified> {
            with_header(signature, |header| {
                let encoded = header.encoded_payload()?;
                let input = signing_input(signature.protected.as_bytes(), &payload, encoded);
                Ok(Verified { key: self.check(header, &input, &signature.value)?, header: header.joint() })
            })
        };
        let results = jws.signatures.iter().map(check).collect();
        Ok((payload.into_owned(), results))
    }
}

fn read_json(document: &[u8]) -> Result<super::parse::Jws<'_>> {
    if document.len() > MAX_INPUT {
        return Err(CoreError::malformed("JWS: too long"));
    }
    json_jws(document)
}

fn signing_input(protected: &[u8], payload: &[u8], encoded: bool) -> Vec<u8> {
    let mut input = Vec::with_capacity(protected.len() + 1 + encoded_len(payload.len()));
    input.extend_from_slice(protected);
    input.push(b'.');
    if encoded {
        base64url::encode_into(payload, &mut input);
    } else {
        input.extend_from_slice(payload);
    }
    input
}

fn encoded(header: &Header<'_>) -> Result<bool> {
    header.encoded_payload()
}

fn with_header<R>(signature: &Signature<'_>, work: impl FnOnce(&Header<'_>) -> Result<R>) -> Result<R> {
    let json =
        if signature.protected.is_empty() { b"{}".to_vec() } else { protected_json(signature.protected.as_bytes())? };
    let object = Object::parse(&json)?;
    work(&Header::new(&object, [None, signature.unprotected.as_ref()], &UNDERSTOOD)?)
}

/// The payload's octets: all signatures must agree on how it is written (RFC 7797 section 3).
fn payload<'a>(
    written: Option<&'a str>,
    signatures: &[Signature<'_>],
    detached: Option<&'a [u8]>,
) -> Result<Cow<'a, [u8]>> {
    let written = match (written, detached) {
        (None, Some(outside)) => return Ok(Cow::Borrowed(outside)),
        (Some(written), None) => written,
        _ => return Err(CoreError::malformed("JWS: the payload is missing, or there twice")),
    };
    let mut form = None;
    for signature in signatures {
        // Headers that cannot be read are each signature's own failure, later.
        let Ok(own) = with_header(signature, encoded) else { continue };
        if form.is_some_and(|other| other != own) {
            return Err(CoreError::malformed("JWS: b64 differs between signatures"));
        }
        form = Some(own);
    }
    if form == Some(false) {
        return Ok(Cow::Borrowed(written.as_bytes()));
    }
    Ok(Cow::Owned(base64url::decode(written.as_bytes())?))
}

/// Take a JWS of either kind apart with every check but the signature's.
pub fn inspect(text: &[u8], detached: Option<&[u8]>) -> Result<(Vec<u8>, Vec<Inspected>)> {
    if text.len() > MAX_INPUT {
        return Err(CoreError::malformed("JWS: too long"));
    }
    if text.first() != Some(&b'{') {
        let CompactJws { protected, payload, input, signature } = compact_jws(text)?;
        let json = protected_json(protected)?;
        let object = Object::parse(&json)?;
        let encoded = Header::new(&object, [None, None], &UNDERSTOOD)?.encoded_payload()?;
        let (payload, input) = match detached {
            Some(outside) if payload.is_empty() => (outside.to_vec(), signing_input(protected, outside, encoded)),
            Some(_) => return Err(CoreError::malformed("JWS: a detached payload is there twice")),
            None if encoded => (base64url::decode(payload)?, input.to_vec()),
            None => (payload.to_vec(), input.to_vec()),
        };
        return Ok((payload, vec![Inspected { header: json, input, signature }]));
    }
    let jws = read_json(text)?;
    let payload = payload(jws.payload.as_deref(), &jws.signatures, detached)?;
    let parts = jws.signatures.iter().map(|signature| {
        with_header(signature, |header| {
            let input = signing_input(signature.protected.as_bytes(), &payload, header.encoded_payload()?);
            Ok(Inspected { header: header.joint(), input, signature: signature.value.clone() })
        })
    });
    let parts = parts.collect::<Result<_>>()?;
    Ok((payload.into_owned(), parts))
}
