//! What a plan refuses, each with the numbers and what would fit.

use super::table::bytes;
use super::{F16, F32, Plan, Stage, StageOp, TENSOR_ALIGN};
use crate::engine::kernel::MOST_GROUPS;
use crate::error::{Error, Result};

/// Bytes of a vector of four, of which kernels read whole ones.
const QUAD: u64 = 16;

impl Plan {
    /// Refuses batches whose widest activation can't be indexed with 32 bits.
    pub(super) fn check_capacity(&self) -> Result<()> {
        // Twice: an activation buffer may hold Y and Z.
        let per_row = 2 * self.widest() as u128 + 2 * TENSOR_ALIGN as u128;
        if per_row * self.capacity as u128 <= u128::from(u32::MAX) {
            return Ok(());
        }
        let fits = u128::from(u32::MAX) / per_row;
        Err(Error::Limit {
            what: format!("a batch of {} rows × {} columns", self.capacity, self.widest()),
            needed: format!("{} elements", per_row * self.capacity as u128),
            limit_name: "32-bit element index",
            limit: format!("{} elements", u32::MAX),
            remedy: self.batch_that_fits(fits),
        })
    }

    /// Refuses parameter groups that name what isn't there.
    pub(super) fn check_groups(&self) -> Result<()> {
        use crate::optimizer::Parameters;
        for parameters in self.options.groups.iter().flat_map(|group| &group.parameters) {
            let mut trained = self.tensors().filter(|tensor| tensor.kind.is_trained());
            let problem = match parameters {
                Parameters::Layer(layer) if !trained.any(|t| t.layer == *layer) => {
                    format!("a parameter group names layer {layer}")
                }
                Parameters::Tensor(name) if !trained.any(|t| t.name == *name) => {
                    format!("a parameter group names tensor {name}")
                }
                _ => continue,
            };
            let trained = self.tensors().filter(|tensor| tensor.kind.is_trained());
            let names: Vec<&str> = trained.map(|tensor| tensor.name.as_str()).collect();
            return Err(Error::Shape {
                what: problem,
                expected: format!("one with parameters of {}", self.mlp),
                got: format!("the net has {}", names.join(", ")),
            });
        }
        Ok(())
    }

    /// Refuses batches that a batch norm can't take the variance of: those of `rows` training rows.
    ///
    /// # Errors
    /// [`Error::Model`] names the layer.
    pub(crate) fn check_norms(&self, rows: u32) -> Result<()> {
        let by_batch = |stage: &&Stage| matches!(&stage.op, StageOp::Norm(norm) if !norm.per_row);
        let Some(stage) = self.stages.iter().find(by_batch) else { return Ok(()) };
        let (batch, micro) = (self.options.batch_size, self.options.rows_at_once());
        let rows = rows as usize;
        let full = batch.min(rows);
        let last = if self.options.drop_last { 0 } else { rows % batch };
        // The parts of full batches, and those of the last one.
        let single = |rows: usize| rows > 0 && (micro == 1 || rows % micro == 1);
        if !single(full) && !single(last) {
            return Ok(());
        }
        let remedy = if micro < batch { "micro_batch" } else { "batch_size" };
        let why = if single(full) {
            format!("got a batch of 1 (raise {remedy})")
        } else {
            format!(
                "but {rows} rows in batches of {batch} leave a batch of 1 at the end of each epoch \
                 (change {remedy}, or set drop_last)"
            )
        };
        Err(Error::Model {
            layer: stage.layer,
            problem: format!("batch norm needs at least 2 rows at once in training, {why}"),
        })
    }

