"""Keys, signers, the algorithm policy and X.509 helpers: the only room that touches the Rust core."""
