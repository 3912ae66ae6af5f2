//! JOSE: keys and headers are extracted once, tokens cross in either direction without a copy that is not needed.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyList, PyString};

use super::keys::{PrivateKey, PublicKey};
use super::secret::SecretKey;
use crate::error::{CoreError, Result};
use crate::jose::algorithms::{Enc, KeyAlg, SigAlg};
use crate::jose::jwe_json::{Recipient, Shared};
use crate::jose::keys::{DecryptionKey, EncryptionKey, SigningKey, VerifyingKey};
use crate::jose::{jwe, jwe_json, jws, many};

/// Payloads over this are worth letting other threads run.
const LARGE: usize = 1 << 17;
/// Items that one thread takes at a time.
const PORTION: usize = 32;

/// A token: text, or its octets.
#[derive(FromPyObject)]
pub enum Text {
    Str(PyBackedStr),
    Bytes(PyBackedBytes),
}

impl Text {
    fn octets(&self) -> &[u8] {
        match self {
            Self::Str(text) => text.as_bytes(),
            Self::Bytes(octets) => octets,
        }
    }
}

/// What is written here is ASCII.
fn ascii<'py>(py: Python<'py>, octets: &[u8]) -> PyResult<Bound<'py, PyString>> {
    PyString::from_bytes(py, octets)
}

/// Run with the GIL released if that pays.
fn run<R: Send>(py: Python<'_>, release: bool, work: impl FnOnce() -> R + Send) -> R {
    if release { py.detach(work) } else { work() }
}

/// A list of results, where a failure is the exception itself instead of being raised.
fn results<'py, R>(
    py: Python<'py>,
    all: Result<Vec<Result<R>>>,
    convert: impl Fn(R) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for one in all? {
        match one {
            Ok(value) => list.append(convert(value)?)?,
            Err(error) => list.append(PyErr::from(error).into_value(py))?,
        }
    }
    Ok(list)
}

fn other_key(key: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("a key handle is needed, not {}", key.get_type()))
}

/// Signs with one key under one header.
#[pyclass(frozen, module = "pycryptoutil._core")]
pub struct JwsSigner(jws::Signer);

#[pymethods]
impl JwsSigner {
    #[new]
    fn new(key: &Bound<'_, PyAny>, alg: &str, header: &[u8]) -> PyResult<Self> {
        let alg = SigAlg::parse(alg)?;
        let key = if let Ok(key) = key.cast::<PrivateKey>() {
            SigningKey::private(alg, key.get().0.clone())?
        } else if let Ok(key) = key.cast::<SecretKey>() {
            SigningKey::secret(alg, &key.get().0)?
        } else {
            return Err(other_key(key));
        };
        Ok(Self(jws::Signer::new(key, header)?))
    }

    #[pyo3(signature = (payload, detached = false))]
    fn sign<'py>(&self, py: Python<'py>, payload: &[u8], detached: bool) -> PyResult<Bound<'py, PyString>> {
        let token = run(py, self.0.is_slow() || payload.len() > LARGE, || {
            if detached { self.0.detached(payload) } else { self.0.compact(payload) }
        })?;
        ascii(py, &token)
    }

    #[pyo3(signature = (payloads, detached = false))]
    #[allow(clippy::needless_pass_by_value)] // what PyO3 extracts is owned
    fn sign_many<'py>(
        &self,
        py: Python<'py>,
        payloads: Vec<PyBackedBytes>,
        detached: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let tokens =
            py.detach(|| {
                many::spread(&payloads, PORTION, |payload| {
                    if detached { self.0.detached(payload) } else { self.0.compact(payload) }
                })
            });
        results(py, tokens, |token| Ok(ascii(py, &token)?.into_any()))
    }

    fn part<'py>(&self, py: Python<'py>, payload: &[u8]) -> PyResult<(Bound<'py, PyString>, Bound<'py, PyString>)> {
        let (protected, signature) = run(py, self.0.is_slow() || payload.len() > LARGE, || self.0.part(payload))?;
        Ok((ascii(py, &protected)?, ascii(py, &signature)?))
    }
}

type Ring<'py> = Vec<(Bound<'py, PyAny>, String, Option<String>)>;

/// Verifies with a ring of keys.
#[pyclass(frozen, module = "pycryptoutil._core")]
pub struct JwsVerifier(jws::Verifier);

fn verified<'py>(py: Python<'py>, found: &jws::Verified, payload: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    (found.key, PyBytes::new(py, &found.header), PyBytes::new(py, payload)).into_pyobject(py).map(Bound::into_any)
}

