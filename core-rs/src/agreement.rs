//! Elliptic curve Diffie-Hellman: P-256, P-384, P-521 and X25519.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use zeroize::Zeroizing;

use crate::algorithms::{Curve, oid};
use crate::der::{self, OCTET_STRING, SEQUENCE};
use crate::error::{CoreError, Result};
use crate::keys::{OneAsymmetricKey, public_key_bits};

const X25519_LEN: usize = 32;
/// The first octet of a point that is not compressed (SEC 1 section 2.3.3), the one form that is taken.
const UNCOMPRESSED: u8 = 4;

/// A private key in the form that agrees.
pub struct Agreement(PrivateKey);

impl Agreement {
    pub fn generate_x25519() -> Result<Self> {
        Ok(Self(PrivateKey::generate(&X25519)?))
    }

    /// CurvePrivateKey ::= OCTET STRING (RFC 8410 section 7)
    pub fn x25519_from_pkcs8(document: &[u8]) -> Result<Self> {
        let fields = OneAsymmetricKey::read(document)?;
        let scalar = der::single(fields.private, OCTET_STRING)?;
        if scalar.len() != X25519_LEN {
            return Err(CoreError::malformed("X25519: a private key has 32 octets"));
        }
        let key = PrivateKey::from_private_key(&X25519, scalar)?;
        if let Some(public) = fields.public
            && public != key.compute_public_key()?.as_ref()
        {
            return Err(CoreError::malformed("X25519: the public half is of another key"));
        }
        Ok(Self(key))
    }

    pub fn ec_from_pkcs8(curve: Curve, document: &[u8]) -> Result<Self> {
        let algorithm = match curve {
            Curve::P256 => &ECDH_P256,
            Curve::P384 => &ECDH_P384,
            Curve::P521 => &ECDH_P521,
        };
        Ok(Self(PrivateKey::from_private_key_der(algorithm, document)?))
    }

    /// A fresh key on this curve, for one agreement.
    pub fn ephemeral(curve: Option<Curve>) -> Result<Self> {
        let algorithm = match curve {
            None => &X25519,
            Some(Curve::P256) => &ECDH_P256,
            Some(Curve::P384) => &ECDH_P384,
            Some(Curve::P521) => &ECDH_P521,
        };
        Ok(Self(PrivateKey::generate(algorithm)?))
    }

    /// An uncompressed point, or 32 octets of X25519.
    pub fn public_point(&self) -> Result<Vec<u8>> {
        Ok(self.0.compute_public_key()?.as_ref().to_vec())
    }

    pub fn public(&self) -> std::result::Result<PublicKeyX509Der<'static>, Unspecified> {
        self.0.compute_public_key()?.as_der()
    }

    /// The document of an X25519 key (RFC 8410 section 7).
    pub fn x25519_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        const HEAD: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20";
        let scalar: Curve25519SeedBin<'static> = self.0.as_be_bytes()?;
        let mut out = Zeroizing::new(Vec::with_capacity(HEAD.len() + X25519_LEN));
        out.extend_from_slice(&HEAD);
        out.extend_from_slice(scalar.as_ref());
        Ok(out)
    }

    /// The library checks that the point is on the curve, and refuses X25519's points of small order.
    pub fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let algorithm = self.0.algorithm();
        let form = if *algorithm == X25519 { peer.len() == X25519_LEN } else { peer.first() == Some(&UNCOMPRESSED) };
        let refused = || CoreError::malformed("ECDH: the peer's public key is not on the curve");
        if !form {
            return Err(refused());
        }
        agreement::agree(&self.0, UnparsedPublicKey::new(algorithm, peer), refused(), |secret| {
            Ok(Zeroizing::new(secret.to_vec()))
        })
    }
}

/// An error unless this is the one encoding of an X25519 key.
pub fn check_x25519(spki: &[u8]) -> Result<()> {
    let key = public_key_bits(spki)?;
    if key.len() != X25519_LEN || x25519_spki(key) != spki {
        return Err(CoreError::malformed("SubjectPublicKeyInfo: not an X25519 key"));
    }
    Ok(())
}

fn x25519_spki(key: &[u8]) -> Vec<u8> {
    raw_spki(oid::X25519, key)
}

/// A SubjectPublicKeyInfo whose algorithm has no parameters.
pub(crate) fn raw_spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let mut body = der::wrap(SEQUENCE, &der::wrap(der::OID, algorithm));
    der::header(&mut body, der::BIT_STRING, key.len() + 1);
    body.push(0);
    body.extend_from_slice(key);
    der::wrap(SEQUENCE, &body)
}
