//! Keys out of shared secrets: Concat KDF (RFC 7518 section 4.6), KMAC256 (draft-ietf-jose-pqc-kem-05 section 5.1), and
//! the ephemeral public keys in headers.

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use super::base64url;
use super::header::Header;
use super::json::Object;
use super::kmac::kmac256;
use crate::algorithms::Curve;
use crate::error::{CoreError, Result};

/// The two parties' names of RFC 7518 section 4.6.1; usually empty.
#[derive(Debug, Clone, Default)]
pub struct Parties {
    pub apu: Vec<u8>,
    pub apv: Vec<u8>,
}

impl Parties {
    pub fn read(header: &Header<'_>) -> Result<Self> {
        Ok(Self { apu: header.party("apu")?, apv: header.party("apv")? })
    }
}

fn length(octets: usize) -> [u8; 4] {
    u32::try_from(octets).unwrap_or(u32::MAX).to_be_bytes()
}

/// Concat KDF with SHA-256 (NIST SP 800-56A section 5.8.1). `algorithm` is enc, or alg where it wraps.
pub fn concat_kdf(secret: &[u8], algorithm: &str, parties: &Parties, octets: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(octets.next_multiple_of(32)));
    let mut round: u32 = 1;
    while out.len() < octets {
        let mut context = Context::new(&SHA256);
        context.update(&round.to_be_bytes());
        context.update(secret);
        for part in [algorithm.as_bytes(), &parties.apu, &parties.apv] {
            context.update(&length(part.len()));
            context.update(part);
        }
        context.update(&length(octets * 8));
        out.extend_from_slice(context.finish().as_ref());
        round += 1;
    }
    out.truncate(octets);
    out
}

/// KMAC256 over AlgorithmID ‖ SuppPubInfo, both as RFC 7518 section 4.6.2 writes them.
pub fn kem_kdf(secret: &[u8], algorithm: &str, octets: usize) -> Zeroizing<Vec<u8>> {
    let mut info = Vec::with_capacity(algorithm.len() + 8);
    info.extend_from_slice(&length(algorithm.len()));
    info.extend_from_slice(algorithm.as_bytes());
    info.extend_from_slice(&length(octets * 8));
    kmac256(secret, &info, octets)
}

const fn coordinate_len(curve: Curve) -> usize {
    match curve {
        Curve::P256 => 32,
        Curve::P384 => 48,
        Curve::P521 => 66,
    }
}

const fn name(curve: Option<Curve>) -> &'static str {
    match curve {
        None => "X25519",
        Some(Curve::P256) => "P-256",
        Some(Curve::P384) => "P-384",
        Some(Curve::P521) => "P-521",
    }
}

/// A point or X25519 key as a JWK, after `,"epk":`.
pub fn epk_member(curve: Option<Curve>, point: &[u8]) -> Result<String> {
    let broken = || CoreError::malformed("ECDH: not a public key");
    Ok(match curve {
        None => format!(r#","epk":{{"kty":"OKP","crv":"X25519","x":"{}"}}"#, base64url::encode(point)),
        Some(curve) => {
            let (_, coordinates) = point.split_at_checked(1).ok_or_else(broken)?;
            let (x, y) = coordinates.split_at_checked(coordinate_len(curve)).ok_or_else(broken)?;
            format!(
                r#","epk":{{"kty":"EC","crv":"{}","x":"{}","y":"{}"}}"#,
                name(Some(curve)),
                base64url::encode(x),
                base64url::encode(y)
            )
        }
    })
}

/// The other way: what `epk` holds must be on our curve and have full length.
pub fn epk_point(curve: Option<Curve>, epk: &Object<'_>) -> Result<Vec<u8>> {
    let refused = |why: &str| CoreError::malformed(format!("JWE: epk {why}"));
    let kty = if curve.is_some() { "EC" } else { "OKP" };
    if epk.string("kty")? != Some(kty) || epk.string("crv")? != Some(name(curve)) {
        return Err(refused("is on another curve"));
    }
    let coordinate = |member: &str, octets: usize| -> Result<Vec<u8>> {
        let text = epk.string(member)?.ok_or_else(|| refused("lacks a coordinate"))?;
        let value = base64url::decode(text.as_bytes())?;
        if value.len() == octets { Ok(value) } else { Err(refused("has a coordinate of another length")) }
    };
    let Some(curve) = curve else { return coordinate("x", 32) };
    let octets = coordinate_len(curve);
    let mut point = Vec::with_capacity(1 + 2 * octets);
    point.push(4);
    point.extend(coordinate("x", octets)?);
    point.extend(coordinate("y", octets)?);
    Ok(point)
}
