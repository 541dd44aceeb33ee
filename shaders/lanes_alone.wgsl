// lanes_alone: every invocation loads all it needs of A, on devices without subgroups.

var<private> memory_rows: array<u32, 8u * STRIPS>;

// A loop that isn't unrolled, for the sake of a software adapter's compiler. What lies behind the last
// row keeps 0.
fn find_rows(row0: u32, lane: u32, publish: bool) {
    for (var r = 0u; r < min(8u * STRIPS, rows() - min(row0, rows())); r++) {
        memory_rows[r] = left_row(row0 + r, publish && lane == 0u);
    }
}

fn runs(strip: u32, row: u32, k: u32, end: u32, lane: u32) -> array<vec4<f32>, 8> {
    var found: array<vec4<f32>, 8>;
    for (var i = 0u; i < 8u; i++) {
        found[i] = strip_run(i, memory_rows[8u * strip + i], row, k, end);
    }
    return found;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    multiply(block, blocks, local, local);
}

