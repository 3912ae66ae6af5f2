//! Just enough DER: a writer that knows its lengths, and a strict reader (X.690 section 10).

use crate::error::{CoreError, Result};

pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const OID: u8 = 0x06;
pub const ENUMERATED: u8 = 0x0a;
pub const UTC_TIME: u8 = 0x17;
pub const GENERALIZED_TIME: u8 = 0x18;
pub const SEQUENCE: u8 = 0x30;

/// Deeper nesting than this is refused; a real certificate stays under 16.
const MAX_DEPTH: usize = 32;

/// Context-specific constructed tag `[number]`; every number used here is under 31.
pub const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// Octets that tag and length take in front of `len` octets of content.
pub const fn header_len(len: usize) -> usize {
    match len {
        0..=0x7f => 2,
        0x80..=0xff => 3,
        0x100..=0xffff => 4,
        0x1_0000..=0xff_ffff => 5,
        0x100_0000..=0xffff_ffff => 6,
        _ => 10,
    }
}

/// Octets of a whole TLV with `len` octets of content.
pub const fn tlv_len(len: usize) -> usize {
    header_len(len) + len
}

/// Append tag and definite minimal length.
pub fn header(out: &mut Vec<u8>, tag: u8, len: usize) {
    out.push(tag);
    if let Ok(short @ 0..=0x7f) = u8::try_from(len) {
        out.push(short);
        return;
    }
    let bytes = len.to_be_bytes();
    let skip = bytes.iter().take_while(|byte| **byte == 0).count();
    // At most eight octets are left, so the first length octet is 0x81 to 0x88.
    #[allow(clippy::cast_possible_truncation)]
    out.push(0x80 | (bytes.len() - skip) as u8);
    out.extend(bytes.iter().skip(skip));
}

/// Append a whole TLV.
pub fn tlv(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    header(out, tag, content.len());
    out.extend_from_slice(content);
}

/// One TLV as a new vector.
pub fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(tlv_len(content.len()));
    tlv(&mut out, tag, content);
    out
}

/// A positive INTEGER of at most 20 octets (RFC 5280 section 4.1.2.2).
#[derive(Debug, Clone, Copy)]
pub struct Serial<'a> {
    digits: &'a [u8],
    pad: bool,
}

impl<'a> Serial<'a> {
    /// From a big-endian magnitude.
    pub fn new(magnitude: &'a [u8]) -> Result<Self> {
        let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
        let digits = magnitude.get(zeros..).unwrap_or_default();
        let Some(first) = digits.first() else {
            return Err(CoreError::invalid("a serial number must be positive"));
        };
        let pad = first & 0x80 != 0;
        if digits.len() + usize::from(pad) > 20 {
            return Err(CoreError::invalid("a serial number has at most 20 octets"));
        }
        Ok(Self { digits, pad })
    }

    pub fn encoded_len(&self) -> usize {
        2 + usize::from(self.pad) + self.digits.len()
    }

    pub fn append(&self, out: &mut Vec<u8>) {
        header(out, INTEGER, self.digits.len() + usize::from(self.pad));
        if self.pad {
            out.push(0);
        }
        out.extend_from_slice(self.digits);
    }
}

/// 1950-01-01T00:00:00Z, the first instant of UTCTime.
const FIRST: i64 = -631_152_000;
/// 2050-01-01T00:00:00Z, from where GeneralizedTime is required (RFC 5280 section 4.1.2.5).
const GENERALIZED_FROM: i64 = 2_524_608_000;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;

/// Append a Time: UTCTime to 2049, GeneralizedTime from 2050.
pub fn time(out: &mut Vec<u8>, unix: i64) -> Result<()> {
    let digits = calendar(unix)?;
    if unix < GENERALIZED_FROM {
        out.extend_from_slice(&[UTC_TIME, 13]);
        out.extend(digits.iter().skip(2));
    } else {
        out.extend_from_slice(&[GENERALIZED_TIME, 15]);
        out.extend_from_slice(&digits);
    }
    out.push(b'Z');
    Ok(())
}

