//! Header parameters (RFC 7515 section 4, RFC 7516 section 4): what is read, and what is refused.

use std::borrow::Cow;

use super::base64url;
use super::json::{Object, Value};
use crate::error::{CoreError, Result};

/// Decoded octets of a header.
pub const MAX_HEADER: usize = 16 * 1024;
/// `apu`, `apv`: names, not documents.
const MAX_PARTY: usize = 512;

/// The octets of a protected header, decoded.
pub fn protected_json(encoded: &[u8]) -> Result<Vec<u8>> {
    if encoded.len() > base64url::encoded_len(MAX_HEADER) {
        return Err(CoreError::malformed("JOSE: the header is too long"));
    }
    base64url::decode(encoded)
}

/// The parameters of one signature or recipient, from everywhere they may stand.
pub struct Header<'a> {
    pub protected: &'a Object<'a>,
    /// Shared and own unprotected parameters.
    pub unprotected: [Option<&'a Object<'a>>; 2],
}

impl<'a> Header<'a> {
    /// No parameter may stand in two places (RFC 7515 section 7.2.1); `crit` is protected, and this side understands
    /// every name in it; nothing is compressed.
    pub fn new(
        protected: &'a Object<'a>,
        unprotected: [Option<&'a Object<'a>>; 2],
        understood: &[&str],
    ) -> Result<Self> {
        let header = Self { protected, unprotected };
        let objects = 1 + unprotected.iter().flatten().filter(|object| !object.0.is_empty()).count();
        if objects > 1 {
            let all: Vec<&str> = header.members().map(|(name, _)| name.as_ref()).collect();
            for (index, name) in all.iter().enumerate() {
                if all.iter().skip(index + 1).any(|other| other == name) {
                    return Err(CoreError::malformed("JOSE: a parameter stands in two headers"));
                }
            }
        }
        if header.get("zip").is_some() {
            return Err(CoreError::bad_algorithm("JOSE: compression is refused"));
        }
        header.check_critical(understood)?;
        Ok(header)
    }

    fn members(&self) -> impl Iterator<Item = &'a (Cow<'a, str>, Value<'a>)> {
        let [shared, own] = self.unprotected;
        let objects = [Some(self.protected), shared, own];
        objects.into_iter().flatten().flat_map(|object| object.0.iter())
    }

    fn check_critical(&self, understood: &[&str]) -> Result<()> {
        if self.unprotected.iter().flatten().any(|object| object.get("crit").is_some()) {
            return Err(CoreError::malformed("JOSE: crit is not protected"));
        }
        let none = Vec::new();
        let names = match self.protected.get("crit") {
            None => &none,
            Some(Value::Array(names)) if !names.is_empty() => names,
            Some(_) => return Err(CoreError::malformed("JOSE: crit is not a list of names")),
        };
        for (index, name) in names.iter().enumerate() {
            let Value::String(text) = name else {
                return Err(CoreError::malformed("JOSE: crit is not a list of names"));
            };
            if names.iter().skip(index + 1).any(|other| other == name) {
                return Err(CoreError::malformed("JOSE: crit has a name twice"));
            }
            if !understood.contains(&text.as_ref()) {
                return Err(CoreError::bad_algorithm(format!(
                    "JOSE: critical parameter {text:.40?} is not understood"
                )));
            }
            if self.protected.get(text).is_none() {
                return Err(CoreError::malformed("JOSE: crit names a parameter that is not there"));
            }
        }
        // RFC 7797 section 6: whoever uses b64 says so in crit, or others would read another payload.
        if self.get("b64").is_some() && understood.contains(&"b64") && names.is_empty() {
            return Err(CoreError::malformed("JOSE: b64 without crit"));
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&'a Value<'a>> {
        self.members().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub fn string(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(CoreError::malformed(format!("JOSE: {name:?} is not a string"))),
        }
    }

    pub fn alg(&self) -> Result<&'a str> {
        self.string("alg")?.ok_or_else(|| CoreError::malformed("JOSE: alg is missing"))
    }

    pub fn octets(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.string(name)?.map(|text| base64url::decode(text.as_bytes())).transpose()
    }

    /// `apu` or `apv`, empty where it is absent.
    pub fn party(&self, name: &str) -> Result<Vec<u8>> {
        let value = self.octets(name)?.unwrap_or_default();
        if value.len() > MAX_PARTY {
            return Err(CoreError::malformed(format!("JOSE: {name} is too long")));
        }
        Ok(value)
    }

    pub fn object(&self, name: &str) -> Result<Option<&'a Object<'a>>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(CoreError::malformed(format!("JOSE: {name:?} is not an object"))),
        }
    }

    /// False only for `"b64": false` (RFC 7797), which must be protected and critical.
    pub fn encoded_payload(&self) -> Result<bool> {
        match (self.protected.get("b64"), self.get("b64")) {
            (_, None) => Ok(true),
            (Some(Value::Bool(encoded)), _) => Ok(*encoded),
            _ => Err(CoreError::malformed("JOSE: b64 is not a protected boolean")),
        }
    }

    /// All parameters as one JSON object.
    pub fn joint(&self) -> Vec<u8> {
        let all = Object(self.members().cloned().collect());
        let mut out = String::new();
        all.write(&mut out);
        out.into_bytes()
    }
}
