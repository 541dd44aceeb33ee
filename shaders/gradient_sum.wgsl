// gradient_sum:  g = Σ_s partial_s
//
//   partials   [slices][stride]  sums over parts of the batch
//   gradients  [len]             every element is written
//
// One invocation sums four elements, in the order of the slices.
//
// Host record and CPU twin: src/ops/gradient_sum.rs

struct SliceShape {
    slices: u32,
    // In vectors of four elements.
    stride: u32,
    len: u32,
}

@group(0) @binding(1) var<uniform> shape: SliceShape;
@group(0) @binding(2) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4<f32>>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = id.y * groups.x * WORKGROUP + id.x;
    if i < shape.len {
        var sum = partials[i];
        for (var slice = 1u; slice < shape.slices; slice++) {
            sum += partials[slice * shape.stride + i];
        }
        gradients[i] = sum;
    }
}
