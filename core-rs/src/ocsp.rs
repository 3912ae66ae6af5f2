//! Basic OCSP responses (RFC 6960 section 4.2.1), the responder named by the hash of its key.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::algorithms::SignatureAlgorithm;
use crate::cert::signed;
use crate::der::{self, ENUMERATED, OCTET_STRING, Reader, SEQUENCE, context};
use crate::error::{CoreError, Result};
use crate::keys::{PrivateKey, public_key_bits};

/// id-pkix-ocsp-nonce with its tag.
const NONCE_OID: &[u8] = b"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x02";
/// id-pkix-ocsp-basic with its tag.
const BASIC_OID: &[u8] = b"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01";
/// responseStatus successful.
const SUCCESSFUL: &[u8] = &[ENUMERATED, 1, 0];
/// RFC 9654 section 2.1.
const MAX_NONCE: usize = 128;
/// More single responses than any client asks for.
const MAX_SINGLES: usize = 4096;
/// A CertID with SHA-512 hashes and a long serial takes under 200 octets.
const MAX_CERT_ID: usize = 512;
const MAX_EXTENSIONS: usize = 8192;

/// What is known of one certificate.
#[derive(Clone, Copy)]
pub enum Status {
    Good,
    /// When, and why if that is to be told.
    Revoked(i64, Option<u8>),
    Unknown,
}

/// The answer for one certificate.
#[derive(Clone, Copy)]
pub struct Single<'a> {
    /// DER CertID, as it was asked.
    pub cert_id: &'a [u8],
    pub status: Status,
    pub this_update: i64,
    pub next_update: Option<i64>,
    /// Concatenated DER Extension values.
    pub extensions: &'a [u8],
}

impl Status {
    /// From the numbers that cross the language border: 0 good, 1 revoked, 2 unknown; a negative reason is none.
    pub fn from_numbers(status: i64, revoked_at: i64, reason: i64) -> Result<Self> {
        match status {
            0 => Ok(Self::Good),
            1 => Ok(Self::Revoked(revoked_at, reason_code(reason)?)),
            2 => Ok(Self::Unknown),
            _ => Err(CoreError::invalid("OCSP: status is 0, 1 or 2")),
        }
    }
}

/// A CRLReason (RFC 5280 section 5.3.1) that is to be written; unspecified is expressed by leaving it out.
pub fn reason_code(reason: i64) -> Result<Option<u8>> {
    match u8::try_from(reason) {
        Ok(code @ (1..=6 | 8..=10)) => Ok(Some(code)),
        Ok(0) => Ok(None),
        Err(_) if reason == -1 => Ok(None),
        _ => Err(CoreError::invalid("a revocation reason is -1, 0 to 6, or 8 to 10")),
    }
}

/// Builds and signs the responses of one responder.
pub struct OcspSigner {
    key: Arc<PrivateKey>,
    algorithm: SignatureAlgorithm,
    /// responderID byKey.
    responder: Vec<u8>,
    /// `[0] EXPLICIT SEQUENCE OF Certificate`, or nothing.
    certificates: Vec<u8>,
}

