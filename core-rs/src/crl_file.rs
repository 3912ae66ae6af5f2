//! A revocation list written into a file in bounded memory, and put into place whole or not at all.

use std::fs::{File, OpenOptions, remove_file, rename};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::crl::Template;
use crate::error::{CoreError, Result};

/// Entries are held in memory up to this length, and in a file beside the target from there on.
const IN_MEMORY: usize = 4 << 20;
const BLOCK: usize = 1 << 20;

/// A file that is removed unless it has been renamed.
struct Scratch {
    path: PathBuf,
    file: File,
    keep: bool,
}

impl Scratch {
    fn beside(target: &Path, suffix: &str) -> Result<Self> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random)?;
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}.{suffix}", u64::from_be_bytes(random)));
        let path = target.with_file_name(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { path, file, keep: false })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            // Nothing to report it to: the next list does not trip over it, its name being random.
            let _ = remove_file(&self.path);
        }
    }
}

/// Gathers encoded entries and writes the list.
pub struct FileBuilder {
    target: PathBuf,
    buffer: Vec<u8>,
    spool: Option<Scratch>,
    entries: usize,
}

impl FileBuilder {
    pub fn new(target: &Path) -> Result<Self> {
        if target.file_name().is_none() {
            return Err(CoreError::invalid("CRL: the path names no file"));
        }
        Ok(Self { target: target.to_owned(), buffer: Vec::with_capacity(BLOCK), spool: None, entries: 0 })
    }

    /// Where encoded entries are appended; `settle` is to be called now and then.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Move the buffer to disk if it has grown.
    pub fn settle(&mut self) -> Result<()> {
        let limit = if self.spool.is_some() { BLOCK } else { IN_MEMORY };
        if self.buffer.len() < limit {
            return Ok(());
        }
        self.spill()
    }

    fn spill(&mut self) -> Result<()> {
        let spool = match &mut self.spool {
            Some(spool) => spool,
            empty => empty.insert(Scratch::beside(&self.target, "spool")?),
        };
        spool.file.write_all(&self.buffer)?;
        self.entries += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }

    /// Sign, write, fsync and rename; the length of the list.
    pub fn finish(mut self, template: &Template) -> Result<u64> {
        if self.spool.is_some() {
            self.spill()?;
            self.buffer = vec![0; BLOCK];
        } else {
            self.entries = self.buffer.len();
        }
        let frame = template.frame(self.entries, |sink| {
            self.replay(|piece| {
                sink(piece);
                Ok(())
            })
        })?;
        let mut output = Scratch::beside(&self.target, "new")?;
        output.file.write_all(&frame.before)?;
        let file = &mut output.file;
        self.replay(|piece| Ok(file.write_all(piece)?))?;
        output.file.write_all(&frame.after)?;
        output.file.sync_all()?;
        rename(&output.path, &self.target)?;
        output.keep = true;
        // The rename is durable when the directory is.
        let directory = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
        Ok((frame.before.len() + self.entries + frame.after.len()) as u64)
    }

    /// Pass all entries to `sink`, from memory or block by block from disk.
    fn replay(&mut self, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let Some(spool) = &mut self.spool else {
            return sink(&self.buffer);
        };
        spool.file.seek(SeekFrom::Start(0))?;
        loop {
            let count = spool.file.read(&mut self.buffer)?;
            match self.buffer.get(..count) {
                None | Some([]) => return Ok(()),
                Some(piece) => sink(piece)?,
            }
        }
    }
}
