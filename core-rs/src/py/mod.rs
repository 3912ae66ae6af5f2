//! Glue: extract, release the GIL where it pays, call, wrap.

mod bench;
mod crl;
mod error;
mod jose;
mod keys;
mod secret;
mod signers;
mod symmetric;

/// The extension module `pycryptoutil._core`; `_core.pyi` is its documentation.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use super::bench::{
        bench_decrypt_loop, bench_encrypt_loop, bench_mac_loop, bench_sha256, bench_sign_loop, bench_verify_loop,
    };
    #[pymodule_export]
    use super::crl::{build_crl, build_crl_file, check_crl_entries, encode_crl_entries};
    #[pymodule_export]
    use super::jose::{
        JweDecrypter, JweEncrypter, JwsSigner, JwsVerifier, base64url_decode, base64url_encode, jwe_encrypt_json,
        jws_inspect, kmac256,
    };
    #[pymodule_export]
    use super::keys::{PrivateKey, PublicKey};
    #[pymodule_export]
    use super::secret::SecretKey;
    #[pymodule_export]
    use super::signers::{CertificateSigner, OcspSigner};
    #[pymodule_export]
    use super::symmetric::{
        SymmetricKey, aead_decrypt, aead_encrypt, aes_kw_unwrap, aes_kw_wrap, constant_time_equal, hkdf, hmac,
        shamir_combine, shamir_split,
    };

    #[pymodule_export]
    const BUILD_DIGEST: &str = crate::BUILD_DIGEST;
    #[pymodule_export]
    const FIPS: bool = cfg!(feature = "fips");
}
