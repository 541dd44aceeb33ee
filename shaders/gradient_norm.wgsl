// gradient_norm:  partial sums of Σ g² over the gradient arena
//
//   gradients     g  [arena]
//   partial_sums     [WORKGROUP]  every element is written; the optimizer adds them up
//
// WORKGROUP workgroups of as many lanes. Each lane sums every WORKGROUP²-th element, then the lanes
// are summed as a tree: a fixed order. Padding is 0.
//
// Host record and CPU twin: src/ops/optimizer.rs

@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial_sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var sum = 0.0;
    for (var i = block.x * WORKGROUP + lane; i < shape.len; i += WORKGROUP * WORKGROUP) {
        sum += gradients[i] * gradients[i];
    }
    sum = sum_of_workgroup(lane, sum);
    if lane == 0u { partial_sums[block.x] = sum; }
}
