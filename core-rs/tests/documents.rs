//! Certificates, OCSP responses and revocation lists: layout, and what is refused. Other parsers judge them in Python.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use pycryptoutil_core::algorithms::{Curve, Hash, KeyAlgorithm, SignatureAlgorithm};
use pycryptoutil_core::cert::{CertificateSigner, Fields};
use pycryptoutil_core::crl::{Encoder, Entry, Template, check_entries};
use pycryptoutil_core::crl_file::FileBuilder;
use pycryptoutil_core::der::{self, Reader, SEQUENCE};
use pycryptoutil_core::keys::{PrivateKey, PublicKey};
use pycryptoutil_core::ocsp::{OcspSigner, Single, Status};

const NAME: &[u8] = &[0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 6, 3, 0x55, 4, 3, 0x0c, 1, b'x'];
const CERT_ID: &[u8] = &[0x30, 0x0b, 0x30, 0x02, 0x06, 0x00, 4, 0, 4, 0, 2, 1, 5];
const ECDSA: SignatureAlgorithm = SignatureAlgorithm::Ecdsa(Hash::Sha256);

fn key() -> Arc<PrivateKey> {
    Arc::new(PrivateKey::generate(KeyAlgorithm::Ec(Curve::P256)).unwrap())
}

/// Verify `SEQUENCE { tbs, algorithm, BIT STRING }` and give the content of tbs.
fn signed<'a>(document: &'a [u8], key: &PrivateKey) -> &'a [u8] {
    let mut outer = Reader::new(der::single(document, SEQUENCE).unwrap());
    let tbs = outer.expect(SEQUENCE).unwrap();
    assert_eq!(outer.expect(SEQUENCE).unwrap().raw, ECDSA.identifier());
    let signature = &outer.expect(der::BIT_STRING).unwrap().value[1..];
    PublicKey::from_spki(key.spki()).unwrap().verify(ECDSA, tbs.raw, signature).unwrap();
    tbs.value
}

fn fields(key: &PrivateKey) -> Fields<'_> {
    Fields { serial: &[1], not_before: 0, not_after: 86_400, subject: NAME, spki: key.spki(), extensions: &[] }
}

#[test]
fn certificates_are_signed_as_they_were_shown() {
    let key = key();
    let signer = CertificateSigner::new(key.clone(), ECDSA, NAME).unwrap();
    let tbs = signer.tbs(&fields(&key)).unwrap();
    let certificate = signer.sign(&tbs).unwrap();
    assert_eq!(signed(&certificate, &key), der::single(&tbs, SEQUENCE).unwrap());
    // octets of another issuer are not signed
    let mut other_name = NAME.to_vec();
    *other_name.last_mut().unwrap() = b'y';
    let other = CertificateSigner::new(key.clone(), ECDSA, &other_name).unwrap();
    assert!(other.sign(&tbs).is_err());
    assert!(signer.sign(&certificate).is_err());
    assert!(signer.sign(&[]).is_err());
}

#[test]
fn certificates_refuse_bad_fields() {
    let key = key();
    let signer = CertificateSigner::new(key.clone(), ECDSA, NAME).unwrap();
    assert!(signer.tbs(&Fields { serial: &[0], ..fields(&key) }).is_err());
    assert!(signer.tbs(&Fields { serial: &[0xff; 20], ..fields(&key) }).is_err());
    assert!(signer.tbs(&Fields { not_after: -1, ..fields(&key) }).is_err());
    assert!(signer.tbs(&Fields { not_after: i64::MAX, ..fields(&key) }).is_err());
    assert!(signer.tbs(&Fields { subject: b"", ..fields(&key) }).is_err());
    assert!(signer.tbs(&Fields { spki: b"0", ..fields(&key) }).is_err());
    assert!(signer.tbs(&Fields { extensions: b"\x31\x00", ..fields(&key) }).is_err());
    assert!(signer.tbs(&Fields { extensions: &vec![0x30; 2 << 20], ..fields(&key) }).is_err());
    assert!(CertificateSigner::new(key.clone(), SignatureAlgorithm::Ed25519, NAME).is_err());
    assert!(CertificateSigner::new(key, ECDSA, b"CN=x").is_err());
}

fn single(status: Status) -> Single<'static> {
    Single { cert_id: CERT_ID, status, this_update: 1000, next_update: Some(2000), extensions: &[] }
}

