// activation_backward:  dZ = dY ⊙ dropout'a'(kept), in place
//
//   kept      [batch, columns]  what the stage kept for its derivative
//   gradient_input  [batch, columns]  dY before, dZ after; every element of the batch's rows is written
//
// Runs behind the net's last layer and behind stages without a formula of their own, where nothing
// follows that could do it on the way.
// One invocation computes four neighbours.
//
// Host record and CPU twin: src/ops/activation.rs

struct ActivationShape {
    columns: u32,
}

@group(0) @binding(1) var<uniform> shape: ActivationShape;
@group(0) @binding(3) var<storage, read> kept: array<Kept>;
@group(0) @binding(4) var<storage, read_write> gradient_input: array<GradientInput>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let column = 4u * id.x;
    let row = batch_group(id.y, id.z, groups.y);
    if column < shape.columns && row < step.batch {
        // Behind the last column any gradient will do.
        let start = row * shape.columns;
        let last = shape.columns - 1u;
        let dy = vec4<f32>(
            f32(gradient_input[start + column]),
            f32(gradient_input[start + min(column + 1u, last)]),
            f32(gradient_input[start + min(column + 2u, last)]),
            f32(gradient_input[start + min(column + 3u, last)]),
        );
        write_gradient_run(row, column, shape.columns, dy);
    }
}
