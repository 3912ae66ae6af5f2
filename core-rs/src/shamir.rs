//! Shamir's secret sharing over GF(2^8), without tables and without branches on secrets.
//!
//! A share is `x ‖ threshold ‖ y…`. What is shared is the secret with 8 octets of its SHA-256, so that shares that do not
//! belong together, or that are mistyped, do not give another secret but an error.

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::error::{CoreError, Result};
use crate::kdf::constant_time_equal;

const HEADER: usize = 2;
const PROOF: usize = 8;
/// Secrets are keys.
pub const MAX_SECRET: usize = 1024;

/// One share for each x from 1 to `shares`; any `threshold` of them give the secret, fewer give nothing.
pub fn split(secret: &[u8], shares: u8, threshold: u8) -> Result<Vec<Zeroizing<Vec<u8>>>> {
    if secret.is_empty() || secret.len() > MAX_SECRET {
        return Err(CoreError::invalid("Shamir: the secret has 1 to 1024 octets"));
    }
    if threshold == 0 || threshold > shares {
        return Err(CoreError::invalid("Shamir: 1 ≤ threshold ≤ shares ≤ 255"));
    }
    let mut extended = Zeroizing::new(Vec::with_capacity(secret.len() + PROOF));
    extended.extend_from_slice(secret);
    extended.extend(proof(secret));
    // One polynomial for each octet; `coefficients` holds them by degree, from 1 up.
    let mut coefficients = Vec::with_capacity(usize::from(threshold) - 1);
    for _ in 1..threshold {
        let mut degree = Zeroizing::new(vec![0; extended.len()]);
        aws_lc_rs::rand::fill(&mut degree)?;
        coefficients.push(degree);
    }
    let mut out = Vec::with_capacity(usize::from(shares));
    for x in 1..=shares {
        let mut share = Zeroizing::new(Vec::with_capacity(HEADER + extended.len()));
        share.extend_from_slice(&[x, threshold]);
        for (index, constant) in extended.iter().enumerate() {
            let mut y = 0;
            for degree in coefficients.iter().rev() {
                y = multiply(y ^ degree.get(index).copied().unwrap_or_default(), x);
            }
            share.push(y ^ constant);
        }
        out.push(share);
    }
    Ok(out)
}

struct Share<'a> {
    threshold: u8,
    x: u8,
    values: &'a [u8],
}

/// The secret from at least `threshold` shares of one set.
pub fn combine<S: AsRef<[u8]>>(shares: &[S]) -> Result<Zeroizing<Vec<u8>>> {
    let parsed = shares.iter().map(|share| parse(share.as_ref())).collect::<Result<Vec<_>>>()?;
    let Some(first) = parsed.first() else {
        return Err(CoreError::invalid("Shamir: no shares"));
    };
    let threshold = usize::from(first.threshold);
    let length = first.values.len();
    for (index, share) in parsed.iter().enumerate() {
        if share.threshold != first.threshold || share.values.len() != length {
            return Err(CoreError::bad_signature("Shamir: the shares are from different sets"));
        }
        if parsed.iter().take(index).any(|other| other.x == share.x) {
            return Err(CoreError::invalid("Shamir: the same share twice"));
        }
    }
    if parsed.len() < threshold {
        return Err(CoreError::invalid(format!("Shamir: {threshold} shares are needed")));
    }
    let used = parsed.get(..threshold).unwrap_or_default();
    let mut extended = Zeroizing::new(vec![0_u8; length]);
    for share in used {
        // Lagrange's basis at zero: the product of other.x / (other.x - share.x), where minus is xor.
        let basis = used
            .iter()
            .filter(|other| other.x != share.x)
            .fold(1, |product, other| multiply(product, multiply(other.x, inverse(other.x ^ share.x))));
        for (octet, y) in extended.iter_mut().zip(share.values) {
            *octet ^= multiply(*y, basis);
        }
    }
    let length = length - PROOF;
    let (secret, proven) = extended.split_at_checked(length).ok_or_else(damaged)?;
    if !constant_time_equal(&proof(secret), proven) {
        return Err(CoreError::bad_signature("Shamir: the shares do not belong together"));
    }
    extended.truncate(length);
    Ok(extended)
}

fn parse(share: &[u8]) -> Result<Share<'_>> {
    if share.len() <= HEADER + PROOF || share.len() > HEADER + MAX_SECRET + PROOF {
        return Err(CoreError::malformed("Shamir: a share of the wrong length"));
    }
    match share.split_at_checked(HEADER) {
        Some(([x @ 1..=255, threshold @ 1..=255], values)) => Ok(Share { threshold: *threshold, x: *x, values }),
        _ => Err(damaged()),
    }
}

fn damaged() -> CoreError {
    CoreError::malformed("Shamir: not a share")
}

fn proof(secret: &[u8]) -> [u8; PROOF] {
    let hash = digest(&SHA256, secret);
    let mut out = [0; PROOF];
    for (target, value) in out.iter_mut().zip(hash.as_ref()) {
        *target = *value;
    }
    out
}

/// Product modulo x^8 + x^4 + x^3 + x + 1.
fn multiply(left: u8, right: u8) -> u8 {
    let (mut left, mut right, mut product) = (left, right, 0);
    for _ in 0..8 {
        product ^= left & 0_u8.wrapping_sub(right & 1);
        left = (left << 1) ^ (0x1b & 0_u8.wrapping_sub(left >> 7));
        right >>= 1;
    }
    product
}

/// The 254th power, which is the inverse of anything but zero.
fn inverse(value: u8) -> u8 {
    let mut power = value;
    let mut result = 1;
    for _ in 1..8 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}