#[pymethods]
impl JwsVerifier {
    #[new]
    fn new(keys: Ring<'_>) -> PyResult<Self> {
        let keys = keys.into_iter().map(|(key, alg, kid)| {
            let alg = SigAlg::parse(&alg)?;
            if let Ok(key) = key.cast::<PublicKey>() {
                Ok(VerifyingKey::public(alg, &key.get().0, kid)?)
            } else if let Ok(key) = key.cast::<SecretKey>() {
                Ok(VerifyingKey::secret(alg, &key.get().0, kid)?)
            } else {
                Err(other_key(&key))
            }
        });
        Ok(Self(jws::Verifier::new(keys.collect::<PyResult<_>>()?)))
    }

    #[pyo3(signature = (token, payload = None))]
    #[allow(clippy::needless_pass_by_value)]
    fn verify<'py>(&self, py: Python<'py>, token: Text, payload: Option<&[u8]>) -> PyResult<Bound<'py, PyAny>> {
        let large = token.octets().len() > LARGE || payload.is_some_and(|payload| payload.len() > LARGE);
        let (found, payload) = run(py, large, || self.0.compact(token.octets(), payload))?;
        verified(py, &found, &payload)
    }

    #[allow(clippy::needless_pass_by_value)]
    fn verify_many<'py>(&self, py: Python<'py>, tokens: Vec<Text>) -> PyResult<Bound<'py, PyList>> {
        let all = py.detach(|| many::spread(&tokens, PORTION, |token| self.0.compact(token.octets(), None)));
        results(py, all, |(found, payload)| verified(py, &found, &payload))
    }

    #[pyo3(signature = (text, payload = None))]
    #[allow(clippy::needless_pass_by_value)]
    fn verify_json<'py>(
        &self,
        py: Python<'py>,
        text: Text,
        payload: Option<&[u8]>,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyList>)> {
        let (payload, all) = py.detach(|| self.0.json(text.octets(), payload))?;
        let all = results(py, Ok(all), |found| {
            (found.key, PyBytes::new(py, &found.header)).into_pyobject(py).map(Bound::into_any)
        })?;
        Ok((PyBytes::new(py, &payload), all))
    }
}

type Part<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// Take a JWS apart: every check but the signature's.
#[pyfunction]
#[pyo3(signature = (text, payload = None))]
#[allow(clippy::needless_pass_by_value)]
pub fn jws_inspect<'py>(
    py: Python<'py>,
    text: Text,
    payload: Option<&[u8]>,
) -> PyResult<(Bound<'py, PyBytes>, Vec<Part<'py>>)> {
    let (payload, parts) = jws::inspect(text.octets(), payload)?;
    let parts = parts
        .iter()
        .map(|part| (PyBytes::new(py, &part.header), PyBytes::new(py, &part.input), PyBytes::new(py, &part.signature)));
    Ok((PyBytes::new(py, &payload), parts.collect()))
}

fn encryption_key(key: &Bound<'_, PyAny>, alg: &str) -> PyResult<EncryptionKey> {
    let alg = KeyAlg::parse(alg)?;
    if let Ok(key) = key.cast::<PublicKey>() {
        Ok(EncryptionKey::public(alg, &key.get().0)?)
    } else if let Ok(key) = key.cast::<SecretKey>() {
        Ok(EncryptionKey::secret(alg, key.get().0.clone())?)
    } else {
        Err(other_key(key))
    }
}

/// Encrypts to one recipient under one header.
#[pyclass(frozen, module = "pycryptoutil._core")]
pub struct JweEncrypter(jwe::Encrypter);

#[pymethods]
impl JweEncrypter {
    #[new]
    fn new(key: &Bound<'_, PyAny>, alg: &str, header: &[u8]) -> PyResult<Self> {
        Ok(Self(jwe::Encrypter::new(encryption_key(key, alg)?, header)?))
    }

    fn encrypt<'py>(&self, py: Python<'py>, plaintext: &[u8]) -> PyResult<Bound<'py, PyString>> {
        let token = run(py, plaintext.len() > LARGE, || self.0.encrypt(plaintext))?;
        ascii(py, &token)
    }

    #[allow(clippy::needless_pass_by_value)]
    fn encrypt_many<'py>(&self, py: Python<'py>, plaintexts: Vec<PyBackedBytes>) -> PyResult<Bound<'py, PyList>> {
        let all = py.detach(|| many::spread(&plaintexts, PORTION, |plaintext| self.0.encrypt(plaintext)));
        results(py, all, |token| Ok(ascii(py, &token)?.into_any()))
    }
}

