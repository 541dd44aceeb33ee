// norm_forward:  Z = γ·x̂ + β,  Y = dropout(a(Z))
//
//   input       X  [batch, columns]
//   statistics     [groups, 3]       of norm_statistics; x̂ as in norm_value.wgsl
//   weight      γ  [columns]         not read if the norm isn't AFFINE: γ = 1
//   bias        β  [columns]         likewise, β = 0
//   output      Y  [batch, columns]  every element of the batch's rows is written; behind Y what the
//                                    derivative needs, see epilogue.wgsl
//
// One invocation computes one element.
//
// Host record and CPU twin: src/ops/norm.rs

@group(0) @binding(3) var<storage, read> input: array<f32>;
@group(0) @binding(4) var<storage, read> statistics: array<f32>;
@group(0) @binding(5) var<storage, read> weight: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> output: array<f32>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < shape.columns && id.y < step.batch {
        let index = id.y * shape.columns + id.x;
        var z = normalised(input[index], select(id.x, id.y, PER_ROW));
        if AFFINE { z = weight[id.x] * z + bias[id.x]; }
        write_output(index, id.y, id.x, z);
    }
}
