//! Errors of the driver, kept from the host app.

use crate::error::{Error, Result};

/// Runs `create` so that the driver's refusal becomes an error instead of reaching the host app's
/// handler.
pub(crate) fn in_scope<T>(
    device: &wgpu::Device,
    during: &'static str,
    create: impl FnOnce() -> T,
) -> Result<T> {
    let filters = [
        wgpu::ErrorFilter::Validation,
        wgpu::ErrorFilter::OutOfMemory,
        // A driver that can't compile a kernel.
        wgpu::ErrorFilter::Internal,
    ];
    let scopes = filters.map(|filter| device.push_error_scope(filter));
    let made = create();
    // Scopes are a stack: the last pushed is the first popped.
    let errors: Vec<_> =
        scopes.into_iter().rev().map(|scope| pollster::block_on(scope.pop())).collect();
    match errors.into_iter().flatten().next() {
        Some(e) => Err(Error::Device { during, reason: e.to_string() }),
        None => Ok(made),
    }
}
