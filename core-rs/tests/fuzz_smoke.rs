//! Every fuzz target over its seeds and deterministic mutations of them: `cargo fuzz` goes further with coverage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../fuzz/targets.rs"]
mod targets;

/// xorshift64*: the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit.max(1)
    }

    fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut data = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            match self.below(6) {
                0 if !data.is_empty() => data[at] ^= 1 << self.below(8),
                1 if !data.is_empty() => data[at] = [0, 1, 0x7f, 0x80, 0x84, 0xff][self.below(6)],
                2 => data.truncate(at),
                3 => data.insert(at, [0x30, 0, 0x80, 2, b'"', b',', b'.', b'{'][self.below(8)]),
                4 if !data.is_empty() => drop(data.remove(at)),
                _ => {
                    let from = self.below(data.len());
                    let piece: Vec<u8> = data.iter().skip(from).take(self.below(16)).copied().collect();
                    data.splice(at..at, piece);
                }
            }
        }
        data
    }
}

/// `fuzz/run.sh` starts cargo-fuzz from what this writes.
#[test]
fn seeds_are_written_where_asked() {
    let Ok(folder) = std::env::var("FUZZ_CORPUS") else { return };
    for (name, _, seeds) in targets::all() {
        let folder = std::path::Path::new(&folder).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (index, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{index}")), seed).unwrap();
        }
    }
}

#[test]
fn no_input_breaks_a_decoder() {
    let rounds = std::env::var("FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3000);
    for (name, target, seeds) in targets::all() {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        assert!(!seeds.is_empty(), "{name}");
        for seed in &seeds {
            target(seed);
        }
        for _ in 0..rounds {
            let seed = numbers.below(seeds.len());
            let data = numbers.mutate(&seeds[seed]);
            let found = std::panic::catch_unwind(|| target(&data));
            assert!(found.is_ok(), "{name}: {data:02x?}");
        }
    }
}
