// matmul_direct: the loop of a product without workgroup memory, for adapters to which that is no
// nearer than any other: software, and small ones. See matmul.wgsl for what the kernel says.
//
// A workgroup owns 8·STRIPS rows of C, and each of its invocations 4·QUADS columns of them in
// registers. For four k at a time an invocation loads its own columns of B; A is the same for all
// invocations, and comes from lanes_broadcast.wgsl or lanes_alone.wgsl in runs of four:
//
//   runs(strip, row, k, end, lane)  the 32 elements of A in rows row to row + 7, k to k + 3

override WORKGROUP: u32;

fn multiply(block: vec3<u32>, local: u32, lane: u32) {
    let row0 = block.y * 8u * STRIPS;
    let column0 = (block.x * WORKGROUP + local) * 4u * QUADS;
    find_rows(row0, lane, block.x == 0u && local < 8u);

    let range = depths(block.z);
    var sums: array<vec4<f32>, 8u * STRIPS * QUADS>;
    for (var k = range.x; k < range.y; k += 4u) {
        var b: array<mat4x4<f32>, QUADS>;
        for (var q = 0u; q < QUADS; q++) { b[q] = right_block(k, column0 + 4u * q, range.y); }
        for (var strip = 0u; strip < STRIPS; strip++) {
            var a = runs(strip, row0 + 8u * strip, k, range.y, lane);
            for (var i = 0u; i < 8u; i++) {
                for (var q = 0u; q < QUADS; q++) {
                    if LEFT_BY_DEPTH {
                        // Run i: four k of row i.
                        sums[(8u * strip + i) * QUADS + q] += b[q] * a[i];
                    } else {
                        // Run i: four rows at k + i/2.
                        let first = (8u * strip + 4u * (i & 1u)) * QUADS + q;
                        let vector = b[q][i >> 1u];
                        sums[first] += a[i].x * vector;
                        sums[first + QUADS] += a[i].y * vector;
                        sums[first + 2u * QUADS] += a[i].z * vector;
                        sums[first + 3u * QUADS] += a[i].w * vector;
                    }
                }
            }
        }
    }

    for (var r = 0u; r < 8u * STRIPS; r++) {
        for (var q = 0u; q < QUADS; q++) {
            store_inside(row0 + r, column0 + 4u * q, block.z, sums[r * QUADS + q]);
        }
    }
}

// Run i of eight rows from `row` on, for k to k + 3: row i where A lies by depth, else rows
// 4·(i mod 2) to + 3 at k + i/2. `memory_row` is where row i lies.
fn strip_run(i: u32, memory_row: u32, row: u32, k: u32, end: u32) -> vec4<f32> {
    if LEFT_BY_DEPTH { return left_run(memory_row, k); }
    let at = k + (i >> 1u);
    let first = row + 4u * (i & 1u);
    if at >= end || first >= rows() { return vec4<f32>(); }
    return left_run(first, at);
}

