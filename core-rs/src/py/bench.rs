//! The limits that `make bench` holds our figures against, measured in the same process.

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use pyo3::prelude::*;

use super::keys::PrivateKey;
use crate::algorithms::SignatureAlgorithm;

/// Seconds for `count` bare signatures over `data`, with nothing around them.
#[pyfunction]
pub fn bench_sign_loop(
    py: Python<'_>,
    key: &PrivateKey,
    signature_algorithm: &str,
    data: &[u8],
    count: usize,
) -> PyResult<f64> {
    let algorithm = SignatureAlgorithm::parse(signature_algorithm)?;
    py.detach(|| {
        let mut out = Vec::with_capacity(8192);
        let start = Instant::now();
        for _ in 0..count {
            out.clear();
            key.0.sign_into(algorithm, black_box(data), &mut out)?;
            black_box(&out);
        }
        Ok(start.elapsed().as_secs_f64())
    })
}

/// Seconds for one SHA-256 over `data`.
#[pyfunction]
pub fn bench_sha256(py: Python<'_>, data: &[u8]) -> f64 {
    py.detach(|| {
        let start = Instant::now();
        black_box(digest(&SHA256, black_box(data)));
        start.elapsed().as_secs_f64()
    })
}
