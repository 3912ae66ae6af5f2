//! Certificate revocation lists (RFC 5280 section 5).
//!
//! DER puts lengths in front, so the entries are gathered as encoded segments, and only then is the list laid out:
//! head ‖ entries ‖ tail. Each octet of an entry is written once and hashed on its way to its final place.

use std::sync::Arc;

use aws_lc_rs::digest;

use crate::algorithms::SignatureAlgorithm;
use crate::der::{self, BIT_STRING, ENUMERATED, GENERALIZED_TIME, INTEGER, Reader, SEQUENCE, UTC_TIME, context};
use crate::error::{CoreError, Result};
use crate::keys::PrivateKey;
use crate::ocsp::reason_code;

/// Extension with id-ce-cRLReasons up to the code: SEQUENCE { OID 2.5.29.21, OCTET STRING { ENUMERATED } }.
const REASON: &[u8] = &[0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, ENUMERATED, 0x01];
/// Extension with id-ce-invalidityDate up to the time: SEQUENCE { OID 2.5.29.24, OCTET STRING { GeneralizedTime } }.
const INVALIDITY: &[u8] = &[0x30, 0x18, 0x06, 0x03, 0x55, 0x1d, 0x18, 0x04, 0x11];
const REASON_LEN: usize = REASON.len() + 1;
const INVALIDITY_LEN: usize = INVALIDITY.len() + 17;
/// Over four gigabytes a length would need more octets than this reader takes back.
const MAX_LIST: usize = 1 << 31;
const MAX_FIELD: usize = 1 << 20;

/// One revoked certificate.
pub struct Entry<'a> {
    /// Big-endian magnitude.
    pub serial: &'a [u8],
    /// Unix seconds.
    pub revoked_at: i64,
    /// As in `reason_code`.
    pub reason: i64,
    /// Unix seconds; 0 for none.
    pub invalidity: i64,
}

/// Encodes entries and remembers the last instant, which bulk revocations share.
#[derive(Default)]
pub struct Encoder {
    last: Option<i64>,
    time: Vec<u8>,
}

impl Encoder {
    /// Append `SEQUENCE { userCertificate, revocationDate, crlEntryExtensions }`.
    pub fn append(&mut self, out: &mut Vec<u8>, entry: &Entry<'_>) -> Result<()> {
        if self.last != Some(entry.revoked_at) {
            self.last = None;
            self.time.clear();
            der::time(&mut self.time, entry.revoked_at)?;
            self.last = Some(entry.revoked_at);
        }
        let reason = reason_code(entry.reason)?;
        let extensions =
            if reason.is_some() { REASON_LEN } else { 0 } + if entry.invalidity == 0 { 0 } else { INVALIDITY_LEN };
        let serial = der::Serial::new(entry.serial)?;
        let length = serial.encoded_len() + self.time.len() + if extensions == 0 { 0 } else { extensions + 2 };
        der::header(out, SEQUENCE, length);
        serial.append(out);
        out.extend_from_slice(&self.time);
        if extensions > 0 {
            der::header(out, SEQUENCE, extensions);
            if let Some(code) = reason {
                out.extend_from_slice(REASON);
                out.push(code);
            }
            if entry.invalidity != 0 {
                out.extend_from_slice(INVALIDITY);
                der::generalized_time(out, entry.invalidity)?;
            }
        }
        Ok(())
    }
}

/// Check that `chunk` is a run of DER CRL entries, and count them.
pub fn check_entries(chunk: &[u8]) -> Result<usize> {
    let mut rest = chunk;
    let mut count = 0;
    while !rest.is_empty() {
        rest = match common_entry(rest) {
            Some(after) => after,
            None => any_entry(rest)?,
        };
        count += 1;
    }
    Ok(count)
}

/// What follows the first entry, if that has the form that nearly all have: a UTCTime, and no extension or a reason.
fn common_entry(chunk: &[u8]) -> Option<&[u8]> {
    let ([SEQUENCE, length @ 0..=0x7f, INTEGER, digits @ 1..=20], rest) = chunk.split_first_chunk()? else {
        return None;
    };
    let (serial, rest) = rest.split_at_checked(usize::from(*digits))?;
    if !is_serial(serial) {
        return None;
    }
    let ([UTC_TIME, 13, time @ .., b'Z'], rest) = rest.split_first_chunk::<15>()? else {
        return None;
    };
    let extensions = usize::from(*length).checked_sub(serial.len() + 17)?;
    let (extensions, rest) = rest.split_at_checked(extensions)?;
    let common = match extensions {
        [] => true,
        [SEQUENCE, 12, extension @ .., _] => extension == REASON,
        _ => false,
    };
    (common && time.iter().fold(true, |all, octet| all & octet.is_ascii_digit())).then_some(rest)
}

/// Positive, minimal, at most 20 octets.
fn is_serial(digits: &[u8]) -> bool {
    match digits {
        [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] | [0] => false,
        _ => digits.len() <= 20,
    }
}

