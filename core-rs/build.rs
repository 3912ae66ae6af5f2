//! Gives the binary a digest of the sources it is built from; `pycryptoutil/crypto/_guard.py` computes the same.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files)?;
    files.sort();
    files.push(PathBuf::from("build.rs"));
    files.push(PathBuf::from("Cargo.toml"));
    files.push(PathBuf::from("../Cargo.lock"));
    let mut digest = Sha256::new();
    for path in &files {
        println!("cargo::rerun-if-changed={}", path.display());
        // A lock file may be absent where a package manager builds from elsewhere.
        let content = fs::read(path).unwrap_or_default();
        digest.update(path.to_string_lossy().as_bytes());
        digest.update([0]);
        digest.update(content.len().to_string().as_bytes());
        digest.update([0]);
        digest.update(&content);
    }
    println!("cargo::rerun-if-changed=src");
    print!("cargo::rustc-env=PYCRYPTOUTIL_BUILD_DIGEST=");
    for octet in digest.finalize() {
        print!("{octet:02x}");
    }
    println!();
    Ok(())
}
