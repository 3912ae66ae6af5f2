//! `build_crl` and `build_crl_file`: entries come from a Python iterator, as tuples or as runs of DER.

use std::path::PathBuf;

use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyTuple};

use super::keys::PrivateKey;
use crate::algorithms::SignatureAlgorithm;
use crate::crl::{Encoder, Entry, Template, check_entries};
use crate::crl_file::FileBuilder;
use crate::error::{CoreError, Result};

const FIRST_SEGMENT: usize = 1 << 16;
const SEGMENT: usize = 8 << 20;
/// Chunks from this size on are used where they lie; smaller ones are gathered into segments.
const BORROW_FROM: usize = 1 << 12;
/// The longest encoded entry is 80 octets.
const SLACK: usize = 128;

enum Segment {
    Owned(Vec<u8>),
    Borrowed(PyBackedBytes),
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Borrowed(bytes) => bytes,
        }
    }
}

/// Where encoded entries go.
trait Target {
    /// Room for at least one more entry.
    fn room(&mut self) -> Result<&mut Vec<u8>>;
    /// A run of checked DER entries.
    fn chunk(&mut self, chunk: &Bound<'_, PyBytes>) -> Result<()>;
}

#[derive(Default)]
struct Segments {
    full: Vec<Segment>,
    open: Vec<u8>,
}

impl Segments {
    fn reserve(&mut self, length: usize) -> &mut Vec<u8> {
        if self.open.capacity() - self.open.len() < length {
            self.close();
            self.open = Vec::with_capacity(if self.full.is_empty() { FIRST_SEGMENT } else { SEGMENT });
            in_large_pages(self.open.spare_capacity_mut());
        }
        &mut self.open
    }

    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        if !open.is_empty() {
            self.full.push(Segment::Owned(open));
        }
    }
}

impl Target for Segments {
    fn room(&mut self) -> Result<&mut Vec<u8>> {
        Ok(self.reserve(SLACK))
    }

    fn chunk(&mut self, chunk: &Bound<'_, PyBytes>) -> Result<()> {
        let bytes = chunk.as_bytes();
        if bytes.len() < BORROW_FROM {
            self.reserve(bytes.len()).extend_from_slice(bytes);
        } else {
            self.close();
            self.full.push(Segment::Borrowed(chunk.clone().into()));
        }
        Ok(())
    }
}

impl Target for FileBuilder {
    fn room(&mut self) -> Result<&mut Vec<u8>> {
        self.settle()?;
        Ok(self.buffer())
    }

    fn chunk(&mut self, chunk: &Bound<'_, PyBytes>) -> Result<()> {
        self.buffer().extend_from_slice(chunk.as_bytes());
        self.settle()
    }
}

/// Encode everything that the iterable gives. The GIL stays held: each item is a few Python calls.
fn gather(entries: &Bound<'_, PyAny>, target: &mut impl Target) -> PyResult<()> {
    let mut encoder = Encoder::default();
    for item in entries.try_iter()? {
        let item = item?;
        if let Ok(tuple) = item.cast::<PyTuple>() {
            append(&mut encoder, tuple, target.room()?)?;
        } else if let Ok(chunk) = item.cast::<PyBytes>() {
            check_entries(chunk.as_bytes())?;
            target.chunk(chunk)?;
        } else {
            return Err(PyTypeError::new_err("an entry is a tuple of four or bytes of DER entries"));
        }
    }
    Ok(())
}

fn append(encoder: &mut Encoder, tuple: &Bound<'_, PyTuple>, out: &mut Vec<u8>) -> PyResult<()> {
    if tuple.len() != 4 {
        return Err(CoreError::invalid("CRL: an entry has four members").into());
    }
    let serial = tuple.get_borrowed_item(0)?;
    encoder.append(
        out,
        &Entry {
            serial: serial.cast::<PyBytes>()?.as_bytes(),
            revoked_at: tuple.get_borrowed_item(1)?.extract()?,
            reason: tuple.get_borrowed_item(2)?.extract()?,
            invalidity: tuple.get_borrowed_item(3)?.extract()?,
        },
    )?;
    Ok(())
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // the fields of a list
pub fn build_crl<'py>(
    py: Python<'py>,
    key: &PrivateKey,
    signature_algorithm: &str,
    issuer: &[u8],
    this_update: i64,
    next_update: i64,
    extensions: &[u8],
    entries: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let algorithm = SignatureAlgorithm::parse(signature_algorithm)?;
    let template = Template::new(key.0.clone(), algorithm, issuer, this_update, next_update, extensions)?;
    let mut segments = Segments::default();
    gather(entries, &mut segments)?;
    segments.close();
    let length = segments.full.iter().map(|segment| segment.as_ref().len()).sum();
    let frame = py.detach(|| {
        template.frame(length, |sink| {
            segments.full.iter().for_each(|segment| sink(segment.as_ref()));
            Ok(())
        })
    })?;
    let total = frame.before.len() + length + frame.after.len();
    segments.full.insert(0, Segment::Owned(frame.before));
    segments.full.push(Segment::Owned(frame.after));
    concatenate(py, total, segments.full)
}

