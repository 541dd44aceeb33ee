// matmul_tiled: the loop of a product through workgroup memory. See matmul.wgsl for what the kernel
// says.
//
// A workgroup of SIDE×SIDE invocations owns a square of C, 4·PANELS·SIDE elements along each edge;
// an invocation PANELS×PANELS blocks of 4×4 of them in registers. They walk k through workgroup
// memory, DEPTH at a time: rows of A and columns of B four to a vector, so that one k costs an
// invocation 2·PANELS loads and 16·PANELS² multiply-adds. A spare vector behind each k keeps what
// is written across k out of one bank.

override SIDE: u32;
override DEPTH: u32;

// [k][quad of rows] and [k][quad of columns]
var<workgroup> left_tile: array<vec4<f32>, DEPTH * (PANELS * SIDE + 1u)>;
var<workgroup> right_tile: array<vec4<f32>, DEPTH * (PANELS * SIDE + 1u)>;
// Where the tile's rows of A lie.
var<workgroup> memory_rows: array<u32, 4u * PANELS * SIDE>;

@compute @workgroup_size(SIDE, SIDE)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quads = PANELS * SIDE;
    let stride = quads + 1u;
    let row0 = row_block(block, blocks) * 4u * quads;
    let column0 = block.x * 4u * quads;
    if LEFT_BY_DEPTH {
        for (var r = lane; r < 4u * quads; r += SIDE * SIDE) {
            memory_rows[r] = left_row(row0 + r, block.x == 0u);
        }
        workgroupBarrier();
    }

    let range = depths(block.z);
    let cells = DEPTH / 4u * quads;
    var sums: array<vec4<f32>, 4u * PANELS * PANELS>;
    for (var k0 = range.x; k0 < range.y; k0 += DEPTH) {
        for (var cell = lane; cell < 2u * cells; cell += SIDE * SIDE) {
            if cell < cells {
                load_left(cell, quads, stride, row0, k0, range.y);
            } else {
                load_right(cell - cells, quads, stride, column0, k0, range.y);
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            var b: array<vec4<f32>, PANELS>;
            for (var q = 0u; q < PANELS; q++) {
                b[q] = right_tile[k * stride + local.x + q * SIDE];
            }
            for (var p = 0u; p < PANELS; p++) {
                let a = left_tile[k * stride + local.y + p * SIDE];
                for (var q = 0u; q < PANELS; q++) {
                    let first = 4u * (p * PANELS + q);
                    sums[first] += a.x * b[q];
                    sums[first + 1u] += a.y * b[q];
                    sums[first + 2u] += a.z * b[q];
                    sums[first + 3u] += a.w * b[q];
                }
            }
        }
        workgroupBarrier();
    }

    for (var p = 0u; p < PANELS; p++) {
        for (var q = 0u; q < PANELS; q++) {
            for (var i = 0u; i < 4u; i++) {
                let row = row0 + 4u * (local.y + p * SIDE) + i;
                let column = column0 + 4u * (local.x + q * SIDE);
                store_inside(row, column, block.z, sums[4u * (p * PANELS + q) + i]);
            }
        }
    }
}

// An invocation loads blocks of 4×4 and stores whole vectors: writing a component may write the vector
// that it is part of, and with it what other invocations have written there. Neighbouring invocations
// load neighbouring memory: along k where the matrix lies by depth, else across it.
fn load_left(cell: u32, quads: u32, stride: u32, row0: u32, k0: u32, end: u32) {
    let place = place_of(cell, quads, LEFT_BY_DEPTH);
    let k = k0 + 4u * place.x;
    var block: mat4x4<f32>;
    if LEFT_BY_DEPTH {
        if k < end {
            block = transpose(mat4x4<f32>(
                left_run(memory_rows[4u * place.y], k),
                left_run(memory_rows[4u * place.y + 1u], k),
                left_run(memory_rows[4u * place.y + 2u], k),
                left_run(memory_rows[4u * place.y + 3u], k),
            ));
        }
    } else {
        let row = row0 + 4u * place.y;
        block = mat4x4<f32>(
            left_vector(row, k, end),
            left_vector(row, k + 1u, end),
            left_vector(row, k + 2u, end),
            left_vector(row, k + 3u, end),
        );
    }
    let at = 4u * place.x * stride + place.y;
    for (var i = 0u; i < 4u; i++) { left_tile[at + i * stride] = block[i]; }
}

fn load_right(cell: u32, quads: u32, stride: u32, column0: u32, k0: u32, end: u32) {
    let place = place_of(cell, quads, RIGHT_BY_DEPTH);
    let k = k0 + 4u * place.x;
    var block: mat4x4<f32>;
    if k < end { block = right_block(k, column0 + 4u * place.y, end); }
    let at = 4u * place.x * stride + place.y;
    for (var i = 0u; i < 4u; i++) { right_tile[at + i * stride] = block[i]; }
}

// (quad of k, quad across) of a cell.
fn place_of(cell: u32, quads: u32, by_depth: bool) -> vec2<u32> {
    if by_depth { return vec2<u32>(cell % (DEPTH / 4u), cell / (DEPTH / 4u)); }
    return vec2<u32>(cell / quads, cell % quads);
}

// Four rows of A at k; 0 behind the last of either.
fn left_vector(row: u32, k: u32, end: u32) -> vec4<f32> {
    if k >= end || row >= rows() { return vec4<f32>(); }
    return left_run(row, k);
}
