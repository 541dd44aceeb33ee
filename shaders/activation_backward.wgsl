// activation_backward:  dZ = dY ⊙ a'(kept), in place
//
//   kept      [batch, columns]  what the activation kept: its Y or Z
//   gradient  [batch, columns]  dY before, dZ after; every element of the batch's rows is written
//
// Runs only behind the net's last layer, where no product follows that could do it on the way.
// One invocation computes one element.
//
// Host record and CPU twin: src/ops/activation.rs

struct ActivationShape {
    columns: u32,
    parameter: f32,
}

@group(0) @binding(1) var<uniform> shape: ActivationShape;
@group(0) @binding(2) var<storage, read> kept: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < shape.columns && id.y < step.batch {
        let index = id.y * shape.columns + id.x;
        gradient[index] *= activation_derivative(kept[index], shape.parameter);
    }
}
