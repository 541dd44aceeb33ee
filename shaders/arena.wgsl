// arena: the trained part of the arenas and its parameter groups, and sums over a workgroup. Host
// mirror: src/ops/optimizer.rs

struct ArenaShape {
    // Where each parameter group ends, the default one first; groups that aren't there end at `len`.
    ends0: vec4<u32>,
    ends1: vec4<u32>,
    len: u32,
    // With the running statistics of batch norms after them, where the weights are averaged.
    averaged: u32,
}

@group(0) @binding(1) var<uniform> shape: ArenaShape;

override WORKGROUP: u32;

var<workgroup> lane_sums: array<f32, WORKGROUP>;

// Σ over the workgroup, as a tree. Every invocation must call it.
fn sum_of_workgroup(lane: u32, value: f32) -> f32 {
    lane_sums[lane] = value;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if lane < width { lane_sums[lane] += lane_sums[lane + width]; }
        workgroupBarrier();
    }
    return lane_sums[0];
}

