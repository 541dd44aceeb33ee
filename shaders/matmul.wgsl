// matmul: C = A·B, as the three products of a linear layer need it. The kernel says what the
// matrices are:
//
//   rows(), columns()           of C
//   depths(slice)               the columns of A, rows of B, that a slice of the work sums: from, to
//   SLICED                      whether z counts slices; else it goes on with the rows of C, which are the
//                               batch's
//   LEFT_BY_DEPTH               whether A lies in memory with k running fastest; else rows do
//   RIGHT_BY_DEPTH              the same for B; else columns do
//   left_row(row, publish)      where row of A is, if A lies by depth; one invocation of all that ask
//                               for a row may publish it
//   left_run(row, k)            four neighbours of A from (row, k) on, in the order of memory
//   right_run(k, column)        four neighbours of B from (k, column) on, likewise
//   store_run(row, column, slice, sums)  takes up to four neighbours of a row of C
//
// and one of matmul_tiled.wgsl, matmul_direct.wgsl and matmul_cooperative.wgsl is the loop. The first two
// take A and B in blocks of four by four, a vector for each k: blocks that lie by depth are transposed on
// the way, which costs nothing where vectors are registers. Runs are asked for inside the matrices only;
// what they lack of four is 0. Every element is summed in the order of k, but that matrix units sum a
// square's products as they do.

// The number of a workgroup along the rows of C.
fn row_block(block: vec3<u32>, blocks: vec3<u32>) -> u32 {
    if SLICED { return block.y; }
    return batch_group(block.y, block.z, blocks.y);
}

// Rows k to k + 3 of B in columns column to column + 3, as vectors over the columns; 0 behind the
// last k.
fn right_block(k: u32, column: u32, end: u32) -> mat4x4<f32> {
    if RIGHT_BY_DEPTH {
        let last = columns() - 1u;
        return transpose(mat4x4<f32>(
            right_run(k, min(column, last)),
            right_run(k, min(column + 1u, last)),
            right_run(k, min(column + 2u, last)),
            right_run(k, min(column + 3u, last)),
        ));
    }
    return mat4x4<f32>(
        right_vector(k, column, end),
        right_vector(k + 1u, column, end),
        right_vector(k + 2u, column, end),
        right_vector(k + 3u, column, end),
    );
}

fn right_vector(k: u32, column: u32, end: u32) -> vec4<f32> {
    // Behind the end a run from within is read, and dropped.
    let run = right_run(min(k, end - 1u), min(column, 4u * ((columns() - 1u) / 4u)));
    return select(run, vec4<f32>(), k >= end || column >= columns());
}

// Four neighbours of C from a column on that is a multiple of four; some may lie outside.
fn store_inside(row: u32, column: u32, slice: u32, sums: vec4<f32>) {
    if row < rows() && column < columns() { store_run(row, column, slice, sums); }
}

