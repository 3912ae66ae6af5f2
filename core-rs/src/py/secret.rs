//! `SecretKey`: symmetric keys of any size.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::symmetric::{LARGE, SymmetricKey};
use crate::jose::secret;
use crate::kdf;

/// Additional data of AES-SIV: one component, or several.
#[derive(FromPyObject)]
enum Components {
    One(PyBackedBytes),
    Several(Vec<PyBackedBytes>),
}

impl Components {
    fn slices(&self) -> Vec<&[u8]> {
        match self {
            Self::One(data) => vec![data],
            Self::Several(parts) => parts.iter().map(|part| &**part).collect(),
        }
    }
}

/// 1 to 1024 octets held in Rust.
#[pyclass(frozen, module = "pycryptoutil._core")]
pub struct SecretKey(pub Arc<secret::SecretKey>);

impl SecretKey {
    fn new(key: secret::SecretKey) -> Self {
        Self(Arc::new(key))
    }
}

#[pymethods]
impl SecretKey {
    #[staticmethod]
    fn generate(length: usize) -> PyResult<Self> {
        Ok(Self::new(secret::SecretKey::generate(length)?))
    }

    #[staticmethod]
    fn from_bytes(key: &[u8]) -> PyResult<Self> {
        Ok(Self::new(secret::SecretKey::from_bytes(key)?))
    }

    fn __len__(&self) -> usize {
        self.0.bytes().len()
    }

    fn export<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.bytes())
    }

    fn hmac<'py>(&self, py: Python<'py>, algorithm: &str, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &kdf::hmac(algorithm, self.0.bytes(), data)?))
    }

    fn derive(&self, algorithm: &str, salt: &[u8], info: &[u8], length: usize) -> PyResult<Self> {
        Ok(Self::new(self.0.derive(algorithm, salt, info, length)?))
    }

    fn encrypt<'py>(&self, py: Python<'py>, plaintext: &[u8], aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.encrypt(plaintext, aad)?))
    }

    fn decrypt<'py>(&self, py: Python<'py>, sealed: &[u8], aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.decrypt(sealed, aad)?))
    }

    #[allow(clippy::needless_pass_by_value)] // what PyO3 extracts is owned
    fn siv_encrypt<'py>(&self, py: Python<'py>, plaintext: &[u8], aad: Components) -> PyResult<Bound<'py, PyBytes>> {
        let components = aad.slices();
        let sealed = if plaintext.len() > LARGE {
            py.detach(|| self.0.siv_encrypt(plaintext, &components))
        } else {
            self.0.siv_encrypt(plaintext, &components)
        }?;
        Ok(PyBytes::new(py, &sealed))
    }

    #[allow(clippy::needless_pass_by_value)]
    fn siv_decrypt<'py>(&self, py: Python<'py>, sealed: &[u8], aad: Components) -> PyResult<Bound<'py, PyBytes>> {
        let components = aad.slices();
        let plaintext = if sealed.len() > LARGE {
            py.detach(|| self.0.siv_decrypt(sealed, &components))
        } else {
            self.0.siv_decrypt(sealed, &components)
        }?;
        Ok(PyBytes::new(py, &plaintext))
    }

    fn wrap<'py>(&self, py: Python<'py>, secret: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.wrap(secret)?))
    }

    fn unwrap<'py>(&self, py: Python<'py>, wrapped: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.unwrap(wrapped)?))
    }

    fn thumbprint<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.thumbprint())
    }

    fn equals(&self, other: &Self) -> bool {
        kdf::constant_time_equal(self.0.bytes(), other.0.bytes())
    }

    fn seal<'py>(&self, py: Python<'py>, key: &SymmetricKey, aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &key.0.encrypt(self.0.bytes(), aad)?))
    }

    #[staticmethod]
    fn unseal(key: &SymmetricKey, sealed: &[u8], aad: &[u8]) -> PyResult<Self> {
        Ok(Self::new(secret::SecretKey::from_bytes(&key.0.decrypt(sealed, aad)?)?))
    }

    fn __repr__(&self) -> String {
        format!("<SecretKey {} octets>", self.0.bytes().len())
    }
}