    /// Refuses to evaluate one row with a batch norm that takes the batch's statistics.
    ///
    /// # Errors
    /// [`Error::Model`] names the layer.
    pub(crate) fn check_evaluation(&self, rows: usize) -> Result<()> {
        match self.norm_of_any_batch() {
            Some(stage) if rows == 1 => Err(Error::Model {
                layer: stage.layer,
                problem:
                    "batch norm without running statistics needs at least 2 rows, got 1 (give \
                          more rows at once, or set track_running_stats)"
                        .into(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether the outputs of a row depend on the rows that go through the net with it, in evaluation too.
    pub(super) fn evaluates_by_batch(&self) -> bool {
        self.norm_of_any_batch().is_some()
    }

    /// A batch norm without running statistics, which takes those of any batch.
    fn norm_of_any_batch(&self) -> Option<&Stage> {
        let by_batch = |stage: &&Stage| matches!(&stage.op, StageOp::Norm(norm) if !norm.per_row && norm.running.is_none());
        self.stages.iter().find(by_batch)
    }

    /// The remedy where buffers for `rows` rows would fit: fewer than evaluation takes at once are no help.
    pub(super) fn batch_that_fits(&self, rows: u128) -> String {
        if rows >= self.least_capacity().max(1) as u128 {
            format!(": a batch_size of {rows} would fit")
        } else {
            ": make the layers narrower; no batch size fits".into()
        }
    }

    /// What each large buffer is, its bytes, and for how many rows of a batch, if it depends on them.
    fn largest_buffers(&self) -> impl Iterator<Item = (String, u64, Option<u64>)> {
        let rows = self.capacity as u64;
        let arena = ("the parameter arena".to_owned(), self.arena_len as u64 * F32, None);
        let stages = self.stages.iter().enumerate().map(move |(index, s)| {
            let number = if self.is_half(index) { F16 } else { F32 };
            let needed = (s.activation_len(self.capacity) as u64 * number).next_multiple_of(QUAD);
            (format!("layer {}'s activations for {rows} rows", s.layer), needed, Some(rows))
        });
        let measured = self.options.insight_every.map(|_| {
            ("the insights of a step".to_owned(), 2 * self.trained_len() as u64 * F32, None)
        });
        let in_features = self.mlp.in_features();
        let input = (
            format!("a batch of {rows} rows × {in_features} inputs"),
            (rows * in_features as u64 * F32).next_multiple_of(QUAD),
            Some(rows),
        );
        std::iter::once(arena).chain(measured).chain(stages).chain([input])
    }

    /// The limits that a device needs: wgpu's defaults, with larger buffers where the net asks for
    /// them. A data set that is uploaded, or bound, may need more.
    #[must_use]
    pub fn required_limits(&self) -> wgpu::Limits {
        let largest = self.largest_buffers().map(|(_, needed, _)| needed).fold(0, u64::max);
        let defaults = wgpu::Limits::default();
        wgpu::Limits {
            max_buffer_size: defaults.max_buffer_size.max(largest),
            max_storage_buffer_binding_size: defaults
                .max_storage_buffer_binding_size
                .max(largest.next_multiple_of(4)),
            ..defaults
        }
    }

    /// Refuses a plan whose buffers or dispatches exceed a device's limits.
    ///
    /// # Errors
    /// [`Error::Limit`] names the buffer, what it needs, the limit and the batch size that would
    /// fit.
    pub fn check_limits(&self, limits: &wgpu::Limits) -> Result<()> {
        if limits.max_compute_workgroups_per_dimension == 0 {
            return Err(Error::Limit {
                what: "a net on this device".into(),
                needed: "compute shaders".into(),
                limit_name: "max_compute_workgroups_per_dimension",
                limit: "0".into(),
                remedy: ": the device was opened without them, as those of WebGL are (open it with wgpu's \
                         default limits, or take CpuEngine)"
                    .into(),
            });
        }
        let bindings = [
            ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
            ("max_buffer_size", limits.max_buffer_size),
        ];
        for (what, needed, rows) in self.largest_buffers() {
            for (limit_name, limit) in bindings {
                if needed <= limit {
                    continue;
                }
                let remedy = match rows {
                    Some(rows) => self.batch_that_fits(u128::from(limit / needed.div_ceil(rows))),
                    None => ": make the layers narrower".into(),
                };
                let (needed, limit) = (bytes(needed), bytes(limit));
                return Err(Error::Limit { what, needed, limit_name, limit, remedy });
            }
        }
        let rows = self.capacity as u64;
        let groups = limits.max_compute_workgroups_per_dimension;
        let defaults = || ": open the device with wgpu's default limits".to_owned();
        let norm = self.stages.iter().find(|stage| matches!(stage.op, StageOp::Norm(_)));
        let (largest, invocations) = match norm {
            Some(stage) => (format!("a workgroup of layer {}, a norm,", stage.layer), 256),
            None => ("the largest workgroup".into(), 128),
        };
        let counts = [
            // Sampling runs one workgroup per row, up to `MOST_GROUPS` along a dimension.
            (
                format!("a batch of {rows} rows"),
                (rows.min(u64::from(MOST_GROUPS)), "workgroups"),
                ("max_compute_workgroups_per_dimension", groups),
                self.batch_that_fits(u128::from(groups)),
            ),
            // The products run one per 32 columns, of which the bias is one more, norms one per 16.
            (
                format!("a layer of {} columns", self.widest()),
                ((self.widest() as u64 + 1).div_ceil(16), "workgroups"),
                ("max_compute_workgroups_per_dimension", groups),
                ": make the layers narrower".into(),
            ),
            (
                largest,
                (invocations, "invocations"),
                (
                    "max_compute_invocations_per_workgroup",
                    limits.max_compute_invocations_per_workgroup,
                ),
                defaults(),
            ),
            (
                "the optimizer".into(),
                (8, "storage buffers"),
                (
                    "max_storage_buffers_per_shader_stage",
                    limits.max_storage_buffers_per_shader_stage,
                ),
                defaults(),
            ),
        ];
        let beyond = counts.into_iter().find(|(_, needed, limit, _)| needed.0 > u64::from(limit.1));
        let Some((what, (needed, unit), (limit_name, limit), remedy)) = beyond else {
            return Ok(());
        };
        let (needed, limit) = (format!("{needed} {unit}"), limit.to_string());
        Err(Error::Limit { what, needed, limit_name, limit, remedy })
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::tests::plan;
    use crate::{Activation, Mlp};

    #[test]
    fn limits_are_named_with_the_batch_that_fits() {
        let mlp = Mlp::with_hidden(1000, &[1000], Activation::Relu, 10);
        let limits = wgpu::Limits::default();
        assert!(plan(&mlp, 30_000).unwrap().check_limits(&limits).is_ok());
        let refused = plan(&mlp, 60_000).unwrap().check_limits(&limits).unwrap_err().to_string();
        assert!(
            refused.contains("layer 0's activations for 60000 rows needs 228.9 MiB"),
            "{refused}"
        );
        assert!(refused.contains("128.0 MiB: a batch_size of 33554 would fit"), "{refused}");
        assert!(plan(&mlp, 33_554).unwrap().check_limits(&limits).is_ok());

        // Workgroups go on in a second dimension, where a device has what every one should have.
        let narrow = plan(&Mlp::new(1).linear(1), 1 << 18).unwrap();
        assert!(narrow.check_limits(&limits).is_ok());
        let fewer = wgpu::Limits { max_compute_workgroups_per_dimension: 1000, ..limits };
        let refused = narrow.check_limits(&fewer).unwrap_err().to_string();
        assert!(refused.contains("needs 65535 workgroups"), "{refused}");
        assert!(refused.contains("a batch_size of 1000 would fit"), "{refused}");
    }

    #[test]
    fn counts_have_units_and_remedies() {
        let plan = plan(&Mlp::new(1).linear(1), 8).unwrap();
        let refused = |limits: wgpu::Limits| plan.check_limits(&limits).unwrap_err().to_string();
        assert_eq!(
            refused(wgpu::Limits::downlevel_defaults()),
            "the optimizer needs 8 storage buffers, but the limit (max_storage_buffers_per_shader_stage) \
             is 4: open the device with wgpu's default limits"
        );
        let few =
            wgpu::Limits { max_compute_invocations_per_workgroup: 64, ..wgpu::Limits::default() };
        assert!(refused(few).contains("the largest workgroup needs 128 invocations"));
        // No layer is too wide for a device without compute shaders.
        let without = refused(wgpu::Limits::downlevel_webgl2_defaults());
        assert_eq!(
            without,
            "a net on this device needs compute shaders, but the limit \
             (max_compute_workgroups_per_dimension) is 0: the device was opened without them, as those \
             of WebGL are (open it with wgpu's default limits, or take CpuEngine)"
        );
    }
}
