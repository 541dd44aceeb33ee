//! The environment variables by which all programs on wgpu are told their adapter: `WGPU_BACKEND`, which
//! the library heeds, and `WGPU_ADAPTER_NAME`.

use wgrad::wgpu::Backends;

use super::failure::Failure;

/// The adapter that `WGPU_ADAPTER_NAME` asks for, by a part of its name.
pub(crate) fn adapter_name() -> Option<String> {
    std::env::var("WGPU_ADAPTER_NAME").ok().filter(|name| !name.is_empty())
}

/// Refuses a `WGPU_BACKEND` that wgpu would leave aside.
pub(crate) fn check_backends() -> Result<(), Failure> {
    let Ok(list) = std::env::var("WGPU_BACKEND") else { return Ok(()) };
    match list.split(',').find(|name| Backends::from_comma_list(name).is_empty()) {
        Some(name) => Err(Failure::input(format!(
            "WGPU_BACKEND={list}: there is no backend {:?}; give vulkan, metal, dx12 or gl, or \
             several divided by commas",
            name.trim()
        ))),
        None => Ok(()),
    }
}
