//! HKDF, HMAC and comparison in constant time.

use aws_lc_rs::{constant_time, hkdf as lc_hkdf, hmac as lc_hmac};
use zeroize::Zeroizing;

use crate::algorithms::Hash;
use crate::error::{CoreError, Result};

struct Length(usize);

impl lc_hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF extract and expand (RFC 5869). At most 255 times the hash's length.
pub fn hkdf(hash: &str, secret: &[u8], salt: &[u8], info: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>> {
    let algorithm = match Hash::parse(hash)? {
        Hash::Sha256 => lc_hkdf::HKDF_SHA256,
        Hash::Sha384 => lc_hkdf::HKDF_SHA384,
        Hash::Sha512 => lc_hkdf::HKDF_SHA512,
    };
    if length == 0 {
        return Err(CoreError::invalid("HKDF: the length is at least 1"));
    }
    let info = [info];
    let pseudorandom = lc_hkdf::Salt::new(algorithm, salt).extract(secret);
    let mut out = Zeroizing::new(Vec::new());
    let expanded = pseudorandom
        .expand(&info, Length(length))
        .map_err(|_| CoreError::invalid("HKDF: the length is over 255 hashes"))?;
    out.resize(length, 0);
    expanded.fill(&mut out)?;
    Ok(out)
}

/// HMAC (RFC 2104) in full length.
pub fn hmac(hash: &str, key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    let algorithm = match Hash::parse(hash)? {
        Hash::Sha256 => lc_hmac::HMAC_SHA256,
        Hash::Sha384 => lc_hmac::HMAC_SHA384,
        Hash::Sha512 => lc_hmac::HMAC_SHA512,
    };
    Ok(lc_hmac::sign(&lc_hmac::Key::new(algorithm, key), data).as_ref().to_vec())
}

/// Equal or not, in a time that depends on the lengths only.
pub fn constant_time_equal(left: &[u8], right: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}
