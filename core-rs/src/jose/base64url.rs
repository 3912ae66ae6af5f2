//! base64url without padding (RFC 7515 section 2), in its one canonical form.

use crate::error::{CoreError, Result};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const INVALID: u8 = 0xff;

const VALUES: [u8; 256] = {
    let mut table = [INVALID; 256];
    let mut index = 0;
    #[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)] // evaluated when this is compiled
    while index < 64 {
        table[ALPHABET[index] as usize] = index as u8;
        index += 1;
    }
    table
};

fn symbol(sextet: u8) -> u8 {
    ALPHABET.get(usize::from(sextet & 63)).copied().unwrap_or_default()
}

fn value(symbol: u8) -> u8 {
    VALUES.get(usize::from(symbol)).copied().unwrap_or(INVALID)
}

/// Symbols for so many octets.
pub const fn encoded_len(octets: usize) -> usize {
    (octets * 4).div_ceil(3)
}

pub fn encode_into(data: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + encoded_len(data.len()), 0);
    let Some(target) = out.get_mut(start..) else { return };
    let (groups, rest) = data.as_chunks::<3>();
    let (quads, tail) = target.as_chunks_mut::<4>();
    for (&[a, b, c], quad) in groups.iter().zip(quads) {
        *quad = [symbol(a >> 2), symbol((a << 4) | (b >> 4)), symbol((b << 2) | (c >> 6)), symbol(c)];
    }
    match *rest {
        [a] => tail.copy_from_slice(&[symbol(a >> 2), symbol(a << 4)]),
        [a, b] => tail.copy_from_slice(&[symbol(a >> 2), symbol((a << 4) | (b >> 4)), symbol(b << 2)]),
        _ => {}
    }
}

pub fn encode(data: &[u8]) -> String {
    let mut out = Vec::with_capacity(encoded_len(data.len()));
    encode_into(data, &mut out);
    // The alphabet is ASCII.
    String::from_utf8(out).unwrap_or_default()
}

pub fn decode(text: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    decode_into(text, &mut out)?;
    Ok(out)
}

/// Append what `text` encodes; padding, other symbols and bits after the end are refused.
pub fn decode_into(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (quads, rest) = text.as_chunks::<4>();
    out.reserve_exact(text.len() / 4 * 3 + 2);
    let mut seen = 0;
    for &[a, b, c, d] in quads {
        let (a, b, c, d) = (value(a), value(b), value(c), value(d));
        seen |= a | b | c | d;
        out.extend_from_slice(&[(a << 2) | (b >> 4), (b << 4) | (c >> 2), (c << 6) | d]);
    }
    let spare = match *rest {
        [] => 0,
        [a, b] => {
            let (a, b) = (value(a), value(b));
            seen |= a | b;
            out.push((a << 2) | (b >> 4));
            b & 15
        }
        [a, b, c] => {
            let (a, b, c) = (value(a), value(b), value(c));
            seen |= a | b | c;
            out.extend_from_slice(&[(a << 2) | (b >> 4), (b << 4) | (c >> 2)]);
            c & 3
        }
        _ => INVALID,
    };
    if seen & 0x80 != 0 || spare != 0 {
        return Err(CoreError::malformed("base64url: not the canonical encoding"));
    }
    Ok(())
}
