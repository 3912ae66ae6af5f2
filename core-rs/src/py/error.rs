//! Python owns the exception class; this raises it.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::error::CoreError;

static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();

impl From<CoreError> for PyErr {
    fn from(error: CoreError) -> Self {
        Python::attach(|py| {
            let raised = CLASS
                .import(py, "pycryptoutil.errors", "CoreError")
                .and_then(|class| class.call1((error.kind().name(), error.detail())));
            match raised {
                Ok(value) => Self::from_value(value),
                Err(failure) => failure,
            }
        })
    }
}
