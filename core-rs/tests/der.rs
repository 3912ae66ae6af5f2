//! The writer and the strict reader.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use pycryptoutil_core::der::{self, Reader, SEQUENCE, Serial};
use pycryptoutil_core::error::Kind;

fn time(unix: i64) -> String {
    let mut out = Vec::new();
    der::time(&mut out, unix).unwrap();
    assert_eq!(usize::from(out[1]), out.len() - 2);
    format!("{:02x} {}", out[0], std::str::from_utf8(&out[2..]).unwrap())
}

#[test]
fn times_change_their_form_in_2050() {
    assert_eq!(time(0), "17 700101000000Z");
    assert_eq!(time(951_782_399), "17 000228235959Z");
    assert_eq!(time(951_782_400), "17 000229000000Z");
    assert_eq!(time(951_868_800), "17 000301000000Z");
    assert_eq!(time(1_709_164_800), "17 240229000000Z");
    assert_eq!(time(2_524_607_999), "17 491231235959Z");
    assert_eq!(time(2_524_608_000), "18 20500101000000Z");
    assert_eq!(time(4_107_542_400), "18 21000301000000Z");
    assert_eq!(time(253_402_300_799), "18 99991231235959Z");
    assert_eq!(time(-631_152_000), "17 500101000000Z");
    for outside in [-631_152_001, 253_402_300_800, i64::MIN, i64::MAX] {
        assert_eq!(der::time(&mut Vec::new(), outside).unwrap_err().kind(), Kind::Invalid);
    }
}

#[test]
fn lengths_are_minimal_and_read_back() {
    for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000] {
        let mut out = Vec::new();
        der::header(&mut out, SEQUENCE, length);
        assert_eq!(out.len(), der::header_len(length));
        out.resize(out.len() + length, 5);
        assert_eq!(out.len(), der::tlv_len(length));
        assert_eq!(der::single(&out, SEQUENCE).unwrap().len(), length);
    }
}

#[test]
fn serials_are_positive_and_short() {
    let encode = |magnitude: &[u8]| {
        Serial::new(magnitude).map(|serial| {
            let mut out = Vec::new();
            serial.append(&mut out);
            assert_eq!(out.len(), serial.encoded_len());
            out
        })
    };
    assert_eq!(encode(&[1]).unwrap(), [2, 1, 1]);
    assert_eq!(encode(&[0, 0, 1]).unwrap(), [2, 1, 1]);
    assert_eq!(encode(&[0x80]).unwrap(), [2, 2, 0, 0x80]);
    assert_eq!(encode(&[0x7f; 20]).unwrap().len(), 22);
    for wrong in [&[][..], &[0], &[0; 30], &[0x80; 20], &[1; 21]] {
        assert_eq!(encode(wrong).unwrap_err().kind(), Kind::Invalid, "{wrong:?}");
    }
}

#[test]
fn only_der_is_read() {
    for wrong in [
        &[][..],
        &[0x30],
        &[0x30, 0x80, 0, 0],                   // indefinite
        &[0x30, 0x81, 0x7f],                   // not minimal, truncated
        &[0x30, 0x81, 0x01, 0x05],             // not minimal
        &[0x30, 0x82, 0x00, 0x80],             // leading zero
        &[0x30, 0x85, 1, 0, 0, 0, 0],          // five octets of length
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], // longer than what follows
        &[0x3f, 0x81, 0x01, 0x00],             // high tag number
        &[0x30, 0x01],
        &[0x31, 0x00],       // another tag
        &[0x30, 0x00, 0x00], // trailing
    ] {
        assert_eq!(der::well_formed(wrong, SEQUENCE).unwrap_err().kind(), Kind::Malformed, "{wrong:02x?}");
    }
    assert!(der::well_formed(&[0x30, 0x02, 0x05, 0x00], SEQUENCE).is_ok());
    assert!(der::well_formed(&[0x30, 0x03, 0x30, 0x02, 0x05], SEQUENCE).is_err());
}

#[test]
fn nesting_is_bounded() {
    let nest = |depth: usize| (0..depth).fold(vec![5, 0], |inner, _| der::wrap(SEQUENCE, &inner));
    assert!(der::well_formed(&nest(30), SEQUENCE).is_ok());
    assert!(der::well_formed(&nest(40), SEQUENCE).is_err());
}

#[test]
fn a_reader_keeps_order() {
    let mut reader = Reader::new(&[2, 1, 7, 4, 2, 8, 9]);
    assert_eq!(reader.expect(der::INTEGER).unwrap().value, [7]);
    assert!(reader.optional(der::INTEGER).unwrap().is_none());
    assert!(reader.finish().is_err());
    assert_eq!(reader.any().unwrap().raw, [4, 2, 8, 9]);
    assert!(reader.finish().is_ok());
    assert!(reader.any().is_err());
}
