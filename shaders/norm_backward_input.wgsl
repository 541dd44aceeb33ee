// norm_backward_input:  dX = (γ·dZ − (s + x̂·t)/n)/√(σ² + ε) ⊙ dropout'a'(kept)
//
//   input            X   [batch, columns]
//   statistics           [groups, 3]       of norm_statistics; x̂ as in norm_value.wgsl
//   sums                 [groups, 2]       s = Σ γ·dZ and t = Σ γ·dZ·x̂ over the group's n elements;
//                                          of a batch norm, whose groups have one γ, without it
//   weight           γ   [columns]         not read if the norm isn't AFFINE: γ = 1
//   gradient_output  dZ  [batch, columns]
//   kept                 [batch, columns]  what the stage that made X kept for its derivative
//   gradient_input   dX  [batch, columns]  gradient of that stage's Z; every element of the batch's
//                                          rows is written
//
// One invocation computes four neighbours.
//
// Host record and CPU twin: src/ops/norm.rs

@group(0) @binding(3) var<storage, read> input: array<Input>;
@group(0) @binding(4) var<storage, read> statistics: array<f32>;
@group(0) @binding(5) var<storage, read> sums: array<f32>;
@group(0) @binding(6) var<storage, read> weight: array<f32>;
@group(0) @binding(7) var<storage, read> gradient_output: array<GradientOutput>;
@group(0) @binding(8) var<storage, read> kept: array<Kept>;
@group(0) @binding(9) var<storage, read_write> gradient_input: array<GradientInput>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>,
) {
    let column = 4u * id.x;
    let row = batch_group(id.y, id.z, blocks.y);
    if column < shape.columns && row < step.batch {
        let dx = vec4<f32>(
            dx_of(row, column),
            dx_of(row, column + 1u),
            dx_of(row, column + 2u),
            dx_of(row, column + 3u),
        );
        write_gradient_run(row, column, shape.columns, dx);
    }
}

// dL/dX; behind the last column that of any.
fn dx_of(row: u32, at: u32) -> f32 {
    let column = min(at, shape.columns - 1u);
    let index = row * shape.columns + column;
    let group = select(column, row, PER_ROW);
    var gamma = 1.0;
    if AFFINE { gamma = weight[column]; }
    let outside = select(gamma, 1.0, PER_ROW);
    let x = normalised(f32(input[index]), group);
    let mean = (sums[2u * group] + x * sums[2u * group + 1u]) / f32(group_len());
    return (gamma * f32(gradient_output[index]) - outside * mean) * statistics[3u * group + 2u];
}
