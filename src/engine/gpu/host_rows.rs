//! Data sets that lie in the host app's buffers.

use super::program::{Builder, Dispatch, Feed, Rows, Source, word};
use super::scope::in_scope;
use super::{GpuData, GpuEngine};
use crate::error::{Error, Result};
use crate::ops::sample::SampleShape;
use crate::plan::bytes;

/// Rows of numbers in a buffer of the host app, for [`GpuEngine::bind`].
///
/// ```no_run
/// # fn f(positions: &wgrad::wgpu::Buffer) {
/// use wgrad::{HostRows, RowFormat};
/// // The y, z and w of vec4<f16> from byte 512 on.
/// let rows = HostRows { offset: 512 + 2, stride: Some(4), format: RowFormat::F16, ..HostRows::new(positions) };
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HostRows<'a> {
    /// The buffer, with the usage `STORAGE`; of numbers smaller than a word with as many bytes behind the
    /// last as make a multiple of 4.
    pub buffer: &'a wgpu::Buffer,
    /// Where the first row begins, in bytes: a multiple of a number's size. Default: 0.
    pub offset: u64,
    /// Numbers from the beginning of one row to that of the next, at least its columns. Default:
    /// just those, without gaps.
    pub stride: Option<u32>,
    /// What the numbers are. Default: f32.
    pub format: RowFormat,
}

/// The numbers of [`HostRows`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowFormat {
    /// `f32`.
    #[default]
    F32,
    /// `f16`; the device needs no feature for it.
    F16,
    /// `u8`, of which 255 stands for 1.
    Unorm8,
    /// `u8` as it is: class indices, for example.
    Uint8,
    /// `u32`, exact up to 2²⁴: class indices, for example.
    Uint32,
}

impl RowFormat {
    /// Bytes of a number.
    const fn size(self) -> u64 {
        match self {
            Self::F32 | Self::Uint32 => 4,
            Self::F16 => 2,
            Self::Unorm8 | Self::Uint8 => 1,
        }
    }

    /// The value of the choice `FORMAT` in `shaders/sample.wgsl`.
    const fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Unorm8 => 2,
            Self::Uint8 => 3,
            Self::Uint32 => 4,
        }
    }
}

impl<'a> HostRows<'a> {
    /// All of a buffer: f32 without gaps.
    #[must_use]
    pub const fn new(buffer: &'a wgpu::Buffer) -> Self {
        Self { buffer, offset: 0, stride: None, format: RowFormat::F32 }
    }

    /// What the kernels bind: a range of the buffer that begins where a binding may, and how the rows
    /// lie in it.
    fn source(
        &self,
        what: &str,
        columns: usize,
        rows: u32,
        limits: &wgpu::Limits,
    ) -> Result<Source<'a>> {
        let refuse = |expected: String, got: String| {
            Err(Error::Shape { what: format!("{what} in a host buffer"), expected, got })
        };
        let size = self.format.size();
        let columns = word(columns);
        let stride = self.stride.unwrap_or(columns);
        if rows == 0 {
            return refuse("at least one row".into(), "0".into());
        }
        if stride < columns {
            return refuse(format!("a stride of at least {columns} columns"), stride.to_string());
        }
        if !self.offset.is_multiple_of(size) {
            return refuse(
                format!("an offset of whole {size}-byte numbers"),
                self.offset.to_string(),
            );
        }
        // Up to 2⁶⁶ bytes.
        let numbers = u128::from(rows - 1) * u128::from(stride) + u128::from(columns);
        let used = numbers * u128::from(size);
        // Bindings are whole words.
        let end = (u128::from(self.offset) + used).next_multiple_of(4);
        if end > u128::from(self.buffer.size()) {
            let (offset, has) = (self.offset, self.buffer.size());
            return refuse(
                format!(
                    "{rows} rows of {columns} columns: {used} bytes from {offset} on, up to a \
                     multiple of 4"
                ),
                format!("a buffer of {has} bytes"),
            );
        }
        if !self.buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            return refuse(
                "one with the usage STORAGE".into(),
                format!("{:?}", self.buffer.usage()),
            );
        }
        let start =
            self.offset - self.offset % u64::from(limits.min_storage_buffer_offset_alignment);
        #[expect(clippy::cast_possible_truncation, reason = "within the buffer")]
        let length = end as u64 - start;
        let limit = limits.max_storage_buffer_binding_size.min(size << 32);
        if length > limit {
            return Err(Error::Limit {
                what: format!("{rows} rows of {what} in a host buffer"),
                needed: bytes(length),
                limit_name: "max_storage_buffer_binding_size",
                limit: bytes(limit),
                remedy: ": bind fewer rows".into(),
            });
        }
        let binding = wgpu::BufferBinding {
            buffer: self.buffer,
            offset: start,
            size: std::num::NonZeroU64::new(length),
        };
        #[expect(clippy::cast_possible_truncation, reason = "below an alignment")]
        let offset = ((self.offset - start) / size) as u32;
        let shape = SampleShape::new(columns, offset, stride);
        Ok(Source { binding, shape, format: self.format.code() })
    }
}

impl Source<'_> {
    /// Whether the kernels can read the rows where they lie.
    fn is_dense(&self) -> bool {
        let SampleShape { columns, offset, stride, .. } = self.shape;
        self.format == RowFormat::F32.code() && offset == 0 && stride == columns
    }
}

impl GpuEngine {
    /// A data set of `rows` rows in the host's own buffers: inputs (rows × `in_features`) and targets
    /// (rows × 1 class index for cross-entropy, else rows × `out_features`).
    ///
    /// The host may change what is in them between submissions. f32 without gaps from a multiple of
    /// the device's `min_storage_buffer_offset_alignment` on is read where it lies; of anything else
    /// each batch's rows are copied first, on the device. Values aren't checked: a class index too
    /// large counts as the last class.
    ///
    /// Compiles the kernels that aren't yet, as [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// [`Error::Shape`] if the rows don't lie within the buffers or can't be read as told,
    /// [`Error::Limit`] if they are more than the device can bind, [`Error::Device`] if the driver
    /// refuses.
    pub fn bind(
        &mut self,
        inputs: &HostRows<'_>,
        targets: &HostRows<'_>,
        rows: u32,
    ) -> Result<GpuData> {
        let (in_features, width) = (self.plan.mlp().in_features(), self.plan.target_width());
        let limits = self.device.limits();
        let inputs = inputs.source("inputs", in_features, rows, &limits)?;
        let targets = targets.source("targets", width, rows, &limits)?;
        let Self { device, plan, buffers, pipelines, variants, program, .. } = self;
        let feed = in_scope(device, "binding host buffers", || {
            let mut builder = Builder::new(plan, buffers, pipelines, variants);
            let batch_targets;
            let mut fill: Vec<Dispatch> = Vec::new();
            let targets = if targets.is_dense() {
                Rows::Dense(targets.binding)
            } else {
                batch_targets = buffers.scratch("batch_targets", plan.capacity() * width);
                fill.push(builder.sample(&targets, &batch_targets, "targets"));
                Rows::Batch(&batch_targets)
            };
            let inputs = if inputs.is_dense() {
                Rows::Dense(inputs.binding)
            } else {
                fill.push(builder.sample(&inputs, &buffers.batch_inputs, "data"));
                Rows::Batch(&buffers.batch_inputs)
            };
            let net = program.fused_net(&mut builder);
            Feed::new(builder, net, fill, &inputs, Some(&targets))
        })
        .inspect_err(|_| program.forget_fused_net());
        let feed = self.told(feed)?;
        self.prepare()?;
        Ok(self.data(feed, rows as usize, false))
    }
}
