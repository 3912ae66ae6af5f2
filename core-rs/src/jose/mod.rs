//! JOSE: JWS (RFC 7515, 7797) and JWE (RFC 7516) over parsed keys, one by one and many at once.
//!
//! A key is bound to its algorithm before anything is read, so no header can choose another one. What comes from outside
//! is bounded first, then parsed: headers to 16 KiB of strict JSON, objects to 64 MiB.

pub mod agree;
pub mod algorithms;
pub mod base64url;
pub mod content;
pub mod header;
pub mod json;
pub mod jwe;
pub mod jwe_json;
pub mod jws;
pub mod keys;
pub mod kmac;
pub mod many;
pub mod parse;
pub mod secret;

/// Longer objects are refused before they are read.
pub const MAX_INPUT: usize = 64 * 1024 * 1024;
/// Keys that are tried for an object that names none.
pub const MAX_TRIES: usize = 16;
