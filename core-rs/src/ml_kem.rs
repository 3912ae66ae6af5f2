//! ML-KEM keys (FIPS 203) in the documents of RFC 9935: kept as the seed wherever somebody still has it.

use aws_lc_rs::digest::{SHA3_256, digest};
use aws_lc_rs::kem::{self, Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_512, ML_KEM_768, ML_KEM_1024};
use zeroize::Zeroizing;

use crate::agreement::raw_spki;
use crate::algorithms::{MlKem, oid};
use crate::der::{self, INTEGER, OCTET_STRING, Reader, SEQUENCE};
use crate::error::{CoreError, Result};
use crate::kdf::constant_time_equal;
use crate::keys::public_key_bits;

/// d ‖ z
const SEED_LEN: usize = 64;
/// `[0] IMPLICIT OCTET STRING`, the seed in the choice of RFC 9935 section 6.
const SEED_TAG: u8 = 0x80;
/// The modulus of every coefficient.
const Q: u16 = 3329;

impl MlKem {
    const fn library(self) -> &'static kem::Algorithm {
        match self {
            Self::Level512 => &ML_KEM_512,
            Self::Level768 => &ML_KEM_768,
            Self::Level1024 => &ML_KEM_1024,
        }
    }

    const fn oid(self) -> &'static [u8] {
        match self {
            Self::Level512 => oid::ML_KEM_512,
            Self::Level768 => oid::ML_KEM_768,
            Self::Level1024 => oid::ML_KEM_1024,
        }
    }

    /// Octets of the K-PKE decryption key, and of the encoded vector in front of an encapsulation key's seed.
    const fn vector_len(self) -> usize {
        match self {
            Self::Level512 => 2 * 384,
            Self::Level768 => 3 * 384,
            Self::Level1024 => 4 * 384,
        }
    }

    const fn public_len(self) -> usize {
        self.vector_len() + 32
    }

    const fn expanded_len(self) -> usize {
        self.vector_len() + self.public_len() + 64
    }

    /// Octets of a ciphertext (FIPS 203 table 3).
    pub const fn ciphertext_len(self) -> usize {
        match self {
            Self::Level512 => 768,
            Self::Level768 => 1088,
            Self::Level1024 => 1568,
        }
    }
}

/// A decapsulation key.
pub struct PrivateKey {
    level: MlKem,
    seed: Option<Zeroizing<[u8; SEED_LEN]>>,
    expanded: Zeroizing<Vec<u8>>,
    key: DecapsulationKey,
    public: Vec<u8>,
}

impl PrivateKey {
    pub fn generate(level: MlKem) -> Result<Self> {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        aws_lc_rs::rand::fill(seed.as_mut_slice())?;
        Self::from_seed(level, &seed[..])
    }

    pub fn from_seed(level: MlKem, seed: &[u8]) -> Result<Self> {
        let seed: [u8; SEED_LEN] = seed.try_into().map_err(|_| CoreError::malformed("ML-KEM: a seed has 64 octets"))?;
        let seed = Zeroizing::new(seed);
        let mut key = Self::from_expanded(level, &expand(level, &seed)?)?;
        key.seed = Some(seed);
        Ok(key)
    }

    /// dk ‖ ek ‖ H(ek) ‖ z: the hash is checked (FIPS 203 section 7.3), and that both halves belong together.
    fn from_expanded(level: MlKem, expanded: &[u8]) -> Result<Self> {
        let inconsistent = || CoreError::malformed("ML-KEM: the expanded key is not consistent");
        if expanded.len() != level.expanded_len() {
            return Err(inconsistent());
        }
        let key = DecapsulationKey::new(level.library(), expanded)?;
        let (_, rest) = expanded.split_at_checked(level.vector_len()).ok_or_else(inconsistent)?;
        let (public, rest) = rest.split_at_checked(level.public_len()).ok_or_else(inconsistent)?;
        let (hash, _) = rest.split_at_checked(32).ok_or_else(inconsistent)?;
        if !constant_time_equal(digest(&SHA3_256, public).as_ref(), hash) {
            return Err(inconsistent());
        }
        check_public(level, public)?;
        let (ciphertext, secret) = encapsulate(level, public)?;
        let opened = key.decapsulate(Ciphertext::from(ciphertext.as_slice())).map_err(|_| inconsistent())?;
        if !constant_time_equal(opened.as_ref(), &secret) {
            return Err(inconsistent());
        }
        let public = public.to_vec();
        Ok(Self { level, seed: None, expanded: Zeroizing::new(expanded.to_vec()), key, public })
    }

    /// ML-KEM-PrivateKey ::= CHOICE { seed [0], expandedKey OCTET STRING, both SEQUENCE } (RFC 9935 section 6)
    pub fn from_choice(level: MlKem, choice: &[u8], public: Option<&[u8]>) -> Result<Self> {
        let mut reader = Reader::new(choice);
        let element = reader.any()?;
        reader.finish()?;
        let key = match element.tag {
            SEED_TAG => Self::from_seed(level, element.value)?,
            OCTET_STRING => Self::from_expanded(level, element.value)?,
            SEQUENCE => {
                let mut both = Reader::new(element.value);
                let (seed, expanded) = (both.expect(OCTET_STRING)?.value, both.expect(OCTET_STRING)?.value);
                both.finish()?;
                let key = Self::from_seed(level, seed)?;
                if !constant_time_equal(&key.expanded, expanded) {
                    return Err(CoreError::malformed("ML-KEM: seed and expanded key are of different keys"));
                }
                key
            }
            _ => return Err(CoreError::malformed("ML-KEM: neither a seed nor an expanded key")),
        };
        match public {
            Some(public) if public != key.public => {
                Err(CoreError::malformed("ML-KEM: the public half is of another key"))
            }
            _ => Ok(key),
        }
    }

