//! The one error type of the core. Its kinds become members of `FaultKind` on the Python side.

use std::borrow::Cow;
use std::fmt;

/// What went wrong; never carries key material or plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreError {
    kind: Kind,
    detail: Cow<'static, str>,
}

/// The categories that a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes that do not decode.
    Malformed,
    /// A value outside what the function accepts.
    Invalid,
    /// An algorithm that is unknown, or does not go with this key.
    BadAlgorithm,
    /// A signature, tag or checksum that does not verify.
    BadSignature,
    /// A key under the minimum strength.
    WeakKey,
    /// A file could not be written.
    Io,
    /// A file could not be written because there is no room.
    StorageFull,
    /// The cryptographic library refused for a reason that it does not tell.
    Internal,
}

impl Kind {
    /// The name that Python reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::BadAlgorithm => "bad-algorithm",
            Self::BadSignature => "bad-signature",
            Self::WeakKey => "weak-key",
            Self::Io => "io",
            Self::StorageFull => "storage-full",
            Self::Internal => "internal",
        }
    }
}

pub type Result<T> = std::result::Result<T, CoreError>;

impl CoreError {
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into() }
    }

    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, detail)
    }

    pub fn bad_algorithm(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::BadAlgorithm, detail)
    }

    pub fn bad_signature(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::BadSignature, detail)
    }

    pub fn weak_key(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::WeakKey, detail)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.detail)
    }
}

impl std::error::Error for CoreError {}

impl From<aws_lc_rs::error::Unspecified> for CoreError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::new(Kind::Internal, "the cryptographic library refused")
    }
}

impl From<aws_lc_rs::error::KeyRejected> for CoreError {
    fn from(rejected: aws_lc_rs::error::KeyRejected) -> Self {
        let reason = rejected.to_string();
        match reason.as_str() {
            "TooSmall" => Self::weak_key("the key is too small"),
            "WrongAlgorithm" => Self::bad_algorithm("the key is for another algorithm"),
            _ => Self::malformed(format!("key rejected: {reason}")),
        }
    }
}

impl From<std::io::Error> for CoreError {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Kind::StorageFull,
            _ => Kind::Io,
        };
        Self::new(kind, error.to_string())
    }
}
