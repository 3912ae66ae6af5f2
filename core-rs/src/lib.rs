//! The core of pycryptoutil. Every area is plain Rust; `py` is the glue that makes them `pycryptoutil._core`.

pub mod aead;
pub mod agreement;
pub mod algorithms;
pub mod cert;
pub mod crl;
pub mod crl_file;
pub mod der;
pub mod error;
pub mod jose;
pub mod kdf;
pub mod keys;
pub mod ml_kem;
pub mod ocsp;
pub mod rsa_encryption;
pub mod shamir;
pub mod siv;

#[cfg(feature = "python")]
mod py;

/// SHA-256 over the sources that this binary was built from.
pub const BUILD_DIGEST: &str = env!("PYCRYPTOUTIL_BUILD_DIGEST");
