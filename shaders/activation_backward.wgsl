// activation_backward:  dZ = dY ⊙ dropout'a'(kept), in place
//
//   kept      [batch, columns]  what the stage kept for its derivative
//   gradient  [batch, columns]  dY before, dZ after; every element of the batch's rows is written
//
// Runs behind the net's last layer and behind stages without a formula of their own, where nothing
// follows that could do it on the way.
// One invocation computes one element.
//
// Host record and CPU twin: src/ops/activation.rs

struct ActivationShape {
    columns: u32,
}

@group(0) @binding(1) var<uniform> shape: ActivationShape;
@group(0) @binding(3) var<storage, read> kept: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < shape.columns && id.y < step.batch {
        let index = id.y * shape.columns + id.x;
        gradient[index] *= epilogue_derivative(kept[index], id.y, id.x);
    }
}
