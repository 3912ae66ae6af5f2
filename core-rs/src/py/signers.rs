//! `CertificateSigner` and `OcspSigner`.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::keys::PrivateKey;
use crate::algorithms::SignatureAlgorithm;
use crate::ocsp::{Single, Status};
use crate::{cert, ocsp};

/// Builds and signs certificates for one issuer.
#[pyclass(frozen, subclass, module = "pycryptoutil._core")]
pub struct CertificateSigner(cert::CertificateSigner);

#[pymethods]
impl CertificateSigner {
    #[new]
    fn new(key: &PrivateKey, signature_algorithm: &str, issuer: &[u8]) -> PyResult<Self> {
        let algorithm = SignatureAlgorithm::parse(signature_algorithm)?;
        Ok(Self(cert::CertificateSigner::new(key.0.clone(), algorithm, issuer)?))
    }

    #[allow(clippy::too_many_arguments)] // the fields of a certificate
    fn tbs<'py>(
        &self,
        py: Python<'py>,
        serial: &[u8],
        not_before: i64,
        not_after: i64,
        subject: &[u8],
        spki: &[u8],
        extensions: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let tbs = self.0.tbs(&cert::Fields { serial, not_before, not_after, subject, spki, extensions })?;
        Ok(PyBytes::new(py, &tbs))
    }

    fn sign<'py>(&self, py: Python<'py>, tbs: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let certificate = if self.0.key().is_slow() { py.detach(|| self.0.sign(tbs)) } else { self.0.sign(tbs) }?;
        Ok(PyBytes::new(py, &certificate))
    }
}

type SingleTuple = (PyBackedBytes, i64, i64, i64, i64, i64, PyBackedBytes);

fn single(tuple: &SingleTuple) -> PyResult<Single<'_>> {
    let (cert_id, status, revoked_at, reason, this_update, next_update, extensions) = tuple;
    Ok(Single {
        cert_id,
        status: Status::from_numbers(*status, *revoked_at, *reason)?,
        this_update: *this_update,
        next_update: (*next_update != 0).then_some(*next_update),
        extensions,
    })
}

/// Builds and signs basic OCSP responses by key hash.
#[pyclass(frozen, subclass, module = "pycryptoutil._core")]
pub struct OcspSigner(ocsp::OcspSigner);

#[pymethods]
impl OcspSigner {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // what PyO3 extracts is owned
    fn new(key: &PrivateKey, signature_algorithm: &str, certificates: Vec<PyBackedBytes>) -> PyResult<Self> {
        let algorithm = SignatureAlgorithm::parse(signature_algorithm)?;
        Ok(Self(ocsp::OcspSigner::new(key.0.clone(), algorithm, &certificates)?))
    }

    #[pyo3(
        signature = (singles, produced_at, nonce = None, extensions = None),
        text_signature = "($self, singles, produced_at, nonce=None, extensions=b'')"
    )]
    #[allow(clippy::needless_pass_by_value)]
    fn sign<'py>(
        &self,
        py: Python<'py>,
        singles: Vec<SingleTuple>,
        produced_at: i64,
        nonce: Option<&[u8]>,
        extensions: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let singles = singles.iter().map(single).collect::<PyResult<Vec<_>>>()?;
        let extensions = extensions.unwrap_or_default();
        let response = if self.0.key().is_slow() {
            py.detach(|| self.0.sign(&singles, produced_at, nonce, extensions))
        } else {
            self.0.sign(&singles, produced_at, nonce, extensions)
        }?;
        Ok(PyBytes::new(py, &response))
    }

    #[allow(clippy::needless_pass_by_value)]
    fn sign_many<'py>(
        &self,
        py: Python<'py>,
        singles: Vec<SingleTuple>,
        produced_at: i64,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let singles = singles.iter().map(single).collect::<PyResult<Vec<_>>>()?;
        let responses = py.detach(|| self.0.sign_many(&singles, produced_at))?;
        Ok(responses.iter().map(|response| PyBytes::new(py, response)).collect())
    }
}