    pub fn public(&self) -> &[u8] {
        &self.public
    }

    pub fn spki(&self) -> Vec<u8> {
        raw_spki(self.level.oid(), &self.public)
    }

    /// The seed, unless the key was imported without it.
    pub fn seed(&self) -> Option<&[u8]> {
        self.seed.as_deref().map(<[u8; SEED_LEN]>::as_slice)
    }

    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let (tag, content) = match &self.seed {
            Some(seed) => (SEED_TAG, seed.as_slice()),
            None => (OCTET_STRING, self.expanded.as_slice()),
        };
        one_asymmetric_key(self.level, tag, content)
    }

    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        if ciphertext.len() != self.level.ciphertext_len() {
            return Err(CoreError::malformed("ML-KEM: the ciphertext has another length"));
        }
        let secret = self.key.decapsulate(Ciphertext::from(ciphertext))?;
        Ok(Zeroizing::new(secret.as_ref().to_vec()))
    }
}

fn one_asymmetric_key(level: MlKem, tag: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let identifier = der::wrap(SEQUENCE, &der::wrap(der::OID, level.oid()));
    let inner = der::tlv_len(content.len());
    let body = 3 + identifier.len() + der::tlv_len(inner);
    // Sized once, so that no abandoned reallocation keeps a copy of the secret.
    let mut out = Zeroizing::new(Vec::with_capacity(der::tlv_len(body)));
    der::header(&mut out, SEQUENCE, body);
    der::tlv(&mut out, INTEGER, &[0]);
    out.extend_from_slice(&identifier);
    der::header(&mut out, OCTET_STRING, inner);
    der::tlv(&mut out, tag, content);
    out
}

/// A ciphertext and the secret in it.
pub fn encapsulate(level: MlKem, public: &[u8]) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>)> {
    let key = EncapsulationKey::new(level.library(), public)?;
    let (ciphertext, secret) =
        key.encapsulate().map_err(|_| CoreError::malformed("ML-KEM: the encapsulation key is not acceptable"))?;
    Ok((ciphertext.as_ref().to_vec(), Zeroizing::new(secret.as_ref().to_vec())))
}

/// The checks of FIPS 203 section 7.2: the length, and that every coefficient is reduced.
pub fn check_public(level: MlKem, public: &[u8]) -> Result<()> {
    let vector = public.get(..level.vector_len()).unwrap_or_default();
    let reduced = vector.chunks_exact(3).all(|octets| match *octets {
        [a, b, c] => {
            let low = u16::from(a) | (u16::from(b & 15) << 8);
            let high = u16::from(b >> 4) | (u16::from(c) << 4);
            low < Q && high < Q
        }
        _ => false,
    });
    if public.len() != level.public_len() || !reduced {
        return Err(CoreError::malformed("ML-KEM: the encapsulation key is not acceptable"));
    }
    Ok(())
}

pub fn check_spki(level: MlKem, spki: &[u8]) -> Result<()> {
    let public = public_key_bits(spki)?;
    if raw_spki(level.oid(), public) != spki {
        return Err(CoreError::malformed("SubjectPublicKeyInfo: not the canonical encoding"));
    }
    check_public(level, public)
}

/// ML-KEM.KeyGen_internal (FIPS 203 section 6.1): aws-lc reads a seed's document, aws-lc-rs has no way to ask.
#[allow(unsafe_code)]
fn expand(level: MlKem, seed: &[u8; SEED_LEN]) -> Result<Zeroizing<Vec<u8>>> {
    #[cfg(feature = "fips")]
    use aws_lc_fips_sys as lc;
    #[cfg(not(feature = "fips"))]
    use aws_lc_sys as lc;

    struct Key(*mut lc::EVP_PKEY);
    impl Drop for Key {
        fn drop(&mut self) {
            // SAFETY: made by EVP_parse_private_key and owned here alone; null is allowed.
            unsafe { lc::EVP_PKEY_free(self.0) }
        }
    }
    let document = one_asymmetric_key(level, SEED_TAG, seed);
    let mut out = Zeroizing::new(vec![0; level.expanded_len()]);
    let mut out_len = out.len();
    // SAFETY: the pointers are to live values with the lengths passed beside them, the library checks both, and what it
    // allocates is freed by the guard above.
    let done = unsafe {
        let mut input = std::mem::MaybeUninit::<lc::CBS>::uninit();
        lc::CBS_init(input.as_mut_ptr(), document.as_ptr(), document.len());
        let key = Key(lc::EVP_parse_private_key(input.as_mut_ptr()));
        !key.0.is_null() && lc::EVP_PKEY_get_raw_private_key(key.0, out.as_mut_ptr(), &raw mut out_len) == 1
    };
    if !done || out_len != out.len() {
        return Err(aws_lc_rs::error::Unspecified.into());
    }
    Ok(out)
}
