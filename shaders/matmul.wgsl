// matmul: C = A·B, the loop that the three products of a linear layer share.
//
// The kernel behind this text says what the matrices are:
//
//   depth()                    columns of A and rows of B
//   left_at(row, k)            A, 0 beyond its edges
//   right_at(k, column)        B, 0 beyond its edges
//   store(row, column, sum)    takes an element of C; called beyond the edges too
//   LEFT_BY_DEPTH              whether A lies in memory with k running fastest; else rows do
//   RIGHT_BY_DEPTH             the same for B; else columns do
//
// A workgroup of SIDE×SIDE invocations owns 4·SIDE × 4·SIDE elements of C, each invocation 4×4 of
// them in registers. It walks k through workgroup memory, DEPTH at a time: rows of A and columns of
// B four to a vector, so that one k costs an invocation two loads and sixteen multiply-adds. Every
// element is summed in the order of k.

override SIDE: u32;
override DEPTH: u32;

// [k][quad of rows] and [k][quad of columns]
var<workgroup> left_tile: array<vec4<f32>, DEPTH * SIDE>;
var<workgroup> right_tile: array<vec4<f32>, DEPTH * SIDE>;

@compute @workgroup_size(SIDE, SIDE)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row0 = block.y * 4u * SIDE;
    let column0 = block.x * 4u * SIDE;

    // Row i of the invocation's 4×4 elements.
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var k0 = 0u; k0 < depth(); k0 += DEPTH) {
        for (var cell = lane; cell < DEPTH * SIDE; cell += SIDE * SIDE) {
            // Neighbouring invocations read neighbouring memory.
            let l = vec2<u32>(cell % DEPTH, cell / DEPTH);
            let r = vec2<u32>(cell / SIDE, cell % SIDE);
            let left = select(r, l, LEFT_BY_DEPTH);
            let right = select(r, l, RIGHT_BY_DEPTH);
            left_tile[left.x * SIDE + left.y] = left_quad(row0 + 4u * left.y, k0 + left.x);
            right_tile[right.x * SIDE + right.y] = right_quad(k0 + right.x, column0 + 4u * right.y);
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let a = left_tile[k * SIDE + local.y];
            let b = right_tile[k * SIDE + local.x];
            sum0 += a.x * b;
            sum1 += a.y * b;
            sum2 += a.z * b;
            sum3 += a.w * b;
        }
        workgroupBarrier();
    }

    let row = row0 + 4u * local.y;
    let column = column0 + 4u * local.x;
    store_quad(row, column, sum0);
    store_quad(row + 1u, column, sum1);
    store_quad(row + 2u, column, sum2);
    store_quad(row + 3u, column, sum3);
}

fn left_quad(row: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(left_at(row, k), left_at(row + 1u, k), left_at(row + 2u, k), left_at(row + 3u, k));
}

fn right_quad(k: u32, column: u32) -> vec4<f32> {
    return vec4<f32>(
        right_at(k, column),
        right_at(k, column + 1u),
        right_at(k, column + 2u),
        right_at(k, column + 3u),
    );
}

fn store_quad(row: u32, column: u32, sums: vec4<f32>) {
    store(row, column, sums.x);
    store(row, column + 1u, sums.y);
    store(row, column + 2u, sums.z);
    store(row, column + 3u, sums.w);
}

