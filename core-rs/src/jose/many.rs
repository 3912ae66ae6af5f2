//! Work spread over the cores.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{CoreError, Kind, Result};

const MAX_THREADS: usize = 64;

/// `work` on every item, in order, in portions that idle threads take as they come.
pub fn spread<T: Sync, R: Send>(items: &[T], portion: usize, work: impl Fn(&T) -> R + Sync) -> Result<Vec<R>> {
    let portions = items.len().div_ceil(portion.max(1));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(portions);
    if threads <= 1 {
        return Ok(items.iter().map(work).collect());
    }
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, Vec<R>)> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut own = Vec::new();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(part) = items.chunks(portion.max(1)).nth(index) else { return own };
                        own.push((index, part.iter().map(&work).collect::<Vec<R>>()));
                    }
                })
            })
            .collect();
        let mut all = Vec::with_capacity(portions);
        for handle in handles {
            all.extend(handle.join().map_err(|_| CoreError::new(Kind::Internal, "a thread panicked"))?);
        }
        Ok::<_, CoreError>(all)
    })?;
    done.sort_unstable_by_key(|(index, _)| *index);
    let mut out = Vec::with_capacity(items.len());
    for (_, part) in done {
        out.extend(part);
    }
    Ok(out)
}
