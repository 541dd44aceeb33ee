// norm_backward_rows:  Σ_k γ·dZ and Σ_k γ·dZ·x̂ of each row of a layer norm
//
//   input            X   [batch, columns]
//   statistics           [batch, 3]        of norm_statistics; x̂ as in norm_value.wgsl
//   weight           γ   [columns]         not read if the norm isn't AFFINE: γ = 1
//   gradient_output  dZ  [batch, columns]
//   sums                 [batch, 2]        every row of the batch is written
//
// A workgroup computes LANES rows, each summed in a fixed order.
//
// Host record and CPU twin: src/ops/norm.rs

@group(0) @binding(2) var<storage, read> input: array<Input>;
@group(0) @binding(3) var<storage, read> statistics: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> gradient_output: array<GradientOutput>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(LANES * LANES)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = group_and_lane(index, true);
    let row = batch_group(block.x, block.z, blocks.x) * LANES + at.x;
    let columns = select(0u, shape.columns, row < step.batch);
    var sum = 0.0;
    var product = 0.0;
    for (var column = at.y; column < columns; column += LANES) {
        let i = row * shape.columns + column;
        var g = f32(gradient_output[i]);
        if AFFINE { g *= weight[column]; }
        sum += g;
        product += g * normalised(f32(input[i]), select(column, row, PER_ROW));
    }
    sum = sum_of_lanes(at, sum);
    product = sum_of_lanes(at, product);
    if row < step.batch && at.y == 0u {
        sums[2u * row] = sum;
        sums[2u * row + 1u] = product;
    }
}