/// What follows the first entry, whatever that has.
fn any_entry(chunk: &[u8]) -> Result<&[u8]> {
    let mut reader = Reader::new(chunk);
    let mut fields = Reader::new(reader.expect(SEQUENCE)?.value);
    if !is_serial(fields.expect(INTEGER)?.value) {
        return Err(CoreError::malformed("CRL: a serial number is not positive, minimal and under 21 octets"));
    }
    let time = fields.any()?;
    let digits = match (time.tag, time.value) {
        (UTC_TIME, [digits @ .., b'Z']) if digits.len() == 12 => digits,
        (GENERALIZED_TIME, [digits @ .., b'Z']) if digits.len() == 14 => digits,
        _ => return Err(CoreError::malformed("CRL: a revocation date is not a Time")),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(CoreError::malformed("CRL: a revocation date is not a Time"));
    }
    if let Some(extensions) = fields.optional(SEQUENCE)? {
        let mut list = Reader::new(extensions.value);
        if list.is_empty() {
            return Err(CoreError::malformed("CRL: empty entry extensions"));
        }
        while !list.is_empty() {
            let mut extension = Reader::new(list.expect(SEQUENCE)?.value);
            extension.expect(der::OID)?;
            extension.optional(der::BOOLEAN)?;
            extension.expect(der::OCTET_STRING)?;
            extension.finish()?;
        }
    }
    fields.finish()?;
    Ok(reader.rest())
}

/// Everything of a list but its entries.
pub struct Template {
    key: Arc<PrivateKey>,
    algorithm: SignatureAlgorithm,
    /// version, signature, issuer, thisUpdate, nextUpdate.
    front: Vec<u8>,
    /// `[0] EXPLICIT` crlExtensions, or nothing.
    extensions: Vec<u8>,
}

/// What stands in front of the entries of a signed list, and behind them.
pub struct Frame {
    pub before: Vec<u8>,
    pub after: Vec<u8>,
}

impl Template {
    pub fn new(
        key: Arc<PrivateKey>,
        algorithm: SignatureAlgorithm,
        issuer: &[u8],
        this_update: i64,
        next_update: i64,
        extensions: &[u8],
    ) -> Result<Self> {
        algorithm.check_signs(key.algorithm())?;
        if issuer.len() > MAX_FIELD || extensions.len() > MAX_FIELD {
            return Err(CoreError::invalid("CRL: issuer or extensions too long"));
        }
        if next_update <= this_update {
            return Err(CoreError::invalid("CRL: nextUpdate is not after thisUpdate"));
        }
        der::well_formed(issuer, SEQUENCE)?;
        let mut front = vec![INTEGER, 1, 1];
        front.extend_from_slice(algorithm.identifier());
        front.extend_from_slice(issuer);
        der::time(&mut front, this_update)?;
        der::time(&mut front, next_update)?;
        let extensions = if extensions.is_empty() {
            Vec::new()
        } else {
            der::well_formed(extensions, SEQUENCE)?;
            der::wrap(context(0), extensions)
        };
        Ok(Self { key, algorithm, front, extensions })
    }

    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Sign a list of `entries` octets of entries, which `each` passes to its argument piece by piece, in order.
    pub fn frame(&self, entries: usize, mut each: impl FnMut(&mut dyn FnMut(&[u8])) -> Result<()>) -> Result<Frame> {
        if entries > MAX_LIST {
            return Err(CoreError::invalid("CRL: over two gigabytes"));
        }
        // An empty list of entries must be absent (RFC 5280 section 5.1.2.6).
        let list = if entries == 0 { 0 } else { der::tlv_len(entries) };
        let body = self.front.len() + list + self.extensions.len();
        let mut head = Vec::with_capacity(self.front.len() + 24);
        der::header(&mut head, SEQUENCE, body);
        head.extend_from_slice(&self.front);
        if entries > 0 {
            der::header(&mut head, SEQUENCE, entries);
        }
        let tbs = der::tlv_len(body);
        let mut seen = 0;
        let signature = match self.algorithm.prehash() {
            Some(hash) if self.streams() => {
                let mut context = digest::Context::new(hash.digest());
                context.update(&head);
                each(&mut |piece| {
                    seen += piece.len();
                    context.update(piece);
                })?;
                context.update(&self.extensions);
                self.key.sign_digest(self.algorithm, &context.finish())?
            }
            _ => {
                let mut whole = Vec::with_capacity(tbs);
                whole.extend_from_slice(&head);
                each(&mut |piece| {
                    seen += piece.len();
                    whole.extend_from_slice(piece);
                })?;
                whole.extend_from_slice(&self.extensions);
                self.key.sign(self.algorithm, &whole)?
            }
        };
        if seen != entries {
            return Err(CoreError::invalid("CRL: the entries changed while they were signed"));
        }
        let identifier = self.algorithm.identifier();
        let bits = signature.len() + 1;
        let mut before = Vec::with_capacity(head.len() + 8);
        der::header(&mut before, SEQUENCE, tbs + identifier.len() + der::tlv_len(bits));
        before.extend_from_slice(&head);
        let mut after = Vec::with_capacity(self.extensions.len() + identifier.len() + bits + 8);
        after.extend_from_slice(&self.extensions);
        after.extend_from_slice(identifier);
        der::header(&mut after, BIT_STRING, bits);
        after.push(0);
        after.extend_from_slice(&signature);
        Ok(Frame { before, after })
    }

    /// Whether the list can be hashed piece by piece. Ed25519 and ML-DSA take a message whole, and so must the FIPS
    /// module, which does not approve of signing a digest.
    fn streams(&self) -> bool {
        cfg!(not(feature = "fips")) && self.algorithm.prehash().is_some()
    }
}
