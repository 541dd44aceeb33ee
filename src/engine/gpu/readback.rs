//! Copying a buffer to the host.

use futures_intrusive::channel::shared::oneshot_channel;

use super::flights::poll;
use super::scope::in_scope;
use crate::error::{Error, Result};

/// The content of a buffer after everything submitted so far. Waits for that, but not for what the
/// host app submits later.
pub(crate) fn download(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    buffer: &wgpu::Buffer,
) -> Result<Vec<f32>> {
    let failed = |reason: String| Error::Device { during: "reading a buffer back", reason };
    let (sender, receiver) = oneshot_channel();
    let (staging, submission) = in_scope(device, "reading a buffer back", || {
        let staging = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgrad.readback"),
            size: buffer.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("wgrad.readback") };
        let mut encoder = device.create_command_encoder(&descriptor);
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        let submission = queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver lives until the poll below has returned.
            let _ = sender.send(result);
        });
        (staging, submission)
    })?;
    poll(device, wgpu::PollType::Wait { submission_index: Some(submission), timeout: None })?;
    match pollster::block_on(receiver.receive()) {
        Some(Ok(())) => {}
        Some(Err(e)) => return Err(failed(e.to_string())),
        None => return Err(failed("the device was dropped".into())),
    }
    let view = staging.get_mapped_range(..).map_err(|e| failed(e.to_string()))?;
    Ok(bytemuck::cast_slice(&view).to_vec())
}
