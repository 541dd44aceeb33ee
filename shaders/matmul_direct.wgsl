// matmul_direct: the loop of a product without workgroup memory, for adapters to which that is no
// nearer than any other: software, and small ones. See matmul.wgsl for what the kernel says.
//
// Behind strips_1.wgsl or strips_2.wgsl. A workgroup owns 8·STRIPS rows of C, and each of its invocations four columns of them in registers:
// as many as a software adapter's compiler, whose time grows with more than the square, takes well. For four k at a time an invocation loads its own columns of B; A is the same for all
// invocations, and comes from lanes_broadcast.wgsl or lanes_alone.wgsl in runs of four:
//
//   runs(strip, row, k, end, lane)  the 32 elements of A in rows row to row + 7, k to k + 3

override WORKGROUP: u32;

fn multiply(block: vec3<u32>, blocks: vec3<u32>, local: u32, lane: u32) {
    let row0 = row_block(block, blocks) * 8u * STRIPS;
    let column0 = (block.x * WORKGROUP + local) * 4u;
    find_rows(row0, lane, block.x == 0u && local < 8u);

    let range = depths(block.z);
    var sums: array<vec4<f32>, 8u * STRIPS>;
    for (var k = range.x; k < range.y; k += 4u) {
        let b = right_block(k, column0, range.y);
        for (var strip = 0u; strip < STRIPS; strip++) {
            var a = by_depth(runs(strip, row0 + 8u * strip, k, range.y, lane));
            for (var i = 0u; i < 8u; i++) { sums[8u * strip + i] += b * a[i]; }
        }
    }

    // A loop that isn't unrolled: an epilogue for each row would take that compiler minutes.
    let last = min(8u * STRIPS, rows() - min(row0, rows()));
    for (var i = 0u; i < last; i++) { store_inside(row0 + i, column0, block.z, sums[i]); }
}

// Four k of each of eight rows, from runs that may be four rows at a k.
fn by_depth(r: array<vec4<f32>, 8>) -> array<vec4<f32>, 8> {
    if LEFT_BY_DEPTH { return r; }
    let even = transpose(mat4x4<f32>(r[0], r[2], r[4], r[6]));
    let odd = transpose(mat4x4<f32>(r[1], r[3], r[5], r[7]));
    return array<vec4<f32>, 8>(
        even[0], even[1], even[2], even[3], odd[0], odd[1], odd[2], odd[3],
    );
}

// Run i of eight rows from `row` on, for k to k + 3: row i where A lies by depth, else rows
// 4·(i mod 2) to + 3 at k + i/2. `memory_row` is where row i lies.
fn strip_run(i: u32, memory_row: u32, row: u32, k: u32, end: u32) -> vec4<f32> {
    if LEFT_BY_DEPTH { return left_run(memory_row, k); }
    // Behind the end a run from within is read, and dropped.
    let at = k + (i >> 1u);
    let first = row + 4u * (i & 1u);
    let run = left_run(min(first, 4u * ((rows() - 1u) / 4u)), min(at, end - 1u));
    return select(run, vec4<f32>(), at >= end || first >= rows());
}

