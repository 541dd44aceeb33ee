// loss: what the loss kernels bind, and what they report. Host mirror: src/ops/loss.rs

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
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read> weight: array<f32>;
@group(0) @binding(6) var<storage, read_write> gradient: array<Gradient>;
@group(0) @binding(7) var<storage, read_write> metrics: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> scaling: Scaling;

override WORKGROUP: u32;
// Workgroups at most, each with a place in the metrics of a step's part.
override GROUPS: u32;

var<workgroup> lane_sums: array<vec4<f32>, WORKGROUP>;

// The losses of a batch, row by row: every invocation takes every so many rows, then the sums of a
// workgroup are added as a tree and stored at the part's place. The host adds up the workgroups'.
@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var sum = vec4<f32>();
    let stride = groups.x * WORKGROUP;
    for (var row = group.x * WORKGROUP + lane; row < step.batch; row += stride) {
        sum += loss_of_row(row, rows[row] * (shape.target_width + step.weighted));
    }
    lane_sums[lane] = sum;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if lane < width { lane_sums[lane] += lane_sums[lane + width]; }
        workgroupBarrier();
    }
    if lane == 0u { metrics[step.slot * GROUPS + group.x] = lane_sums[0]; }
}

fn prediction_of(row: u32, output: u32) -> f32 {
    return prediction[row * shape.outputs + output];
}

fn set_gradient(row: u32, output: u32, slope: f32) {
    gradient[row * shape.outputs + output] = to_gradient(slope * scaling.scale);
}
