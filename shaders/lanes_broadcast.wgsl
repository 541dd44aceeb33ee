// lanes_broadcast: eight lanes of a subgroup load a run of A each, and every lane gets all of them.
// For subgroups of eight or more, any size.

var<private> memory_rows: array<u32, STRIPS>;

// A loop that isn't unrolled, for the sake of a software adapter's compiler. Strips without rows keep 0.
fn find_rows(row0: u32, lane: u32, publish: bool) {
    let strips = min(STRIPS, (rows() - min(row0, rows()) + 7u) / 8u);
    for (var strip = 0u; strip < strips; strip++) {
        memory_rows[strip] = left_row(row0 + 8u * strip + lane, publish);
    }
}

fn runs(strip: u32, row: u32, k: u32, end: u32, lane: u32) -> array<vec4<f32>, 8> {
    let own = strip_run(lane, memory_rows[strip], row, k, end);
    return array<vec4<f32>, 8>(
        subgroupBroadcast(own, 0u),
        subgroupBroadcast(own, 1u),
        subgroupBroadcast(own, 2u),
        subgroupBroadcast(own, 3u),
        subgroupBroadcast(own, 4u),
        subgroupBroadcast(own, 5u),
        subgroupBroadcast(own, 6u),
        subgroupBroadcast(own, 7u),
    );
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    multiply(block, blocks, local, lane & 7u);
}

