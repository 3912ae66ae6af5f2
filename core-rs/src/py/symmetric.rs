//! `SymmetricKey` and the functions over octets.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::{aead, kdf, shamir};

/// Payloads over this are worth letting other threads run.
pub const LARGE: usize = 1 << 18;

/// 32 octets held in Rust.
#[pyclass(frozen, module = "pycryptoutil._core")]
pub struct SymmetricKey(pub aead::SymmetricKey);

#[pymethods]
impl SymmetricKey {
    #[staticmethod]
    fn generate() -> PyResult<Self> {
        Ok(Self(aead::SymmetricKey::generate()?))
    }

    #[staticmethod]
    fn from_bytes(key: &[u8]) -> PyResult<Self> {
        Ok(Self(aead::SymmetricKey::from_bytes(key)?))
    }

    #[staticmethod]
    fn unwrap(kek: &Self, wrapped: &[u8]) -> PyResult<Self> {
        Ok(Self(aead::SymmetricKey::unwrap(&kek.0, wrapped)?))
    }

    fn wrap<'py>(&self, py: Python<'py>, kek: &Self) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.wrap(&kek.0)?))
    }

    #[pyo3(signature = (info, salt = None), text_signature = "($self, info, salt=b'')")]
    fn derive(&self, info: &[u8], salt: Option<&[u8]>) -> PyResult<Self> {
        Ok(Self(self.0.derive(info, salt.unwrap_or_default())?))
    }

    fn encrypt<'py>(&self, py: Python<'py>, plaintext: &[u8], aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let sealed = if plaintext.len() > LARGE {
            py.detach(|| self.0.encrypt(plaintext, aad))
        } else {
            self.0.encrypt(plaintext, aad)
        }?;
        Ok(PyBytes::new(py, &sealed))
    }

    fn decrypt<'py>(&self, py: Python<'py>, sealed: &[u8], aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let plaintext =
            if sealed.len() > LARGE { py.detach(|| self.0.decrypt(sealed, aad)) } else { self.0.decrypt(sealed, aad) }?;
        Ok(PyBytes::new(py, &plaintext))
    }

    fn hmac<'py>(&self, py: Python<'py>, algorithm: &str, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &kdf::hmac(algorithm, self.0.bytes(), data)?))
    }

    fn export<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.bytes())
    }

    fn seal<'py>(&self, py: Python<'py>, key: &Self, aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &key.0.encrypt(self.0.bytes(), aad)?))
    }

    #[staticmethod]
    fn unseal(key: &Self, sealed: &[u8], aad: &[u8]) -> PyResult<Self> {
        Ok(Self(aead::SymmetricKey::from_bytes(&key.0.decrypt(sealed, aad)?)?))
    }

    #[allow(clippy::unused_self)]
    fn __repr__(&self) -> &'static str {
        "<SymmetricKey>"
    }
}

#[pyfunction]
pub fn aead_encrypt<'py>(
    py: Python<'py>,
    algorithm: &str,
    key: &[u8],
    nonce: &[u8],
    plaintext: &[u8],
    aad: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &aead::encrypt(algorithm, key, nonce, plaintext, aad)?))
}

#[pyfunction]
pub fn aead_decrypt<'py>(
    py: Python<'py>,
    algorithm: &str,
    key: &[u8],
    nonce: &[u8],
    ciphertext: &[u8],
    aad: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &aead::decrypt(algorithm, key, nonce, ciphertext, aad)?))
}

#[pyfunction]
pub fn aes_kw_wrap<'py>(py: Python<'py>, kek: &[u8], key: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &aead::kw_wrap(kek, key)?))
}

#[pyfunction]
pub fn aes_kw_unwrap<'py>(py: Python<'py>, kek: &[u8], wrapped: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &aead::kw_unwrap(kek, wrapped)?))
}

#[pyfunction]
pub fn hkdf<'py>(
    py: Python<'py>,
    algorithm: &str,
    secret: &[u8],
    salt: &[u8],
    info: &[u8],
    length: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &kdf::hkdf(algorithm, secret, salt, info, length)?))
}

#[pyfunction]
pub fn hmac<'py>(py: Python<'py>, algorithm: &str, key: &[u8], data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &kdf::hmac(algorithm, key, data)?))
}

#[pyfunction]
pub fn constant_time_equal(left: &[u8], right: &[u8]) -> bool {
    kdf::constant_time_equal(left, right)
}

#[pyfunction]
pub fn shamir_split<'py>(
    py: Python<'py>,
    secret: &[u8],
    shares: i64,
    threshold: i64,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    // A number that does not fit is as wrong as zero, which `split` refuses with its reason.
    let (shares, threshold) = (u8::try_from(shares).unwrap_or(0), u8::try_from(threshold).unwrap_or(0));
    let parts = shamir::split(secret, shares, threshold)?;
    Ok(parts.iter().map(|part| PyBytes::new(py, part)).collect())
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // what PyO3 extracts is owned
pub fn shamir_combine(py: Python<'_>, shares: Vec<PyBackedBytes>) -> PyResult<Bound<'_, PyBytes>> {
    Ok(PyBytes::new(py, &shamir::combine(&shares)?))
}
