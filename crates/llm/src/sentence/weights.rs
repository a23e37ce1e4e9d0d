//! Weights from a `model.safetensors`, as floats of 32 bits.
//!
//! The file is read once and dropped when the matrices are made. Every tensor is asked for with the
//! size it must have; that is tried when Craton starts, by the file's header alone. Files of pickled
//! Python are never opened.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use half::{bf16, f16};
use ndarray::{Array1, Array2};
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::Deserialize as _;

use super::folder::bytes;
use crate::limits::{WEIGHTS_BYTES, WEIGHTS_HEADER_BYTES};

/// The file's name in every directory.
const FILE: &str = "model.safetensors";

/// Bytes before the header: its length.
const LENGTH: usize = 8;

/// The same as `with`, but all weights are zeros that cost no memory, since nobody looks at them: fails
/// early where something is missing, of another size, or cut off.
pub(super) fn check<T>(
    directory: &Path,
    take: impl FnOnce(&Weights<'_>) -> Result<T, String>,
) -> Result<(), String> {
    let path = directory.join(FILE);
    if !path.is_file() {
        let place = directory.display();
        return Err(format!("{place} has no {FILE}; no other form of weights is read"));
    }
    let header = header(&path)?;
    take(&Weights { header, data: &[] }).map(drop)
}

/// Reads the weights in `directory` and has `take` make something of them.
pub(super) fn with<T>(
    directory: &Path,
    take: impl FnOnce(&Weights<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let read = bytes(&directory.join(FILE), WEIGHTS_BYTES)?;
    let (length, header) = SafeTensors::read_metadata(&read).map_err(|error| said(&error))?;
    take(&Weights { header, data: &read[LENGTH + length..] })
}

fn said(error: &SafeTensorError) -> String {
    format!("{FILE}: {error}")
}

/// What the file says of its tensors, which must end where it does.
fn header(path: &Path) -> Result<Metadata, String> {
    let failed = |error: std::io::Error| format!("{FILE}: {error}");
    let mut file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut length = [0; LENGTH];
    file.read_exact(&mut length).map_err(|_| said(&SafeTensorError::HeaderTooSmall))?;
    let length = u64::from_le_bytes(length);
    if length > WEIGHTS_HEADER_BYTES {
        return Err(format!(
            "{FILE}: its header has {length} bytes, more than {WEIGHTS_HEADER_BYTES}"
        ));
    }
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text).map_err(failed)?;
    let header = Metadata::deserialize(&mut serde_json::Deserializer::from_slice(&text));
    let header = header.map_err(|error| format!("{FILE}: its header: {error}"))?;
    let data = header.tensors().values().map(|tensor| tensor.data_offsets.1).max().unwrap_or(0);
    let whole = (data as u64).saturating_add(LENGTH as u64 + length);
    match size == whole {
        true => Ok(header),
        false => Err(format!("{FILE} has {size} bytes, and by its header {whole}")),
    }
}

pub(super) struct Weights<'a> {
    header: Metadata,
    /// Empty where sizes alone are looked at.
    data: &'a [u8],
}

impl Weights<'_> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    pub(super) fn row(&self, name: &str, length: usize) -> Result<Array1<f32>, String> {
        self.floats(name, &[length]).map(Array1::from)
    }

    pub(super) fn matrix(
        &self,
        name: &str,
        (rows, columns): (usize, usize),
    ) -> Result<Array2<f32>, String> {
        let floats = self.floats(name, &[rows, columns])?;
        Array2::from_shape_vec((rows, columns), floats).map_err(|error| format!("{name}: {error}"))
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let tensor = self.header.info(name).ok_or_else(|| format!("{FILE} has no {name}"))?;
        if tensor.shape != shape {
            let found = &tensor.shape;
            return Err(format!("{FILE}: {name} is of {found:?} and must be of {shape:?}"));
        }
        let (begin, end) = tensor.data_offsets;
        let number = match tensor.dtype {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
            other => {
                let known = "only F32, F16 and BF16 are read";
                return Err(format!("{FILE}: {name} is of {other:?}; {known}"));
            }
        };
        let count = shape.iter().try_fold(1_usize, |count, side| count.checked_mul(*side));
        let size = count.and_then(|count| count.checked_mul(number));
        if size.is_none() || size != end.checked_sub(begin) {
            return Err(format!("{FILE}: {name} has bytes {begin} to {end} for {shape:?} numbers"));
        }
        let Some(bytes) = self.data.get(begin..end) else {
            return Ok(vec![0.0; count.unwrap_or(0)]);
        };
        Ok(match tensor.dtype {
            Dtype::F16 => numbers(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => numbers(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            _ => numbers(bytes, f32::from_le_bytes),
        })
    }
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
