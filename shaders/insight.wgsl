// insight:  what the step just done did to each parameter tensor
//
//   tensors     [tensors]        (first element, elements, parameter group, 0)
//   gradients   g  [arena]       before clipping and decay
//   parameters  w  [arena]       after the step
//   measured       [arena]       (d, denominator) of the optimizer: w ← keep·w − η·d
//   result         [tensors, 8 + 2·BINS]
//       five sums as f32 bits: w₀², g², (w − w₀)², s, c;  three unused words;
//       a histogram of s, and one of c where the rule has a denominator and decay is L2
//
//   w₀ = (w + η d)/keep            the weight before the step
//   s  = |d|·correction            the effective step: |m̂|/(√v̂ + ε) for Adam
//   c  = η·l2/denominator          by how much decay as part of the gradient shrinks the weight
//
// One workgroup measures one tensor. Counts are integers, so their atomic order doesn't matter;
// floating-point sums are a tree.
//
// Host record and CPU twin: src/ops/insight.rs

@group(0) @binding(2) var<storage, read> tensors: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> gradients: array<f32>;
@group(0) @binding(4) var<storage, read> parameters: array<f32>;
@group(0) @binding(5) var<storage, read> measured: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> result: array<u32>;

const BINS = 512u;
const BINS_PER_OCTAVE = 16.0;
const LOWEST = -24.0;

var<workgroup> steps: array<atomic<u32>, BINS>;
var<workgroup> decays: array<atomic<u32>, BINS>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var bin = lane; bin < BINS; bin += WORKGROUP) {
        atomicStore(&steps[bin], 0u);
        atomicStore(&decays[bin], 0u);
    }
    workgroupBarrier();

    let tensor = tensors[block.x];
    let scalars = step.groups[tensor.z];
    var sums = array<f32, 5>();
    for (var k = lane; k < tensor.y; k += WORKGROUP) {
        let i = tensor.x + k;
        let d = measured[i];
        let moved = scalars.x * d.x;
        // A keep of 0 leaves no trace of the weight.
        let before = select((parameters[i] + moved) / scalars.z, 0.0, scalars.z == 0.0);
        let change = moved + (1.0 - scalars.z) * before;
        let s = abs(d.x) * scalars.w;
        sums[0] += before * before;
        sums[1] += gradients[i] * gradients[i];
        sums[2] += change * change;
        sums[3] += s;
        atomicAdd(&steps[bin_of(s)], 1u);
        if d.y > 0.0 && scalars.y > 0.0 {
            let c = scalars.x * scalars.y / d.y;
            sums[4] += c;
            atomicAdd(&decays[bin_of(c)], 1u);
        }
    }

    let start = block.x * (8u + 2u * BINS);
    for (var k = 0u; k < 8u; k++) {
        var sum = 0.0;
        if k < 5u { sum = sums[k]; }
        sum = sum_of_workgroup(lane, sum);
        if lane == 0u { result[start + k] = bitcast<u32>(sum); }
        // The next sum overwrites the lanes'.
        workgroupBarrier();
    }
    for (var bin = lane; bin < BINS; bin += WORKGROUP) {
        result[start + 8u + bin] = atomicLoad(&steps[bin]);
        result[start + 8u + BINS + bin] = atomicLoad(&decays[bin]);
    }
}

fn bin_of(x: f32) -> u32 {
    // Written so that NaN and what is too small to tell go to bin 0.
    if !(x > 1e-30) { return 0u; }
    let bin = floor((log2(x) - LOWEST) * BINS_PER_OCTAVE);
    return u32(clamp(bin, 0.0, f32(BINS - 1u)));
}
