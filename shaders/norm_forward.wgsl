// norm_forward:  Z = γ·x̂ + β,  Y = dropout(a(Z))
//
//   input       X  [batch, columns]
//   statistics     [groups, 3]       of norm_statistics; x̂ as in norm_value.wgsl
//   weight      γ  [columns]         not read if the norm isn't AFFINE: γ = 1
//   bias        β  [columns]         likewise, β = 0
//   output      Y  [batch, columns]  every element of the batch's rows is written; behind Y what the
//                                    derivative needs, see epilogue.wgsl
//
// One invocation computes four neighbours.
//
// Host record and CPU twin: src/ops/norm.rs

@group(0) @binding(3) var<storage, read> input: array<Input>;
@group(0) @binding(4) var<storage, read> statistics: array<f32>;
@group(0) @binding(5) var<storage, read> weight: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> output: array<Output>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>,
) {
    let column = 4u * id.x;
    let row = batch_group(id.y, id.z, blocks.y);
    if column < shape.columns && row < step.batch {
        let z = vec4<f32>(
            z_of(row, column),
            z_of(row, column + 1u),
            z_of(row, column + 2u),
            z_of(row, column + 3u),
        );
        write_run(row, column, shape.columns, z);
    }
}

// z; behind the last column that of any.
fn z_of(row: u32, at: u32) -> f32 {
    let column = min(at, shape.columns - 1u);
    let x = normalised(f32(input[row * shape.columns + column]), select(column, row, PER_ROW));
    if !AFFINE { return x; }
    return weight[column] * x + bias[column];
}