/// Append a GeneralizedTime whatever the year.
pub fn generalized_time(out: &mut Vec<u8>, unix: i64) -> Result<()> {
    let digits = calendar(unix)?;
    out.extend_from_slice(&[GENERALIZED_TIME, 15]);
    out.extend_from_slice(&digits);
    out.push(b'Z');
    Ok(())
}

/// `YYYYMMDDHHMMSS`.
fn calendar(unix: i64) -> Result<[u8; 14]> {
    if !(FIRST..=LAST).contains(&unix) {
        return Err(CoreError::invalid("a time is outside 1950 to 9999"));
    }
    let (days, second) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    // Howard Hinnant's civil_from_days: eras of 400 years that begin on 1 March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let [y1, y2] = two(year / 100);
    let [y3, y4] = two(year % 100);
    let [m1, m2] = two(month);
    let [d1, d2] = two(day);
    let [h1, h2] = two(second / 3_600);
    let [i1, i2] = two(second / 60 % 60);
    let [s1, s2] = two(second % 60);
    Ok([y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, i1, i2, s1, s2])
}

fn two(value: i64) -> [u8; 2] {
    // The callers pass 0 to 99.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let value = value as u8;
    [b'0' + value / 10 % 10, b'0' + value % 10]
}

/// One element: its tag, its content, and the whole with header.
#[derive(Debug, Clone, Copy)]
pub struct Tlv<'a> {
    pub tag: u8,
    pub value: &'a [u8],
    pub raw: &'a [u8],
}

/// Reads consecutive elements and accepts only DER: low tag numbers, definite minimal lengths.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next element.
    pub fn any(&mut self) -> Result<Tlv<'a>> {
        let start = self.rest;
        let (&tag, after) = start.split_first().ok_or_else(truncated)?;
        if tag & 0x1f == 0x1f {
            return Err(CoreError::malformed("DER: a high tag number"));
        }
        let (&first, mut after) = after.split_first().ok_or_else(truncated)?;
        let len = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return Err(CoreError::malformed("DER: an indefinite or oversized length"));
            }
            let (digits, rest) = after.split_at_checked(count).ok_or_else(truncated)?;
            after = rest;
            let len = digits.iter().fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
            if len < 0x80 || digits.first() == Some(&0) {
                return Err(CoreError::malformed("DER: a length that is not minimal"));
            }
            len
        };
        let (value, rest) = after.split_at_checked(len).ok_or_else(truncated)?;
        let raw = start.get(..start.len() - rest.len()).ok_or_else(truncated)?;
        self.rest = rest;
        Ok(Tlv { tag, value, raw })
    }

    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Tlv<'a>> {
        let element = self.any()?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(CoreError::malformed(format!("DER: tag {:#04x} where {tag:#04x} belongs", element.tag)))
        }
    }

    /// The next element if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>> {
        if self.rest.first() == Some(&tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// Nothing may follow.
    pub fn finish(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(CoreError::malformed("DER: trailing bytes")) }
    }
}

fn truncated() -> CoreError {
    CoreError::malformed("DER: truncated")
}

/// The content of the one element that `bytes` must be.
pub fn single(bytes: &[u8], tag: u8) -> Result<&[u8]> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag)?;
    reader.finish()?;
    Ok(element.value)
}

/// Check that `bytes` is one element with this tag, well-formed all the way down.
pub fn well_formed(bytes: &[u8], tag: u8) -> Result<()> {
    walk(single(bytes, tag)?, MAX_DEPTH)
}

/// Check that `bytes` is a run of SEQUENCEs, well-formed all the way down; none at all is fine.
pub fn well_formed_run(bytes: &[u8]) -> Result<()> {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        walk(reader.expect(SEQUENCE)?.value, MAX_DEPTH)?;
    }
    Ok(())
}

fn walk(bytes: &[u8], depth: usize) -> Result<()> {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let element = reader.any()?;
        if element.tag & 0x20 != 0 {
            let depth = depth.checked_sub(1).ok_or_else(|| CoreError::malformed("DER: nested too deeply"))?;
            walk(element.value, depth)?;
        }
    }
    Ok(())
}
