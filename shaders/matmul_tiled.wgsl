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
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quads = PANELS * SIDE;
    let stride = quads + 1u;
    let row0 = block.y * 4u * quads;
    let column0 = block.x * 4u * quads;
    if LEFT_BY_DEPTH {
        for (var r = lane; r < 4u * quads; r += SIDE * SIDE) {
            memory_rows[r] = left_row(row0 + r, block.x == 0u);
        }
        workgroupBarrier();
    }

    let range = depths(block.z);
    var sums: array<vec4<f32>, 4u * PANELS * PANELS>;
    for (var k0 = range.x; k0 < range.y; k0 += DEPTH) {
        for (var cell = lane; cell < DEPTH * quads; cell += SIDE * SIDE) {
            load_left(cell, quads, stride, row0, k0, range.y);
            load_right(cell, quads, stride, column0, k0, range.y);
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

// Neighbouring invocations load neighbouring memory: along k where the matrix lies by depth, else
// across it.
fn load_left(cell: u32, quads: u32, stride: u32, row0: u32, k0: u32, end: u32) {
    if LEFT_BY_DEPTH {
        let row = cell / (DEPTH / 4u);
        let k = 4u * (cell % (DEPTH / 4u));
        var run = vec4<f32>();
        if k0 + k < end { run = left_run(memory_rows[row], k0 + k); }
        let at = k * stride + row / 4u;
        left_tile[at][row % 4u] = run.x;
        left_tile[at + stride][row % 4u] = run.y;
        left_tile[at + 2u * stride][row % 4u] = run.z;
        left_tile[at + 3u * stride][row % 4u] = run.w;
    } else {
        let k = cell / quads;
        let row = row0 + 4u * (cell % quads);
        var run = vec4<f32>();
        if k0 + k < end && row < rows() { run = left_run(row, k0 + k); }
        left_tile[k * stride + cell % quads] = run;
    }
}

fn load_right(cell: u32, quads: u32, stride: u32, column0: u32, k0: u32, end: u32) {
    if RIGHT_BY_DEPTH {
        let column = cell / (DEPTH / 4u);
        let k = 4u * (cell % (DEPTH / 4u));
        var run = vec4<f32>();
        if k0 + k < end { run = right_run(k0 + k, min(column0 + column, columns() - 1u)); }
        let at = k * stride + column / 4u;
        right_tile[at][column % 4u] = run.x;
        right_tile[at + stride][column % 4u] = run.y;
        right_tile[at + 2u * stride][column % 4u] = run.z;
        right_tile[at + 3u * stride][column % 4u] = run.w;
    } else {
        let k = cell / quads;
        right_tile[k * stride + cell % quads] =
            right_vector(k0 + k, column0 + 4u * (cell % quads), end);
    }
}