impl OcspSigner {
    /// The first certificate, if there is any, must be for `key`.
    pub fn new<C: AsRef<[u8]>>(
        key: Arc<PrivateKey>,
        algorithm: SignatureAlgorithm,
        certificates: &[C],
    ) -> Result<Self> {
        algorithm.check_signs(key.algorithm())?;
        for certificate in certificates {
            der::well_formed(certificate.as_ref(), SEQUENCE)?;
        }
        if let Some(own) = certificates.first()
            && certificate_spki(own.as_ref())? != key.spki()
        {
            return Err(CoreError::invalid("OCSP: the certificate is for another key"));
        }
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, public_key_bits(key.spki())?);
        let responder = der::wrap(context(2), &der::wrap(OCTET_STRING, hash.as_ref()));
        let chain: Vec<u8> = certificates.iter().flat_map(|one| one.as_ref().iter().copied()).collect();
        let certificates =
            if chain.is_empty() { Vec::new() } else { der::wrap(context(0), &der::wrap(SEQUENCE, &chain)) };
        Ok(Self { key, algorithm, responder, certificates })
    }

    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// A whole DER OCSPResponse.
    pub fn sign(
        &self,
        singles: &[Single<'_>],
        produced_at: i64,
        nonce: Option<&[u8]>,
        extensions: &[u8],
    ) -> Result<Vec<u8>> {
        if singles.is_empty() || singles.len() > MAX_SINGLES {
            return Err(CoreError::invalid("OCSP: 1 to 4096 single responses"));
        }
        if extensions.len() > MAX_EXTENSIONS {
            return Err(CoreError::invalid("OCSP: the extensions are too long"));
        }
        der::well_formed_run(extensions)?;
        let mut responses = Vec::with_capacity(singles.len() * 160);
        for single in singles {
            append_single(&mut responses, single)?;
        }
        let mut body = Vec::with_capacity(self.responder.len() + responses.len() + extensions.len() + 192);
        body.extend_from_slice(&self.responder);
        der::generalized_time(&mut body, produced_at)?;
        der::tlv(&mut body, SEQUENCE, &responses);
        append_extensions(&mut body, nonce, extensions)?;
        let mut tbs = Vec::with_capacity(der::tlv_len(body.len()));
        der::tlv(&mut tbs, SEQUENCE, &body);
        let mut signature = Vec::new();
        self.key.sign_into(self.algorithm, &tbs, &mut signature)?;
        Ok(self.envelope(&tbs, &signature))
    }

    /// OCSPResponse ::= SEQUENCE { responseStatus, [0] EXPLICIT SEQUENCE { OID, OCTET STRING { BasicOCSPResponse } } }
    fn envelope(&self, tbs: &[u8], signature: &[u8]) -> Vec<u8> {
        let basic = signed(tbs, self.algorithm.identifier(), signature, &self.certificates);
        let octets = der::tlv_len(basic.len());
        let bytes = BASIC_OID.len() + octets;
        let explicit = der::tlv_len(bytes);
        let body = SUCCESSFUL.len() + der::tlv_len(explicit);
        let mut out = Vec::with_capacity(der::tlv_len(body));
        der::header(&mut out, SEQUENCE, body);
        out.extend_from_slice(SUCCESSFUL);
        der::header(&mut out, context(0), explicit);
        der::header(&mut out, SEQUENCE, bytes);
        out.extend_from_slice(BASIC_OID);
        der::header(&mut out, OCTET_STRING, basic.len());
        out.extend_from_slice(&basic);
        out
    }

    /// One response for each, spread over the cores, in order.
    pub fn sign_many(&self, singles: &[Single<'_>], produced_at: i64) -> Result<Vec<Vec<u8>>> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(64);
        let share = singles.len().div_ceil(workers).max(1);
        let one = |part: &[Single<'_>]| -> Result<Vec<Vec<u8>>> {
            part.iter().map(|single| self.sign(std::slice::from_ref(single), produced_at, None, &[])).collect()
        };
        if singles.len() <= 8 || workers == 1 {
            return one(singles);
        }
        let parts = std::thread::scope(|scope| {
            let handles: Vec<_> = singles.chunks(share).map(|part| scope.spawn(move || one(part))).collect();
            handles
                .into_iter()
                .map(|handle| {
                    handle.join().unwrap_or_else(|_| {
                        Err(CoreError::new(crate::error::Kind::Internal, "a signing thread panicked"))
                    })
                })
                .collect::<Result<Vec<_>>>()
        })?;
        Ok(parts.into_iter().flatten().collect())
    }
}

/// SingleResponse ::= SEQUENCE { certID, certStatus, thisUpdate, [0] nextUpdate, [1] singleExtensions }
fn append_single(out: &mut Vec<u8>, single: &Single<'_>) -> Result<()> {
    if single.cert_id.len() > MAX_CERT_ID || single.extensions.len() > MAX_EXTENSIONS {
        return Err(CoreError::invalid("OCSP: a single response is too long"));
    }
    der::well_formed(single.cert_id, SEQUENCE)?;
    let mut body = Vec::with_capacity(single.cert_id.len() + single.extensions.len() + 80);
    body.extend_from_slice(single.cert_id);
    match single.status {
        Status::Good => body.extend_from_slice(&[0x80, 0]),
        Status::Unknown => body.extend_from_slice(&[0x82, 0]),
        Status::Revoked(at, reason) => {
            der::header(&mut body, context(1), if reason.is_some() { 22 } else { 17 });
            der::generalized_time(&mut body, at)?;
            if let Some(code) = reason {
                body.extend_from_slice(&[context(0), 3, ENUMERATED, 1, code]);
            }
        }
    }
    der::generalized_time(&mut body, single.this_update)?;
    if let Some(next) = single.next_update {
        der::header(&mut body, context(0), 17);
        der::generalized_time(&mut body, next)?;
    }
    if !single.extensions.is_empty() {
        der::well_formed_run(single.extensions)?;
        der::header(&mut body, context(1), der::tlv_len(single.extensions.len()));
        der::tlv(&mut body, SEQUENCE, single.extensions);
    }
    der::tlv(out, SEQUENCE, &body);
    Ok(())
}

/// responseExtensions: the nonce (RFC 9654: an OCTET STRING inside extnValue), then what else is given.
fn append_extensions(out: &mut Vec<u8>, nonce: Option<&[u8]>, extensions: &[u8]) -> Result<()> {
    let mut list = Vec::with_capacity(extensions.len() + nonce.map_or(0, |nonce| nonce.len() + 24));
    if let Some(nonce) = nonce {
        if nonce.is_empty() || nonce.len() > MAX_NONCE {
            return Err(CoreError::invalid("OCSP: a nonce has 1 to 128 octets"));
        }
        let value = der::wrap(OCTET_STRING, nonce);
        der::header(&mut list, SEQUENCE, NONCE_OID.len() + der::tlv_len(value.len()));
        list.extend_from_slice(NONCE_OID);
        der::tlv(&mut list, OCTET_STRING, &value);
    }
    list.extend_from_slice(extensions);
    if !list.is_empty() {
        der::header(out, context(1), der::tlv_len(list.len()));
        der::tlv(out, SEQUENCE, &list);
    }
    Ok(())
}

/// The SubjectPublicKeyInfo of a certificate, whole.
fn certificate_spki(certificate: &[u8]) -> Result<&[u8]> {
    let tbs = Reader::new(der::single(certificate, SEQUENCE)?).expect(SEQUENCE)?;
    let mut fields = Reader::new(tbs.value);
    fields.optional(context(0))?;
    fields.expect(der::INTEGER)?;
    for _ in ["signature", "issuer", "validity", "subject"] {
        fields.expect(SEQUENCE)?;
    }
    Ok(fields.expect(SEQUENCE)?.raw)
}
