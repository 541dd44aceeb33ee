//! Data sets on their way to the device.

use super::buffers::{bytes_of, storage, whole};
use super::program::{Builder, Feed, Rows};
use super::scope::{in_scope, memory_or};
use super::{GpuData, GpuEngine};
use crate::data::Dataset;
use crate::engine::check_data;
use crate::error::{Error, Result};
use crate::plan::bytes;

/// Numbers that travel to the device at once, 32 MiB: on the way they take as much memory again.
const BLOCK: usize = 1 << 23;

impl GpuEngine {
    pub(super) fn upload_data(&mut self, data: &Dataset) -> Result<GpuData> {
        check_data(&self.plan, data)?;
        let targets = data.targets().to_f32();
        if data.weights().is_empty() {
            return self.upload_arrays(data.inputs(), &targets, false, data.rows());
        }
        // Each row's weight behind its targets.
        let rows = targets.chunks_exact(data.targets().width()).zip(data.weights());
        let targets: Vec<f32> =
            rows.flat_map(|(targets, weight)| targets.iter().chain([weight])).copied().collect();
        self.upload_arrays(data.inputs(), &targets, true, data.rows())
    }

    /// Copies inputs (rows × `in_features`) and targets to the device. Targets are empty where
    /// only predictions are wanted, and followed by each row's weight if `weighted`.
    pub(super) fn upload_arrays(
        &mut self,
        inputs: &[f32],
        targets: &[f32],
        weighted: bool,
        rows: usize,
    ) -> Result<GpuData> {
        let limits = self.device.limits();
        let needed = bytes_of(inputs.len().max(targets.len()));
        let bounds = [
            ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
            ("max_buffer_size", limits.max_buffer_size),
            ("32-bit element index", 4 << 32),
        ];
        if let Some((limit_name, limit)) = bounds.into_iter().find(|(_, limit)| needed > *limit) {
            let row = needed / rows.max(1) as u64;
            return Err(Error::Limit {
                what: format!("a data set of {rows} rows"),
                needed: bytes(needed),
                limit_name,
                limit: bytes(limit),
                remedy: format!(": {} rows would fit", limit / row.max(1)),
            });
        }
        let Self { device, queue, plan, buffers, pipelines, variants, program, .. } = self;
        let feed = in_scope(device, "copying a data set to the device", || {
            let array = |name: &str, content: &[f32]| {
                // Kernels read whole vectors of four.
                let buffer = storage(device, name, content.len().next_multiple_of(4));
                write_in_blocks(queue, &buffer, content);
                buffer
            };
            let mut builder = Builder::new(plan, buffers, pipelines, variants);
            let inputs = array("inputs", inputs);
            let targets = (!targets.is_empty()).then(|| array("targets", targets));
            let net = targets.as_ref().and_then(|_| program.fused_net(&mut builder));
            let dense = |buffer| Rows::Dense(whole(buffer));
            let targets = targets.as_ref().map(dense);
            Feed::new(builder, net, Vec::new(), &dense(&inputs), targets.as_ref())
        })
        .map_err(|error| {
            program.forget_fused_net();
            let needed = bytes_of(inputs.len() + targets.len());
            let remedy = " (train on fewer rows)".to_owned();
            memory_or(error, format!("a data set of {rows} rows"), needed, remedy)
        })?;
        pipelines.compile()?;
        Ok(self.data(feed, rows, weighted))
    }
}

/// Writes a buffer of any size, in more than one submission where it is large.
fn write_in_blocks(queue: &wgpu::Queue, buffer: &wgpu::Buffer, content: &[f32]) {
    let mut offset = 0;
    for (index, block) in content.chunks(BLOCK).enumerate() {
        if index > 0 {
            queue.submit([]);
        }
        queue.write_buffer(buffer, offset, bytemuck::cast_slice(block));
        offset += bytes_of(block.len());
    }
}
