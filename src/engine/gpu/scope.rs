//! Errors of the driver, kept from the host app; and whether there still is a device.

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

/// What an error of a device comes from if that is gone. Only the host may ask its device to call back when
/// it is lost, but what is made then is silently void, and shows when it is used.
pub(crate) fn lost_or(device: &wgpu::Device, queue: &wgpu::Queue, error: Error) -> Error {
    let Error::Device { during, .. } = error else { return error };
    let made = in_scope(device, during, || {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgrad.probe"),
            size: 4,
            usage: wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    });
    let used = |buffer| in_scope(device, during, || queue.write_buffer(&buffer, 0, &[0; 4]));
    match made.map(used) {
        Ok(Err(_)) => Error::Lost { during },
        _ => error,
    }
}
