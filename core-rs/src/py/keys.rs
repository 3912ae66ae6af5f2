//! `PrivateKey` and `PublicKey`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::symmetric::SymmetricKey;
use crate::algorithms::{KeyAlgorithm, SignatureAlgorithm};
use crate::keys;
use crate::rsa_encryption::Padding;

/// A private key held in Rust; repr shows the algorithm only.
#[pyclass(frozen, module = "pycryptoutil._core")]
pub struct PrivateKey(pub Arc<keys::PrivateKey>);

#[pymethods]
impl PrivateKey {
    #[staticmethod]
    fn generate(py: Python<'_>, algorithm: &str) -> PyResult<Self> {
        let algorithm = KeyAlgorithm::parse(algorithm)?;
        let key = match algorithm {
            KeyAlgorithm::Rsa(_) | KeyAlgorithm::MlDsa(_) => py.detach(|| keys::PrivateKey::generate(algorithm)),
            KeyAlgorithm::Ec(_) | KeyAlgorithm::Ed25519 | KeyAlgorithm::X25519 | KeyAlgorithm::MlKem(_) => {
                keys::PrivateKey::generate(algorithm)
            }
        }?;
        Ok(Self(Arc::new(key)))
    }

    #[staticmethod]
    fn from_pkcs8(der: &[u8]) -> PyResult<Self> {
        Ok(Self(Arc::new(keys::PrivateKey::from_pkcs8(der)?)))
    }

    #[getter]
    fn algorithm(&self) -> String {
        self.0.algorithm().name()
    }

    #[getter]
    fn public_spki<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.spki())
    }

    fn public_key(&self) -> PyResult<PublicKey> {
        PublicKey::from_spki(self.0.spki())
    }

    fn sign<'py>(&self, py: Python<'py>, signature_algorithm: &str, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let algorithm = SignatureAlgorithm::parse(signature_algorithm)?;
        let signature = if self.0.is_slow() || data.len() > 1 << 18 {
            py.detach(|| self.0.sign(algorithm, data))
        } else {
            self.0.sign(algorithm, data)
        }?;
        Ok(PyBytes::new(py, &signature))
    }

    fn sign_digest<'py>(
        &self,
        py: Python<'py>,
        signature_algorithm: &str,
        digest: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let algorithm = SignatureAlgorithm::parse(signature_algorithm)?;
        let digest = algorithm.digest(digest)?;
        let signature = if self.0.is_slow() {
            py.detach(|| self.0.sign_digest(algorithm, &digest))
        } else {
            self.0.sign_digest(algorithm, &digest)
        }?;
        Ok(PyBytes::new(py, &signature))
    }

    fn ecdh<'py>(&self, py: Python<'py>, peer_spki: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.ecdh(peer_spki)?))
    }

    fn rsa_decrypt<'py>(&self, py: Python<'py>, padding: &str, ciphertext: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let padding = Padding::parse(padding)?;
        Ok(PyBytes::new(py, &py.detach(|| self.0.rsa_decrypt(padding, ciphertext))?))
    }

    fn decapsulate<'py>(&self, py: Python<'py>, ciphertext: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.decapsulate(ciphertext)?))
    }

    fn export_pkcs8<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.export_pkcs8()?))
    }

    fn seal<'py>(&self, py: Python<'py>, key: &SymmetricKey, aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &key.0.encrypt(&self.0.export_pkcs8()?, aad)?))
    }

    #[staticmethod]
    fn unseal(key: &SymmetricKey, sealed: &[u8], aad: &[u8]) -> PyResult<Self> {
        Ok(Self(Arc::new(keys::PrivateKey::from_pkcs8(&key.0.decrypt(sealed, aad)?)?)))
    }

    fn __repr__(&self) -> String {
        format!("<PrivateKey {}>", self.0.algorithm().name())
    }
}

/// A public key.
#[pyclass(frozen, module = "pycryptoutil._core")]
pub struct PublicKey(pub keys::PublicKey);

#[pymethods]
impl PublicKey {
    #[staticmethod]
    fn from_spki(der: &[u8]) -> PyResult<Self> {
        Ok(Self(keys::PublicKey::from_spki(der)?))
    }

    #[getter]
    fn algorithm(&self) -> String {
        self.0.algorithm().name()
    }

    #[getter]
    fn spki<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.spki())
    }

    fn verify(&self, py: Python<'_>, signature_algorithm: &str, data: &[u8], signature: &[u8]) -> PyResult<()> {
        let algorithm = SignatureAlgorithm::parse(signature_algorithm)?;
        if data.len() > 1 << 18 {
            py.detach(|| self.0.verify(algorithm, data, signature))?;
        } else {
            self.0.verify(algorithm, data, signature)?;
        }
        Ok(())
    }

    fn verify_digest(&self, signature_algorithm: &str, digest: &[u8], signature: &[u8]) -> PyResult<()> {
        let algorithm = SignatureAlgorithm::parse(signature_algorithm)?;
        self.0.verify_digest(algorithm, &algorithm.digest(digest)?, signature)?;
        Ok(())
    }

    fn rsa_encrypt<'py>(&self, py: Python<'py>, padding: &str, plaintext: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.rsa_encrypt(Padding::parse(padding)?, plaintext)?))
    }

    fn encapsulate<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let (ciphertext, secret) = self.0.encapsulate()?;
        Ok((PyBytes::new(py, &ciphertext), PyBytes::new(py, &secret)))
    }

    fn __repr__(&self) -> String {
        format!("<PublicKey {}>", self.0.algorithm().name())
    }
}
