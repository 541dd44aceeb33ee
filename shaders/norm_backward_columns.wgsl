// norm_backward_columns:  Σ_b dZ and Σ_b dZ·x̂ of each column
//
//   input            X   [batch, columns]
//   statistics           [groups, 3]       of norm_statistics; x̂ as in norm_value.wgsl
//   gradient_output  dZ  [batch, columns]
//   sums                 [columns, 2]      both sums, for batch norms; layer norms leave it alone
//   gradient_weight  dγ  [columns]         Σ dZ·x̂, or added to if the step says so; if AFFINE
//   gradient_bias    dβ  [columns]         Σ dZ, likewise
//   scaling                                what dZ and the sums are scaled with, dγ and dβ not
//
// A workgroup computes LANES columns, each summed in a fixed order.
//
// Host record and CPU twin: src/ops/norm.rs

@group(0) @binding(2) var<storage, read> input: array<Input>;
@group(0) @binding(3) var<storage, read> statistics: array<f32>;
@group(0) @binding(4) var<storage, read> gradient_output: array<GradientOutput>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;
@group(0) @binding(6) var<storage, read_write> gradient_weight: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradient_bias: array<f32>;
@group(0) @binding(8) var<storage, read> scaling: Scaling;

@compute @workgroup_size(LANES * LANES)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = group_and_lane(index, false);
    let column = block.x * LANES + at.x;
    let rows = select(0u, step.batch, column < shape.columns);
    var sum = 0.0;
    var product = 0.0;
    for (var row = at.y; row < rows; row += LANES) {
        let i = row * shape.columns + column;
        let g = f32(gradient_output[i]);
        sum += g;
        product += g * normalised(f32(input[i]), select(column, row, PER_ROW));
    }
    sum = sum_of_lanes(at, sum);
    product = sum_of_lanes(at, product);
    if column < shape.columns && at.y == 0u {
        if !PER_ROW {
            sums[2u * column] = sum;
            sums[2u * column + 1u] = product;
        }
        if AFFINE {
            let add = step.accumulate != 0u;
            gradient_weight[column] =
                product * scaling.inverse + select(0.0, gradient_weight[column], add);
            gradient_bias[column] = sum * scaling.inverse + select(0.0, gradient_bias[column], add);
        }
    }
}
