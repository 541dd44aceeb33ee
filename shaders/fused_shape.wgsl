// fused_shape: what fused.wgsl binds, and its constants. They stand in front of the loss, which reads the
// tile: naga 30 fails where an override is reached behind an array whose length is computed from one.
// Host mirror: src/ops/fused.rs

const MAX_LAYERS = 16u;

struct FusedLayer {
    in_features: u32,
    out_features: u32,
    // First elements in the arena.
    weight_at: u32,
    bias_at: u32,
    // First vectors in `kept` of X and of what the derivative of the activation before X is computed
    // from.
    input_at: u32,
    below_at: u32,
    padding0: u32,
    padding1: u32,
}

struct FusedShape {
    layers: u32,
    // Elements of a workgroup's sums.
    partial_stride: u32,
    // 1 if inputs, and targets, are those of the data set and not of the batch alone.
    gathered_inputs: u32,
    gathered_targets: u32,
    // Slope, α or ω₀ of the activation.
    activation_parameter: f32,
    // As in loss.wgsl.
    outputs: u32,
    parameter: f32,
    target_width: u32,
    layer: array<FusedLayer, MAX_LAYERS>,
}

@group(0) @binding(1) var<uniform> shape: FusedShape;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read> target_values: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> kept: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> partials: array<f32>;
@group(0) @binding(8) var<storage, read_write> metrics: array<vec4<f32>>;

// Invocations: as many as every device allows.
const LANES = 128u;
// Quads of columns; an invocation owns four columns of PANELS quads of the tile's rows.
override COLUMN_QUADS: u32;
// Workgroups at most, each with a place in the metrics of a step's part.
override GROUPS: u32;
