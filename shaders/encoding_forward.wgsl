// encoding_forward:  Y[b, V·i + v] = dropout(a(value v of X[b, i]))
//
//   input   X  [batch, in]
//   output  Y  [batch, V·in]  every element of the batch's rows is written; behind Y what the derivative
//                             needs, see epilogue.wgsl
//
// V is shape.values. One invocation computes four neighbours of a row.
//
// Host record and CPU twin: src/ops/encoding.rs

@group(0) @binding(3) var<storage, read> input: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<Output>;

fn encoded(row: u32, column: u32) -> f32 {
    let x = input[row * shape.in_features + column / shape.values];
    return encode(x, column % shape.values);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = row_and_number(group, groups, lane);
    let row = at.x;
    let column = 4u * at.y;
    let columns = shape.in_features * shape.values;
    if row < step.batch && column < columns {
        // Behind the last column any value will do.
        let last = columns - 1u;
        let z = vec4<f32>(
            encoded(row, column),
            encoded(row, min(column + 1u, last)),
            encoded(row, min(column + 2u, last)),
            encoded(row, min(column + 3u, last)),
        );
        write_run(row, column, columns, z);
    }
}