/// One `bytes` from segments, each freed as soon as it is copied, so that memory peaks near the size of the result.
///
/// The last comes first, because an allocator gives memory back from the end of its heap.
#[allow(unsafe_code)]
fn concatenate(py: Python<'_>, total: usize, mut segments: Vec<Segment>) -> PyResult<Bound<'_, PyBytes>> {
    let size = isize::try_from(total).map_err(|_| PyMemoryError::new_err("too large"))?;
    // SAFETY: a null pointer asks for `size` uninitialised octets that nobody else sees until they are all written.
    // `PyBytes::new_with` would clear them first, which for large lists doubles the time and touches all memory early.
    let (bytes, mut free) = unsafe {
        let object = pyo3::ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
        let bytes = Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked::<PyBytes>();
        let start = pyo3::ffi::PyBytes_AsString(bytes.as_ptr()).cast::<u8>();
        (bytes, std::slice::from_raw_parts_mut(start.cast::<std::mem::MaybeUninit<u8>>(), total))
    };
    in_large_pages(free);
    while let Some(segment) = segments.pop() {
        let piece = segment.as_ref();
        let before = free.len().checked_sub(piece.len()).ok_or_else(changed)?;
        let (rest, here) = std::mem::take(&mut free).split_at_mut_checked(before).ok_or_else(changed)?;
        if piece.len() >= 1 << 20 {
            py.detach(|| here.write_copy_of_slice(segment.as_ref()));
        } else {
            here.write_copy_of_slice(piece);
        }
        free = rest;
    }
    if !free.is_empty() {
        return Err(changed().into());
    }
    Ok(bytes)
}

/// Ask for pages of 2 MiB: taking 40 MB of fresh memory in pages of 4 KiB costs as long as hashing it.
#[allow(unsafe_code)]
fn in_large_pages(memory: &mut [std::mem::MaybeUninit<u8>]) {
    const PAGE: usize = 2 << 20;
    #[cfg(target_os = "linux")]
    {
        let skip = memory.as_ptr().align_offset(PAGE);
        let length = memory.len().saturating_sub(skip) / PAGE * PAGE;
        if let Some(inside) = memory.get_mut(skip..skip + length).filter(|inside| !inside.is_empty()) {
            // SAFETY: the range is whole pages inside memory that we own; the advice changes none of its content, and
            // that it may be refused does not matter.
            unsafe { libc::madvise(inside.as_mut_ptr().cast(), length, libc::MADV_HUGEPAGE) };
        }
    }
}

fn changed() -> CoreError {
    CoreError::invalid("CRL: the entries changed while they were signed")
}

#[pyfunction]
#[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
pub fn build_crl_file(
    py: Python<'_>,
    path: PathBuf,
    key: &PrivateKey,
    signature_algorithm: &str,
    issuer: &[u8],
    this_update: i64,
    next_update: i64,
    extensions: &[u8],
    entries: &Bound<'_, PyAny>,
) -> PyResult<u64> {
    let algorithm = SignatureAlgorithm::parse(signature_algorithm)?;
    let template = Template::new(key.0.clone(), algorithm, issuer, this_update, next_update, extensions)?;
    let mut builder = FileBuilder::new(&path)?;
    gather(entries, &mut builder)?;
    Ok(py.detach(|| builder.finish(&template))?)
}

/// The DER run of these entries, as `build_crl` takes it back: what a store keeps beside each revocation.
#[pyfunction]
pub fn encode_crl_entries<'py>(py: Python<'py>, entries: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let mut segments = Segments::default();
    gather(entries, &mut segments)?;
    segments.close();
    let total = segments.full.iter().map(|segment| segment.as_ref().len()).sum();
    concatenate(py, total, segments.full)
}

/// Count the entries of a DER run, or refuse it.
#[pyfunction]
pub fn check_crl_entries(chunk: &[u8]) -> PyResult<usize> {
    Ok(check_entries(chunk)?)
}
