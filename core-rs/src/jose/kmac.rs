//! KMAC256 (NIST SP 800-185) with an empty customization string, which ML-KEM in JOSE derives its keys by.

use zeroize::{Zeroize, Zeroizing};

const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];
const ROTATIONS: [u32; 24] =
    [1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44];
const LANES: [usize; 24] = [10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1];
/// Octets that one permutation takes in or gives out.
const RATE: usize = 136;

/// Keccak-f[1600] (FIPS 202 section 3).
#[allow(clippy::indexing_slicing)] // every index is a constant or under 25
fn permute(state: &mut [u64; 25]) {
    for constant in ROUND_CONSTANTS {
        let mut columns = [0_u64; 5];
        for x in 0..5 {
            columns[x] = state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20];
        }
        for x in 0..5 {
            let mixed = columns[(x + 4) % 5] ^ columns[(x + 1) % 5].rotate_left(1);
            for y in 0..5 {
                state[x + 5 * y] ^= mixed;
            }
        }
        let mut carried = state[1];
        for (lane, rotation) in LANES.into_iter().zip(ROTATIONS) {
            let next = state[lane];
            state[lane] = carried.rotate_left(rotation);
            carried = next;
        }
        for row in state.as_chunks_mut::<5>().0 {
            let old = *row;
            for x in 0..5 {
                row[x] = old[x] ^ (!old[(x + 1) % 5] & old[(x + 2) % 5]);
            }
        }
        state[0] ^= constant;
    }
}

/// The fewest big-endian octets of a number.
fn digits(value: usize) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1);
    bytes.iter().skip(zeros).copied().collect()
}

fn left_encode(value: usize, out: &mut Vec<u8>) {
    let digits = digits(value);
    out.extend(u8::try_from(digits.len()));
    out.extend_from_slice(&digits);
}

fn encode_string(text: &[u8], out: &mut Vec<u8>) {
    left_encode(text.len() * 8, out);
    out.extend_from_slice(text);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(RATE), 0);
}

/// `length` octets over `data` under `key`.
pub fn kmac256(key: &[u8], data: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut input = Zeroizing::new(Vec::with_capacity(4 * RATE + key.len() + data.len()));
    left_encode(RATE, &mut input);
    encode_string(b"KMAC", &mut input);
    encode_string(b"", &mut input);
    pad(&mut input);
    left_encode(RATE, &mut input);
    encode_string(key, &mut input);
    pad(&mut input);
    input.extend_from_slice(data);
    let bits = digits(length * 8);
    input.extend_from_slice(&bits);
    input.extend(u8::try_from(bits.len()));
    // cSHAKE's suffix and the padding of FIPS 202 section 5.1
    input.push(0x04);
    pad(&mut input);
    if let Some(last) = input.last_mut() {
        *last |= 0x80;
    }
    let mut state = [0_u64; 25];
    for block in input.as_chunks::<RATE>().0 {
        for (lane, word) in state.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane ^= u64::from_le_bytes(*word);
        }
        permute(&mut state);
    }
    let mut out = Zeroizing::new(Vec::with_capacity(length.next_multiple_of(RATE)));
    while out.len() < length {
        for lane in state.iter().take(RATE / 8) {
            out.extend_from_slice(&lane.to_le_bytes());
        }
        permute(&mut state);
    }
    out.truncate(length);
    state.zeroize();
    out
}
