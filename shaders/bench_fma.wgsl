// bench_fma:  y ← a·y + b, rounds times, on numbers that stay in registers
//
//   output  [invocations] vec4: the sum of an invocation's chains, so that none can be left out
//
// Eight independent chains of four lanes an invocation hide the latency of the unit; a round is four
// multiply-adds of each, 256 FLOPs, so that counting rounds costs little beside them. a and b come from
// outside, so that nothing can be known beforehand.
//
// Host record and twin: src/bench/gpu_peak.rs

struct FmaShape {
    rounds: u32,
    a: f32,
    b: f32,
}

@group(0) @binding(0) var<uniform> shape: FmaShape;
@group(0) @binding(1) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let a = vec4(shape.a);
    let b = vec4(shape.b);
    let lanes = vec4(0.0, 0.25, 0.5, 0.75);
    var y0 = lanes;
    var y1 = lanes + 1.0;
    var y2 = lanes + 2.0;
    var y3 = lanes + 3.0;
    var y4 = lanes + 4.0;
    var y5 = lanes + 5.0;
    var y6 = lanes + 6.0;
    var y7 = lanes + 7.0;
    for (var round = 0u; round < shape.rounds; round++) {
        for (var i = 0u; i < 4u; i++) {
            y0 = fma(a, y0, b);
            y1 = fma(a, y1, b);
            y2 = fma(a, y2, b);
            y3 = fma(a, y3, b);
            y4 = fma(a, y4, b);
            y5 = fma(a, y5, b);
            y6 = fma(a, y6, b);
            y7 = fma(a, y7, b);
        }
    }
    output[id.x] = ((y0 + y1) + (y2 + y3)) + ((y4 + y5) + (y6 + y7));
}
