// gradient_sum:  g = Σ_s partial_s
//
//   partials   [slices][stride]  sums over parts of the batch
//   gradients  [len]             every element is written
//
// LANES invocations share the slices of four elements: each sums every so many in their order, then the
// lanes' sums are added as a tree.
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

// Quads of elements of a workgroup.
override QUADS: u32;
override LANES: u32;
// QUADS · LANES
override WORKGROUP: u32;

var<workgroup> lane_sums: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let i = (group.y * groups.x + group.x) * QUADS + index % QUADS;
    let lane = index / QUADS;
    var sum = vec4<f32>();
    if i < shape.len {
        for (var slice = lane; slice < shape.slices; slice += LANES) {
            sum += partials[slice * shape.stride + i];
        }
    }
    lane_sums[index] = sum;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        if lane < width { lane_sums[index] += lane_sums[index + width * QUADS]; }
        workgroupBarrier();
    }
    if lane == 0u && i < shape.len { gradients[i] = lane_sums[index]; }
}
