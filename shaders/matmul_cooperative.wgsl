// matmul_cooperative: the loop of a product whose squares a subgroup multiplies as one, in the units that
// GPUs have for it. See matmul.wgsl for what the kernel says.
//
// Behind fragments_8.wgsl or fragments_16.wgsl. A workgroup of 2×2 subgroups owns a square of C, 4·SIZE
// elements along each edge; a subgroup 2×2 fragments of SIZE×SIZE. They walk k through workgroup memory,
// SIZE at a time. At the end each fragment passes through workgroup memory too, where its rows become
// runs again.

// Lanes of a subgroup: all are full and of that size.
override SUBGROUP: u32;

const BLOCK = 4u * SIZE;
const FRAGMENT = SIZE * SIZE;

// [row][k]
var<workgroup> left_tile: array<Factor, BLOCK * SIZE>;
// [k][column]
var<workgroup> right_tile: array<Factor, SIZE * BLOCK>;
// A fragment of C for each subgroup.
var<workgroup> staged: array<f32, 4u * FRAGMENT>;
// Where the tile's rows of A lie.
var<workgroup> memory_rows: array<u32, BLOCK>;

@compute @workgroup_size(4u * SUBGROUP)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row0 = row_block(block, blocks) * BLOCK;
    let column0 = block.x * BLOCK;
    if LEFT_BY_DEPTH {
        for (var r = lane; r < BLOCK; r += 4u * SUBGROUP) {
            memory_rows[r] = left_row(row0 + r, block.x == 0u);
        }
        workgroupBarrier();
    }

    let subgroup = lane / SUBGROUP;
    let own_row = 2u * SIZE * (subgroup / 2u);
    let own_column = 2u * SIZE * (subgroup % 2u);
    let range = depths(block.z);
    var sum00: Sum;
    var sum01: Sum;
    var sum10: Sum;
    var sum11: Sum;
    for (var k0 = range.x; k0 < range.y; k0 += SIZE) {
        for (var cell = lane; cell < FRAGMENT; cell += 4u * SUBGROUP) {
            load_left(cell, row0, k0, range.y);
            load_right(cell, column0, k0, range.y);
        }
        workgroupBarrier();
        let a0 = left_fragment(own_row * SIZE);
        let a1 = left_fragment((own_row + SIZE) * SIZE);
        let b0 = right_fragment(own_column);
        let b1 = right_fragment(own_column + SIZE);
        sum00 = multiply_add(a0, b0, sum00);
        sum01 = multiply_add(a0, b1, sum01);
        sum10 = multiply_add(a1, b0, sum10);
        sum11 = multiply_add(a1, b1, sum11);
        workgroupBarrier();
    }

    let own = subgroup * FRAGMENT;
    let row = row0 + own_row;
    let column = column0 + own_column;
    stage(sum00, own);
    store_staged(lane, own, row, column, block.z);
    stage(sum01, own);
    store_staged(lane, own, row, column + SIZE, block.z);
    stage(sum10, own);
    store_staged(lane, own, row + SIZE, column, block.z);
    stage(sum11, own);
    store_staged(lane, own, row + SIZE, column + SIZE, block.z);
}

// Stores a subgroup's staged fragment, whose first element is (row, column) of C. Every invocation must
// call it.
fn store_staged(lane: u32, own: u32, row: u32, column: u32, slice: u32) {
    workgroupBarrier();
    for (var cell = lane % SUBGROUP; cell < FRAGMENT / 4u; cell += SUBGROUP) {
        let place = vec2<u32>(cell / (SIZE / 4u), 4u * (cell % (SIZE / 4u)));
        let at = own + place.x * SIZE + place.y;
        let sums = vec4<f32>(staged[at], staged[at + 1u], staged[at + 2u], staged[at + 3u]);
        store_inside(row + place.x, column + place.y, slice, sums);
    }
    workgroupBarrier();
}

// A cell is four neighbours in memory: along k where the matrix lies by depth, else across it.

fn load_left(cell: u32, row0: u32, k0: u32, end: u32) {
    if LEFT_BY_DEPTH {
        let row = cell / (SIZE / 4u);
        let k = 4u * (cell % (SIZE / 4u));
        var run: vec4<f32>;
        if k0 + k < end { run = left_run(memory_rows[row], k0 + k); }
        for (var i = 0u; i < 4u; i++) { left_tile[row * SIZE + k + i] = Factor(run[i]); }
    } else {
        let k = cell / (BLOCK / 4u);
        let row = 4u * (cell % (BLOCK / 4u));
        var run: vec4<f32>;
        if k0 + k < end && row0 + row < rows() { run = left_run(row0 + row, k0 + k); }
        for (var i = 0u; i < 4u; i++) { left_tile[(row + i) * SIZE + k] = Factor(run[i]); }
    }
}

fn load_right(cell: u32, column0: u32, k0: u32, end: u32) {
    if RIGHT_BY_DEPTH {
        let column = cell / (SIZE / 4u);
        let k = 4u * (cell % (SIZE / 4u));
        var run: vec4<f32>;
        if k0 + k < end { run = right_run(k0 + k, min(column0 + column, columns() - 1u)); }
        for (var i = 0u; i < 4u; i++) { right_tile[(k + i) * BLOCK + column] = Factor(run[i]); }
    } else {
        let k = cell / (BLOCK / 4u);
        let column = 4u * (cell % (BLOCK / 4u));
        let run = right_vector(k0 + k, column0 + column, end);
        for (var i = 0u; i < 4u; i++) { right_tile[k * BLOCK + column + i] = Factor(run[i]); }
    }
}