/// Encrypt in JSON, for one recipient or several.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
pub fn jwe_encrypt_json(
    py: Python<'_>,
    recipients: Vec<(Bound<'_, PyAny>, String, PyBackedBytes)>,
    protected: &[u8],
    unprotected: &[u8],
    aad: Option<&[u8]>,
    plaintext: &[u8],
    flattened: bool,
) -> PyResult<String> {
    let recipients = recipients
        .iter()
        .map(|(key, alg, header)| Ok(Recipient { key: encryption_key(key, alg)?, header: header.to_vec() }))
        .collect::<PyResult<Vec<_>>>()?;
    let shared = Shared { protected, unprotected, aad, flattened };
    Ok(py.detach(|| jwe_json::encrypt(&recipients, &shared, plaintext))?)
}

/// Decrypts with a ring of keys.
#[pyclass(frozen, module = "pycryptoutil._core")]
pub struct JweDecrypter(jwe::Decrypter);

type Opened<'py> = (usize, usize, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>);

#[pymethods]
impl JweDecrypter {
    #[new]
    #[allow(clippy::needless_pass_by_value)]
    fn new(keys: Ring<'_>, encs: Vec<String>) -> PyResult<Self> {
        let keys = keys.into_iter().map(|(key, alg, kid)| {
            // A content encryption in place of an alg: the key is that content's, delivered directly.
            if let (Ok(enc), Ok(key)) = (Enc::parse(&alg), key.cast::<SecretKey>()) {
                return Ok(DecryptionKey::content(enc, key.get().0.clone(), kid)?);
            }
            let alg = KeyAlg::parse(&alg)?;
            if let Ok(key) = key.cast::<PrivateKey>() {
                Ok(DecryptionKey::private(alg, key.get().0.clone(), kid)?)
            } else if let Ok(key) = key.cast::<SecretKey>() {
                Ok(DecryptionKey::secret(alg, key.get().0.clone(), kid)?)
            } else {
                Err(other_key(&key))
            }
        });
        let keys = keys.collect::<PyResult<_>>()?;
        let encs = encs.iter().map(|enc| Enc::parse(enc)).collect::<Result<_>>()?;
        Ok(Self(jwe::Decrypter::new(keys, encs)))
    }

    #[allow(clippy::needless_pass_by_value)]
    fn decrypt<'py>(&self, py: Python<'py>, token: Text) -> PyResult<Bound<'py, PyAny>> {
        let release = self.0.is_slow() || token.octets().len() > LARGE;
        let (key, header, plaintext) = run(py, release, || self.0.decrypt(token.octets()))?;
        (key, PyBytes::new(py, &header), PyBytes::new(py, &plaintext)).into_pyobject(py).map(Bound::into_any)
    }

    #[allow(clippy::needless_pass_by_value)]
    fn decrypt_many<'py>(&self, py: Python<'py>, tokens: Vec<Text>) -> PyResult<Bound<'py, PyList>> {
        let all = py.detach(|| many::spread(&tokens, PORTION, |token| self.0.decrypt(token.octets())));
        results(py, all, |(key, header, plaintext)| {
            (key, PyBytes::new(py, &header), PyBytes::new(py, &plaintext)).into_pyobject(py).map(Bound::into_any)
        })
    }

    #[allow(clippy::needless_pass_by_value)]
    fn decrypt_json<'py>(&self, py: Python<'py>, text: Text) -> PyResult<Opened<'py>> {
        let opened = py.detach(|| jwe_json::decrypt(&self.0, text.octets()))?;
        let aad = opened.aad.map(|aad| PyBytes::new(py, &aad));
        let (header, plaintext) = (PyBytes::new(py, &opened.header), PyBytes::new(py, &opened.plaintext));
        Ok((opened.key, opened.recipient, header, plaintext, aad))
    }
}

/// Decode strictly.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
pub fn base64url_decode(py: Python<'_>, text: Text) -> PyResult<Bound<'_, PyBytes>> {
    Ok(PyBytes::new(py, &crate::jose::base64url::decode(text.octets())?))
}

#[pyfunction]
pub fn base64url_encode<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyString>> {
    ascii(py, crate::jose::base64url::encode(data).as_bytes())
}

/// KMAC256 with an empty customization string.
#[pyfunction]
pub fn kmac256<'py>(py: Python<'py>, key: &[u8], data: &[u8], length: usize) -> PyResult<Bound<'py, PyBytes>> {
    if length == 0 || length > 1024 {
        return Err(CoreError::invalid("KMAC256: 1 to 1024 octets").into());
    }
    Ok(PyBytes::new(py, &crate::jose::kmac::kmac256(key, data, length)))
}

/// Shared between threads as it is.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Arc<JwsSigner>>();
};
