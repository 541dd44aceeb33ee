// bench_copy:  Y = X
//
//   input   X  [invocations] vec4
//   output  Y  [invocations] vec4, every element is written
//
// One invocation copies 16 bytes.
//
// Host record: src/bench/gpu_peak.rs

@group(0) @binding(0) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    output[id.x] = input[id.x];
}
