// activation_forward:  Y = dropout(a(X))
//
//   input   X  [batch, columns]
//   output  Y  [batch, columns]  every element of the batch's rows is written; behind Y what the
//                                derivative needs, see epilogue.wgsl
//
// For activations and dropout that stand behind no layer which could apply them on the way. One
// invocation computes four neighbours.
//
// Host record and CPU twin: src/ops/activation.rs

struct ActivationShape {
    columns: u32,
}

@group(0) @binding(1) var<uniform> shape: ActivationShape;
@group(0) @binding(3) var<storage, read> input: array<Input>;
@group(0) @binding(4) var<storage, read_write> output: array<Output>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let column = 4u * id.x;
    let row = batch_group(id.y, id.z, groups.y);
    if column < shape.columns && row < step.batch {
        // Behind the last column any input will do.
        let start = row * shape.columns;
        let last = shape.columns - 1u;
        let x = vec4<f32>(
            f32(input[start + column]),
            f32(input[start + min(column + 1u, last)]),
            f32(input[start + min(column + 2u, last)]),
            f32(input[start + min(column + 3u, last)]),
        );
        write_run(row, column, shape.columns, x);
    }
}
