//! Certificates (RFC 5280 section 4.1): what is constant for an issuer is encoded once.

use std::sync::Arc;

use crate::algorithms::SignatureAlgorithm;
use crate::der::{self, BIT_STRING, INTEGER, Reader, SEQUENCE, context};
use crate::error::{CoreError, Result};
use crate::keys::PrivateKey;

/// Version 3, with its tag.
const V3: &[u8] = &[0xa0, 0x03, 0x02, 0x01, 0x02];
/// A certificate larger than this is refused: no field needs so much.
const MAX_TBS: usize = 1 << 20;

/// Append `SEQUENCE { tbs, signatureAlgorithm, BIT STRING }`, which certificates, CRLs and OCSP responses share.
///
/// `trailer` goes behind the signature inside the SEQUENCE.
pub fn signed(tbs: &[u8], identifier: &[u8], signature: &[u8], trailer: &[u8]) -> Vec<u8> {
    let bits = signature.len() + 1;
    let body = tbs.len() + identifier.len() + der::tlv_len(bits) + trailer.len();
    let mut out = Vec::with_capacity(der::tlv_len(body));
    der::header(&mut out, SEQUENCE, body);
    out.extend_from_slice(tbs);
    out.extend_from_slice(identifier);
    der::header(&mut out, BIT_STRING, bits);
    out.push(0);
    out.extend_from_slice(signature);
    out.extend_from_slice(trailer);
    out
}

/// What differs from certificate to certificate.
pub struct Fields<'a> {
    /// Big-endian magnitude.
    pub serial: &'a [u8],
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
    /// DER Name.
    pub subject: &'a [u8],
    /// DER SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    /// DER SEQUENCE OF Extension; empty for none.
    pub extensions: &'a [u8],
}

/// Builds and signs certificates of one issuer.
pub struct CertificateSigner {
    key: Arc<PrivateKey>,
    algorithm: SignatureAlgorithm,
    /// AlgorithmIdentifier followed by the issuer's Name: they stand side by side in every certificate.
    constant: Vec<u8>,
}

impl CertificateSigner {
    pub fn new(key: Arc<PrivateKey>, algorithm: SignatureAlgorithm, issuer: &[u8]) -> Result<Self> {
        algorithm.check_signs(key.algorithm())?;
        der::well_formed(issuer, SEQUENCE)?;
        let constant = [algorithm.identifier(), issuer].concat();
        Ok(Self { key, algorithm, constant })
    }

    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// DER TBSCertificate.
    pub fn tbs(&self, fields: &Fields<'_>) -> Result<Vec<u8>> {
        let size = self.constant.len() + fields.subject.len() + fields.spki.len() + fields.extensions.len();
        if size > MAX_TBS {
            return Err(CoreError::invalid("the certificate is too large"));
        }
        if fields.not_after < fields.not_before {
            return Err(CoreError::invalid("notAfter is before notBefore"));
        }
        der::well_formed(fields.subject, SEQUENCE)?;
        der::well_formed(fields.spki, SEQUENCE)?;
        let mut validity = Vec::with_capacity(34);
        der::time(&mut validity, fields.not_before)?;
        der::time(&mut validity, fields.not_after)?;
        let mut body = Vec::with_capacity(size + 96);
        body.extend_from_slice(V3);
        der::Serial::new(fields.serial)?.append(&mut body);
        body.extend_from_slice(&self.constant);
        der::tlv(&mut body, SEQUENCE, &validity);
        body.extend_from_slice(fields.subject);
        body.extend_from_slice(fields.spki);
        if !fields.extensions.is_empty() {
            der::well_formed(fields.extensions, SEQUENCE)?;
            der::tlv(&mut body, context(3), fields.extensions);
        }
        Ok(der::wrap(SEQUENCE, &body))
    }

    /// DER Certificate over exactly these octets, which must be a TBSCertificate of this issuer and algorithm.
    pub fn sign(&self, tbs: &[u8]) -> Result<Vec<u8>> {
        if tbs.len() > MAX_TBS + 128 {
            return Err(CoreError::invalid("the certificate is too large"));
        }
        der::well_formed(tbs, SEQUENCE)?;
        let mut fields = Reader::new(der::single(tbs, SEQUENCE)?);
        let version = fields.expect(context(0))?;
        fields.expect(INTEGER)?;
        if version.raw != V3 || !fields.rest().starts_with(&self.constant) {
            return Err(CoreError::invalid("the TBSCertificate is of another version, algorithm or issuer"));
        }
        let mut signature = Vec::new();
        self.key.sign_into(self.algorithm, tbs, &mut signature)?;
        Ok(signed(tbs, self.algorithm.identifier(), &signature, &[]))
    }
}
