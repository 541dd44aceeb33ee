// lanes: sums over a workgroup of LANES groups × LANES lanes, in a fixed order.
//
// Neighbouring invocations read neighbouring memory: they are lanes of one group where a group's
// elements lie side by side, else neighbouring groups.

override LANES: u32;

var<workgroup> lane_sums: array<f32, LANES * LANES>;

// (group of the workgroup, lane) of an invocation.
fn group_and_lane(index: u32, side_by_side: bool) -> vec2<u32> {
    let pair = vec2<u32>(index / LANES, index % LANES);
    return select(pair.yx, pair, side_by_side);
}

// Σ over the lanes of a group, as a tree. Every invocation must call it.
fn sum_of_lanes(at: vec2<u32>, value: f32) -> f32 {
    let cell = at.x * LANES + at.y;
    lane_sums[cell] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        if at.y < width { lane_sums[cell] += lane_sums[cell + width]; }
        workgroupBarrier();
    }
    let sum = lane_sums[at.x * LANES];
    // The next sum may overwrite it.
    workgroupBarrier();
    return sum;
}

