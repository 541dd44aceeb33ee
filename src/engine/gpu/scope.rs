//! Errors of the driver, kept from the host app; and whether there still is a device.

use crate::error::{Error, Result};
use crate::plan::bytes;

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
    let [validation, memory, internal] = filters.map(|filter| device.push_error_scope(filter));
    let made = create();
    // Scopes are a stack: the last pushed is the first popped.
    let errors = [internal, memory, validation].map(|scope| pollster::block_on(scope.pop()));
    match errors.into_iter().flatten().next() {
        Some(wgpu::Error::OutOfMemory { .. }) => {
            Err(Error::Device { during, reason: OUT_OF_MEMORY.into() })
        }
        Some(e) => Err(Error::Device { during, reason: e.to_string() }),
        None => Ok(made),
    }
}

/// Writes to a buffer, before what is submitted next.
///
/// # Errors
/// [`Error::Lost`] if the device is gone, which wgpu's own `write_buffer` passes over in silence.
pub(crate) fn write(
    queue: &wgpu::Queue,
    buffer: &wgpu::Buffer,
    offset: u64,
    content: &[u8],
    during: &'static str,
) -> Result<()> {
    let Some(size) = wgpu::BufferSize::new(content.len() as u64) else { return Ok(()) };
    let mut view = queue.write_buffer_with(buffer, offset, size).ok_or(Error::Lost { during })?;
    view.copy_from_slice(content);
    Ok(())
}

const OUT_OF_MEMORY: &str = "the device has too little free memory";

/// An error that says what needs so much, if the device had too little memory for it.
pub(crate) fn memory_or(error: Error, what: String, needed: u64, remedy: String) -> Error {
    match error {
        Error::Device { reason, .. } if reason == OUT_OF_MEMORY => Error::Limit {
            what,
            needed: bytes(needed),
            limit_name: "the device's memory",
            limit: "smaller or in use".into(),
            remedy,
        },
        error => error,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_memory_is_told_with_sizes() {
        let told = |reason: &str| {
            let error = Error::Device { during: "preparing the training", reason: reason.into() };
            memory_or(error, "training a net".into(), 3 << 30, " (a batch_size of 8 fits)".into())
        };
        assert_eq!(
            told(OUT_OF_MEMORY).to_string(),
            "training a net needs 3.0 GiB, but the limit (the device's memory) is smaller or in use \
             (a batch_size of 8 fits)"
        );
        assert!(matches!(told("something else"), Error::Device { .. }));
    }

    #[test]
    fn a_device_that_is_there_is_not_lost() {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let error = || Error::Device { during: "a test", reason: "none".into() };
        assert!(matches!(lost_or(&device, &queue, error()), Error::Device { .. }));
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 8,
            usage: wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let write = |content: &[u8]| write(&queue, &buffer, 0, content, "a test");
        write(&[0; 8]).unwrap();
        device.destroy();
        assert!(matches!(write(&[0; 8]), Err(Error::Lost { during: "a test" })));
        assert!(matches!(lost_or(&device, &queue, error()), Error::Lost { during: "a test" }));
    }
}
