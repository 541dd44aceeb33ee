// loss: what the loss kernels bind, and what they report of a row. Host mirror: src/ops/loss.rs

struct LossShape {
    outputs: u32,
    // The loss's δ or ε.
    parameter: f32,
    // Columns of the targets, without the row's weight.
    target_width: u32,
}

@group(0) @binding(1) var<uniform> shape: LossShape;
@group(0) @binding(2) var<storage, read> prediction: array<f32>;
@group(0) @binding(3) var<storage, read> target_values: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> row_metrics: array<vec4<f32>>;

// First target of a row.
fn target_start(row: u32) -> u32 {
    return row * (shape.target_width + step.weighted);
}

// What the data set lets a row count.
fn sample_weight(row: u32) -> f32 {
    if step.weighted == 0u { return 1.0; }
    return target_values[target_start(row) + shape.target_width];
}

// (loss, weight, score, 1 if the loss isn't finite)
fn row_report(loss: f32, weight: f32, score: f32) -> vec4<f32> {
    // By bits: a compiler that assumes finite numbers may fold away a comparison with itself.
    let not_finite = (bitcast<u32>(loss) & 0x7F800000u) == 0x7F800000u;
    return vec4<f32>(loss, weight, score, select(0.0, 1.0, not_finite));
}