#[test]
fn ocsp_responses_alone_and_in_bulk() {
    let key = key();
    let signer = OcspSigner::new::<&[u8]>(key.clone(), ECDSA, &[]).unwrap();
    let singles: Vec<_> = (0..100).map(|at| single(Status::Revoked(1000 + at, Some(1)))).collect();
    let many = signer.sign_many(&singles, 1500).unwrap();
    assert_eq!(many.len(), 100);
    for (at, response) in many.iter().enumerate() {
        let mut outer = Reader::new(der::single(response, SEQUENCE).unwrap());
        assert_eq!(outer.expect(der::ENUMERATED).unwrap().value, [0]);
        let wrapped = outer.expect(der::context(0)).unwrap().value;
        let mut bytes = Reader::new(der::single(wrapped, SEQUENCE).unwrap());
        bytes.expect(der::OID).unwrap();
        let tbs = signed(bytes.expect(der::OCTET_STRING).unwrap().value, &key);
        let mut expected = Vec::new();
        der::generalized_time(&mut expected, 1000 + i64::try_from(at).unwrap()).unwrap();
        assert!(tbs.windows(expected.len()).any(|window| window == expected), "order is kept");
    }
    assert!(signer.sign_many(&[], 0).unwrap().is_empty());
}

#[test]
fn ocsp_refuses_bad_fields() {
    let key = key();
    let signer = OcspSigner::new::<&[u8]>(key.clone(), ECDSA, &[]).unwrap();
    let good = single(Status::Good);
    assert!(signer.sign(&[good], 0, Some(&[1; 32]), &[]).is_ok());
    assert!(signer.sign(&[], 0, None, &[]).is_err());
    assert!(signer.sign(&vec![good; 5000], 0, None, &[]).is_err());
    assert!(signer.sign(&[good], 0, Some(&[]), &[]).is_err());
    assert!(signer.sign(&[good], 0, Some(&[1; 129]), &[]).is_err());
    assert!(signer.sign(&[good], 0, None, &[0x30, 1]).is_err());
    assert!(signer.sign(&[good], i64::MAX, None, &[]).is_err());
    assert!(signer.sign(&[Single { cert_id: &[], ..good }], 0, None, &[]).is_err());
    assert!(signer.sign(&[Single { extensions: &[4, 0], ..good }], 0, None, &[]).is_err());
    assert!(OcspSigner::new(key.clone(), ECDSA, &[b"nonsense"]).is_err());
    let foreign = self::key();
    let issuer = CertificateSigner::new(key.clone(), ECDSA, NAME).unwrap();
    let certificate = issuer.sign(&issuer.tbs(&fields(&foreign)).unwrap()).unwrap();
    assert!(OcspSigner::new(key, ECDSA, &[&certificate]).is_err(), "a certificate for another key");
    assert!(OcspSigner::new(foreign, ECDSA, &[&certificate]).is_ok());
    for (status, reason) in [(3, 0), (-1, 0), (1, 7), (1, 11), (1, -2), (1, 300)] {
        assert!(Status::from_numbers(status, 5, reason).is_err());
    }
}

fn entries(count: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::default();
    for at in 1..=count {
        let serial = at.to_be_bytes();
        let entry = Entry {
            serial: &serial,
            revoked_at: i64::from(at) * 90_000,
            reason: [-1, 0, 1, 4, 10][at as usize % 5],
            invalidity: if at % 3 == 0 { 5 } else { 0 },
        };
        encoder.append(&mut out, &entry).unwrap();
    }
    out
}

#[test]
fn lists_are_laid_out_around_their_entries() {
    let key = key();
    let template = Template::new(key.clone(), ECDSA, NAME, 0, 1, &[]).unwrap();
    for count in [0, 1, 2, 5, 1000, 5000] {
        let run = entries(count);
        assert_eq!(check_entries(&run).unwrap(), count as usize);
        let frame = template
            .frame(run.len(), |sink| {
                run.chunks(777).for_each(&mut *sink);
                Ok(())
            })
            .unwrap();
        let list = [&frame.before[..], &run, &frame.after].concat();
        let mut tbs = Reader::new(signed(&list, &key));
        assert_eq!(tbs.expect(der::INTEGER).unwrap().value, [1]);
        tbs.expect(SEQUENCE).unwrap();
        assert_eq!(tbs.expect(SEQUENCE).unwrap().raw, NAME);
        tbs.expect(der::UTC_TIME).unwrap();
        tbs.expect(der::UTC_TIME).unwrap();
        let revoked = tbs.optional(SEQUENCE).unwrap();
        assert_eq!(revoked.map(|list| list.value.to_vec()).unwrap_or_default(), run);
        tbs.finish().unwrap();
    }
}

