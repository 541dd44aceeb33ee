//! Forward, loss and backward of a small net in one dispatch.

use super::epilogue::Epilogue;
use super::loss::METRICS_GROUPS;
use super::step::StepUniform;
use super::wgsl;
use crate::activation::Activation;
use crate::engine::kernel::{
    Choice, Grid, Kernel, read, read_write, step, uniform, uniform_struct,
};
use crate::loss::Loss;
use crate::plan::{Plan, Stage, StageOp};

/// `MAX_LAYERS` of `shaders/fused_shape.wgsl`.
const MAX_LAYERS: usize = 16;
/// `LANES` of `shaders/fused_shape.wgsl`.
const LANES: u32 = 128;
/// `STAGED` of `shaders/fused_products.wgsl`.
const STAGED: u32 = 256;
/// Quads of columns that a tile may have.
const COLUMN_QUADS: [u32; 3] = [8, 16, 32];
/// Workgroups from which on they may take large tiles: fewer would leave most of a GPU idle.
const BUSY: u32 = 64;
/// Bytes that the sums of all workgroups may take.
const MOST_BYTES: usize = 32 << 20;

macro_rules! fused {
    ($loss:literal, $panels:literal, $choices:expr) => {
        Kernel {
            name: concat!("fused.", $loss, ".", $panels),
            wgsl: wgsl!(
                "step",
                "near_zero",
                "activation_value",
                "activation",
                "philox",
                "order",
                $panels,
                "fused_shape",
                $loss,
                "loss_row",
                "finite",
                "fused",
                "fused_products"
            ),
            bindings: &[
                step::<StepUniform>("step"),
                uniform::<FusedShape>("shape"),
                read("input"),
                read("target_values"),
                read("weight"),
                read("parameters"),
                read_write("kept"),
                read_write("partials"),
                read_write("metrics"),
            ],
            constants: &[("GROUPS", METRICS_GROUPS as f64)],
            choices: $choices,
        }
    };
}

const TILES: Choice = Choice {
    name: "COLUMN_QUADS",
    values: &[COLUMN_QUADS[0] as f64, COLUMN_QUADS[1] as f64, COLUMN_QUADS[2] as f64],
};
const ELEMENTWISE: &[Choice] = &[Epilogue::ACTIVATION, TILES, Choice::codes::<4>("LOSS")];
const CROSS_ENTROPY: &[Choice] = &[Epilogue::ACTIVATION, TILES];

/// The kernel for losses that are element-wise and for cross-entropy, with one quad of rows an invocation
/// and with two.
pub(crate) static FUSED: [[Kernel; 2]; 2] = [
    [
        fused!("loss_elementwise", "panels_1", ELEMENTWISE),
        fused!("loss_elementwise", "panels_2", ELEMENTWISE),
    ],
    [
        fused!("cross_entropy", "panels_1", CROSS_ENTROPY),
        fused!("cross_entropy", "panels_2", CROSS_ENTROPY),
    ],
];

/// A layer of [`FusedShape`].
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct FusedLayer {
    in_features: u32,
    out_features: u32,
    weight_at: u32,
    bias_at: u32,
    input_at: u32,
    below_at: u32,
    padding: [u32; 2],
}

uniform_struct! {
    /// Mirror of `FusedShape` in `shaders/fused_shape.wgsl`.
    FusedShape {
        layers: u32,
        partial_stride: u32,
        gathered_inputs: u32,
        gathered_targets: u32,
        activation_parameter: f32,
        outputs: u32,
        parameter: f32,
        target_width: u32,
        layer: [FusedLayer; MAX_LAYERS],
    }
}

/// How a plan's step is fused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fused {
    pub shape: FusedShape,
    /// The stage that is the first in it.
    pub first: usize,
    activation: Activation,
    column_quads: u32,
    panels: u32,
    /// Workgroups.
    pub groups: u32,
    /// Tiles of a batch: as many workgroups would have one each.
    wanted: u32,
    /// Elements of `kept`.
    kept_len: usize,
}

#[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
impl Fused {
    /// How a step is fused on a device with these limits.
    ///
    /// # Errors
    /// What about the net, or the device, stands against it.
    pub(crate) fn of(plan: &Plan, limits: &wgpu::Limits) -> Result<Self, String> {
        let workgroup_bytes = limits.max_compute_workgroup_storage_size;
        let [one, two] = [Self::with_panels(plan, 1)?, Self::with_panels(plan, 2)?];
        let fits = |fused: &Self| fused.shared_bytes() <= workgroup_bytes;
        let most = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let needed = one.largest_buffer().max(two.largest_buffer());
        if needed > most {
            return Err(format!("a buffer of {needed} bytes is needed, and the device has {most}"));
        }
        if fits(&two) && two.groups >= BUSY {
            return Ok(two);
        }
        if fits(&one) {
            return Ok(one);
        }
        let needed = one.shared_bytes();
        Err(format!(
            "workgroups of the device have {workgroup_bytes} bytes of memory, not {needed}"
        ))
    }

