//! Weights from a `model.safetensors`, as floats of 32 bits.
//!
//! The file is read once and dropped when the matrices are made. Every tensor is asked for with the
//! size it must have. Files of pickled Python are never opened.

use std::path::Path;

use half::{bf16, f16};
use ndarray::{Array1, Array2};
use safetensors::{Dtype, SafeTensors};

use super::folder::bytes;
use crate::limits::WEIGHTS_BYTES;

/// The file's name in every directory.
const FILE: &str = "model.safetensors";

/// Fails early where there is no file.
pub(super) fn check(directory: &Path) -> Result<(), String> {
    if directory.join(FILE).is_file() {
        return Ok(());
    }
    Err(format!("{} has no {FILE}; no other form of weights is read", directory.display()))
}

/// Reads the weights in `directory` and has `take` make something of them.
pub(super) fn with<T>(
    directory: &Path,
    take: impl FnOnce(&Weights<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let read = bytes(&directory.join(FILE), WEIGHTS_BYTES)?;
    let tensors = SafeTensors::deserialize(&read).map_err(|error| format!("{FILE}: {error}"))?;
    take(&Weights { tensors })
}

pub(super) struct Weights<'a> {
    tensors: SafeTensors<'a>,
}

impl Weights<'_> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
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
        let tensor = self.tensors.tensor(name).map_err(|_| format!("{FILE} has no {name}"))?;
        if tensor.shape() != shape {
            let found = tensor.shape();
            return Err(format!("{FILE}: {name} is of {found:?} and must be of {shape:?}"));
        }
        let bytes = tensor.data();
        match tensor.dtype() {
            Dtype::F32 => Ok(numbers(bytes, f32::from_le_bytes)),
            Dtype::F16 => Ok(numbers(bytes, |bytes| f16::from_le_bytes(bytes).to_f32())),
            Dtype::BF16 => Ok(numbers(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32())),
            other => {
                Err(format!("{FILE}: {name} is of {other:?}; only F32, F16 and BF16 are read"))
            }
        }
    }
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
