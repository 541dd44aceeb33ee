// encoding_backward:  dX[b, i] = Σᵥ dZ[b, V·i + v] · d(value v of X[b, i])/dX[b, i]
//
//   gradient_output  dZ  [batch, V·in]
//   input            X   [batch, in]
//   gradient_input   dX  [batch, in]    every element of the batch's rows is written
//
// V is shape.values. One invocation sums the values of an input, in their order.
//
// Host record and CPU twin: src/ops/encoding.rs

@group(0) @binding(2) var<storage, read> gradient_output: array<GradientOutput>;
@group(0) @binding(3) var<storage, read> input: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient_input: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = row_and_number(group, groups, lane);
    if at.x < step.batch && at.y < shape.in_features {
        let element = at.x * shape.in_features + at.y;
        let x = input[element];
        var sum = 0.0;
        for (var value = 0u; value < shape.values; value++) {
            sum += f32(gradient_output[element * shape.values + value]) * encode_derivative(x, value);
        }
        gradient_input[element] = sum;
    }
}
