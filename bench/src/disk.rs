//! What one small durable append costs at this moment: the figure that every durable peer stands on.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::{Error, limits};

/// Median of append + fdatasync in microseconds, on the file system that holds `dir`.
pub(crate) fn append_micros(dir: &Path) -> Result<f64, Error> {
    let path = dir.join("probe");
    let mut file = File::options().create(true).append(true).open(&path)?;
    let block = [7u8; limits::PROBE_BYTES];
    let mut micros = Vec::with_capacity(limits::PROBES);
    for _ in 0..limits::PROBES {
        let began = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        micros.push(began.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(&path)?;
    Ok(crate::report::median(&mut micros))
}
