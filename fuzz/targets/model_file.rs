//! A model file, or the description inside one (what begins with `{`) around the tensors of a net
//! 3-2-1: what is read is written and read the same again, folds, and becomes WGSL and ONNX or is
//! refused.
#![no_main]

use std::borrow::Cow;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wgrad::{ModelFile, WgslOptions};

const TENSORS: [(&str, &[usize]); 4] =
    [("0.weight", &[2, 3]), ("0.bias", &[2]), ("2.weight", &[1, 2]), ("2.bias", &[1])];

fuzz_target!(|bytes: &[u8]| {
    let name = Path::new("fuzz");
    let bytes = match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with('{') => {
            Cow::Owned(wgrad_fuzz::safetensors(&TENSORS, "wgrad", text))
        }
        _ => Cow::Borrowed(bytes),
    };
    let Ok(file) = ModelFile::from_bytes(&bytes, name) else { return };
    let written = file.to_bytes(name).expect("what is read can be written");
    let again = ModelFile::from_bytes(&written, name).expect("what is written can be read");
    assert_eq!(again.to_bytes(name).expect("written before"), written);
    assert_eq!((again.mlp(), again.options()), (file.mlp(), file.options()));
    drop(file.to_wgsl(&WgslOptions::default()));
    drop(file.to_onnx());
    file.plan().expect("planned when it was read").0.to_string();
    // Folded parameters may overflow, which is an error.
    drop(file.folded());
});
