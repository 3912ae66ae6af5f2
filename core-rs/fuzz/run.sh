#!/usr/bin/env bash
# Run every fuzz target for $1 seconds (20 unless told). With cargo-fuzz they are coverage-guided; without it, the same
# targets run over deterministic mutations of their seeds.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
targets=(pkcs8 spki sealed shares crl_entries der_reader jose)

if cargo fuzz --version >/dev/null 2>&1; then
  FUZZ_CORPUS="$PWD/fuzz/corpus" cargo test --quiet --release --locked --no-default-features --test fuzz_smoke seeds
  # The sanitizer's flags are unstable; this lets the stable compiler of the project take them.
  export RUSTC_BOOTSTRAP=1
  for target in "${targets[@]}"; do
    echo "== $target"
    cargo fuzz run --release "$target" "fuzz/corpus/$target" -- -max_total_time="$seconds" -max_len=8192 -verbosity=0 -print_final_stats=0
  done
else
  echo "cargo-fuzz is not installed (cargo install cargo-fuzz): deterministic mutations instead"
  FUZZ_ROUNDS=$((seconds * 2000)) cargo test --quiet --release --locked --no-default-features --test fuzz_smoke
fi