#[test]
fn files_are_the_same_lists() {
    let folder = std::env::temp_dir().join(format!("pycryptoutil-core-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ca.crl");
    let key = key();
    let template = Template::new(key.clone(), ECDSA, NAME, 0, 1, &[0x30, 0x00]).unwrap();
    for count in [0_u32, 10, 300_000] {
        let run = entries(count);
        let mut builder = FileBuilder::new(&path).unwrap();
        for piece in run.chunks(100_000) {
            builder.buffer().extend_from_slice(piece);
            builder.settle().unwrap();
        }
        let length = builder.finish(&template).unwrap();
        let list = std::fs::read(&path).unwrap();
        assert_eq!(list.len() as u64, length);
        let tbs = signed(&list, &key);
        assert!(tbs.len() > run.len() && tbs.windows(run.len().max(1)).any(|window| window == run) || run.is_empty());
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing is left beside the list");
    }
    // an abandoned builder leaves the old list alone
    let before = std::fs::read(&path).unwrap();
    let mut builder = FileBuilder::new(&path).unwrap();
    builder.buffer().extend_from_slice(&entries(300_000));
    builder.settle().unwrap();
    drop(builder);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn lists_refuse_bad_fields() {
    let key = key();
    assert!(Template::new(key.clone(), ECDSA, NAME, 5, 5, &[]).is_err());
    assert!(Template::new(key.clone(), ECDSA, b"", 0, 5, &[]).is_err());
    assert!(Template::new(key.clone(), ECDSA, NAME, 0, 5, b"\x04\x00").is_err());
    assert!(Template::new(key.clone(), SignatureAlgorithm::Ed25519, NAME, 0, 5, &[]).is_err());
    let template = Template::new(key, ECDSA, NAME, 0, 5, &[]).unwrap();
    assert!(template.frame(5, |_| Ok(())).is_err(), "entries that are not there");
    assert!(template.frame(usize::MAX, |_| Ok(())).is_err());
    for wrong in [
        Entry { serial: &[], revoked_at: 0, reason: -1, invalidity: 0 },
        Entry { serial: &[1], revoked_at: i64::MAX, reason: -1, invalidity: 0 },
        Entry { serial: &[1], revoked_at: 0, reason: 7, invalidity: 0 },
        Entry { serial: &[1], revoked_at: 0, reason: -1, invalidity: i64::MIN },
    ] {
        assert!(Encoder::default().append(&mut Vec::new(), &wrong).is_err());
    }
}

#[test]
fn runs_of_entries_are_checked() {
    let good = entries(7);
    assert_eq!(check_entries(&good).unwrap(), 7);
    for at in 1..good.len() {
        // a cut is right between two entries only
        let whole = check_entries(&good[..at]).ok();
        assert!(whole.is_none_or(|count| count < 7));
    }
    for wrong in [
        &b"\x30\x12\x02\x01\x00\x17\x0d250101000000Z"[..],
        b"\x30\x12\x02\x01\x80\x17\x0d250101000000Z",
        b"\x30\x13\x02\x02\x00\x01\x17\x0d250101000000Z",
        b"\x30\x12\x02\x01\x01\x17\x0d2501010000:0Z",
        b"\x30\x12\x02\x01\x01\x17\x0d2501010000000",
        b"\x30\x12\x02\x01\x01\x18\x0d250101000000Z",
        b"\x30\x14\x02\x01\x01\x17\x0d250101000000Z\x30\x00",
        b"\x30\x14\x02\x01\x01\x17\x0d250101000000Z\x05\x00",
        b"\x30\x16\x02\x01\x01\x17\x0d250101000000Z\x30\x02\x30\x00",
        b"\x04\x00",
    ] {
        assert!(check_entries(wrong).is_err(), "{wrong:02x?}");
    }
    assert!(check_entries(b"\x30\x14\x02\x01\x01\x18\x0f20500101000000Z").is_ok());
}