    /// The same where an invocation owns so many quads of rows.
    pub(crate) fn with_panels(plan: &Plan, panels: u32) -> Result<Self, String> {
        let first = usize::from(matches!(plan.stages()[0].op, StageOp::Encoding(_)));
        let stages = &plan.stages()[first..];
        let activation = check(stages)?;
        let widest = stages.iter().map(|s| s.in_features.max(s.out_features)).max().unwrap_or(0);
        let column_quads = COLUMN_QUADS.into_iter().find(|quads| widest <= 4 * *quads as usize);
        let most = 4 * COLUMN_QUADS[COLUMN_QUADS.len() - 1];
        let column_quads =
            column_quads.ok_or_else(|| format!("a width of {widest} is above {most}"))?;
        let rows = plan.options().rows_at_once() as u32;
        let tile_rows = 4 * panels * LANES / column_quads;
        let affordable = (MOST_BYTES / (4 * plan.trained_len())).max(1) as u32;
        let wanted = rows.div_ceil(tile_rows);
        let groups = wanted.min(METRICS_GROUPS as u32).min(affordable);
        let kept_rows = groups * tile_rows;
        let mut layer = [FusedLayer::default(); MAX_LAYERS];
        let mut kept_at = 0;
        for (index, (layer, stage)) in layer.iter_mut().zip(stages).enumerate() {
            let StageOp::Linear { tensors: [weight, bias] } = &stage.op else {
                unreachable!("checked")
            };
            let input_at = kept_at;
            let region = kept_rows * (stage.in_features as u32).div_ceil(4);
            kept_at += region;
            let below_at = if index > 0 && activation.keeps_preactivation() {
                kept_at += region;
                input_at + region
            } else {
                input_at
            };
            *layer = FusedLayer {
                in_features: stage.in_features as u32,
                out_features: stage.out_features as u32,
                weight_at: weight.offset as u32,
                bias_at: bias.offset as u32,
                input_at,
                below_at,
                padding: [0; 2],
            };
        }
        let loss = &plan.options().loss;
        let shape = FusedShape {
            layers: stages.len() as u32,
            partial_stride: plan.trained_len() as u32,
            gathered_inputs: 0,
            gathered_targets: 0,
            activation_parameter: activation.parameter(),
            outputs: plan.mlp().out_features() as u32,
            parameter: loss.parameter(),
            target_width: plan.target_width() as u32,
            layer,
        };
        let kept_len = 4 * kept_at as usize;
        Ok(Self { shape, first, activation, column_quads, panels, groups, wanted, kept_len })
    }

    /// Elements of the two buffers that layers have no need of: what is kept for the way back, and the
    /// sums of all workgroups.
    pub(crate) const fn buffer_lens(&self) -> [usize; 2] {
        [self.kept_len, self.groups as usize * self.shape.partial_stride as usize]
    }

    /// Bytes of the larger of the two.
    fn largest_buffer(&self) -> u64 {
        let [kept, sums] = self.buffer_lens();
        4 * kept.max(sums) as u64
    }

    /// Whether there are as many workgroups as a batch gives work to, or as a GPU is busy with: the sums of
    /// a large net leave room for few.
    pub(crate) fn keeps_busy(&self) -> bool {
        self.groups >= self.wanted.min(BUSY)
    }

    /// Bytes of workgroup memory.
    pub(crate) const fn shared_bytes(&self) -> u32 {
        let Self { column_quads, panels, .. } = *self;
        let row_quads = panels * LANES / column_quads;
        let tile = 4 * column_quads * (row_quads + 1);
        let staged = STAGED + STAGED / column_quads;
        // And a row's number for each row of the tile, a report for each quad of them.
        16 * (tile + staged + 2 * row_quads)
    }

    /// The kernel for a loss, and the values of its choices.
    pub(crate) fn kernel(&self, loss: &Loss) -> (&'static Kernel, Vec<f64>) {
        let (_, of_loss) = super::loss::kernel(loss);
        let which = usize::from(matches!(loss, Loss::CrossEntropy { .. }));
        let kernel = &FUSED[which][self.panels as usize - 1];
        let tile = [f64::from(self.activation.code()), f64::from(self.column_quads)];
        (kernel, tile.iter().chain(of_loss).copied().collect())
    }

    /// The same number of workgroups for every batch, since each has sums to write.
    pub(crate) const fn grid(&self) -> Grid {
        Grid::fixed(self.groups, 1)
    }
}

/// The activation between the layers, if these can be fused.
fn check(stages: &[Stage]) -> Result<Activation, String> {
    let Some((last, hidden)) = stages.split_last() else {
        return Err("it has no linear layer".into());
    };
    if stages.len() > MAX_LAYERS {
        return Err(format!("it has {} layers, more than {MAX_LAYERS}", stages.len()));
    }
    if let Some(stage) = stages.iter().find(|s| !matches!(s.op, StageOp::Linear { .. })) {
        return Err(format!("layer {} isn't linear", stage.layer));
    }
    if let Some(stage) = stages.iter().find(|s| s.dropout.is_some()) {
        return Err(format!("dropout follows layer {}", stage.layer));
    }
    if last.activation != Activation::Identity {
        return Err("it ends in an activation".into());
    }
    let activation = hidden.first().map_or(Activation::Identity, |s| s.activation);
    match hidden.iter().find(|s| s.activation != activation) {
        Some(stage) => Err(format!("layer {} has another activation than the first", stage.layer)),
        None => Ok(activation),
    }
}
