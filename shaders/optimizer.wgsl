// optimizer:  one step of every parameter of the net
//
//   gradients     g  [arena]
//   parameters    w  [arena]      updated; those that are averaged but not trained are read
//   moment1…3        [arena]      updated; placeholders where the rule has none
//   averages      a  [arena]      updated if AVERAGED, else a placeholder
//   status                        partial sums of Σ g², read if CLIP is NORM or SKIPS; and of each slot
//                                 of the step ring what went wrong, raised here
//   measured         [arena]      written if MEASURED: (d, denominator), else a placeholder
//
//   g ← g·min(1, c/(‖g‖ + 1e-6))      CLIP = NORM;  VALUE: g cut to ±c
//   g ← g + l2·w                      weight decay as part of the gradient
//   w ← keep·w − η·d                  or decoupled from it, keep = 1 − ηλ
//   w stays, if SKIPS and Σ g² isn't finite
//   a ← a + q (w − a)                 whether w stays or not; q = (1 − d)/(1 − dᵗ)
//
//   SGD      d = g;  with MOMENTUM m ← μ m + g, d = m;  as VARIANT (Nesterov) d = g + μ m
//   ADAGRAD  v ← v + g²;  d = g/(√v + ε)
//   RMSPROP  v ← β₂v + (1−β₂)g²;  d = g/(√v + ε);  as VARIANT (centred) ḡ ← β₂ḡ + (1−β₂)g and
//            √(v − ḡ²);  with MOMENTUM m ← μ m + d, d = m
//   ADAM     m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  d = m/(√v/√(1−β₂ᵗ) + ε), η with 1/(1−β₁ᵗ);
//            as VARIANT (AMSGrad) with the largest v so far
//   NADAM    as ADAM with m + mix·g in place of m
//   LION     d = sgn(β₁m + (1−β₁)g);  m ← β₂m + (1−β₂)g
//
// η, l2 and keep are those of the element's parameter group. Padding between tensors is 0 and stays
// so. One invocation updates one element. Bias corrections and 1−β are the host's, computed in f64:
// in f32, 1−β₂ alone would be wrong by 1e-5.
//
// Host record and CPU twin: src/ops/optimizer.rs

@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(4) var<storage, read_write> moment1: array<f32>;
@group(0) @binding(5) var<storage, read_write> moment2: array<f32>;
@group(0) @binding(6) var<storage, read_write> moment3: array<f32>;
@group(0) @binding(7) var<storage, read_write> averages: array<f32>;
@group(0) @binding(8) var<storage, read_write> status: Status;
@group(0) @binding(9) var<storage, read_write> measured: array<vec2<f32>>;

override RULE: u32;
override MOMENTUM: bool;
override VARIANT: bool;
override CLIP: u32;
override AVERAGED: bool;
override MEASURED: bool;
override SKIPS: bool;

struct Status {
    partial_sums: array<f32, PARTIAL_SUMS>,
    // 0 where all went well. In a step that is left out 1 as Σ g² isn't finite, or i + 2 for the last
    // element i whose g isn't; else BROKEN + 1 if clipping needs Σ g² and it isn't finite, or BROKEN + i + 2
    // for the last i whose g or w isn't.
    faults: array<atomic<u32>>,
}

const PARTIAL_SUMS = 128u;
const BROKEN = 0x80000000u;

const ADAGRAD = 1u;
const RMSPROP = 2u;
const ADAM = 3u;
const NADAM = 4u;
const LION = 5u;

const CLIP_VALUE = 1u;
const CLIP_NORM = 2u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var factor = 1.0;
    var overflows = false;
    if CLIP == CLIP_NORM || SKIPS {
        let squares = sum_of_workgroup(lane, status.partial_sums[lane]);
        if CLIP == CLIP_NORM {
            let ratio = step.clip / (sqrt(squares) + 1e-6);
            // select, not min: min may turn NaN into 1.
            factor = select(ratio, 1.0, ratio > 1.0);
        }
        overflows = !is_finite(squares);
    }
    let i = id.y * groups.x * WORKGROUP + id.x;
    if i < shape.len {
        if SKIPS && overflows {
            skip(i);
        } else {
            update(i, factor);
            // Nothing is left of g, in silence otherwise.
            if overflows && i == 0u { raise(BROKEN + 1u); }
        }
    }
    if AVERAGED && i < shape.averaged {
        averages[i] = averaged(averages[i], parameters[i]);
    }
}

// a + q (w − a) as torch.lerp computes it: from q = ½ on counted back from w, so that q = 1 leaves nothing of a.
fn averaged(a: f32, w: f32) -> f32 {
    let q = step.average_share;
    if q < 0.5 { return a + q * (w - a); }
    return w - (1.0 - q) * (w - a);
}

fn skip(i: u32) {
    if !is_finite(gradients[i]) {
        raise(i + 2u);
    } else if i == 0u {
        raise(1u);
    }
}

fn raise(fault: u32) {
    atomicMax(&status.faults[step.slot], fault);
}

fn update(i: u32, factor: f32) {
    let scalars = step.groups[group_of(i)];
    let w = parameters[i];
    var g = gradients[i];
    switch CLIP {
        case CLIP_NORM: { g *= factor; }
        case CLIP_VALUE: {
            // select, not clamp, which may turn NaN into the bound; comparisons may as well.
            let below = select(g, step.clip, g > step.clip);
            g = keep_nan(select(below, -step.clip, below < -step.clip), g);
        }
        default: {}
    }
    // (d, denominator)
    let d = direction(i, g + scalars.y * w);
    let updated = scalars.z * w - scalars.x * d.x;
    parameters[i] = updated;
    if !(is_finite(g) && is_finite(updated)) { raise(BROKEN + i + 2u); }
    if MEASURED {
        measured[i] = d;
    }
}

// The parameter group of an element: how many end at or before it.
fn group_of(i: u32) -> u32 {
    let before0 = select(vec4<u32>(), vec4<u32>(1u), shape.ends0 <= vec4<u32>(i));
    let before1 = select(vec4<u32>(), vec4<u32>(1u), shape.ends1 <= vec4<u32>(i));
    let before = before0 + before1;
    return before.x + before.y + before.z + before.w;
}

fn direction(i: u32, g: f32) -> vec2<f32> {
    switch RULE {
        case ADAGRAD: {
            let v = moment1[i] + g * g;
            moment1[i] = v;
            let denominator = sqrt(v) + step.eps;
            return vec2<f32>(g / denominator, denominator);
        }
        case RMSPROP: {
            var v = step.beta2 * moment1[i] + step.one_minus_beta2 * g * g;
            moment1[i] = v;
            if VARIANT {
                let mean = step.beta2 * moment2[i] + step.one_minus_beta2 * g;
                moment2[i] = mean;
                // A variance that rounding makes negative is 0; NaN stays.
                let variance = v - mean * mean;
                v = select(variance, 0.0, variance < 0.0);
            }
            let denominator = sqrt(v) + step.eps;
            return vec2<f32>(rmsprop_momentum(i, g / denominator), denominator);
        }
        case ADAM, NADAM: {
            let m = step.beta1 * moment1[i] + step.one_minus_beta1 * g;
            var v = step.beta2 * moment2[i] + step.one_minus_beta2 * g * g;
            moment1[i] = m;
            moment2[i] = v;
            if VARIANT {
                v = select(v, moment3[i], moment3[i] > v);
                moment3[i] = v;
            }
            let denominator = sqrt(v) * step.inv_root_correction2 + step.eps;
            return vec2<f32>(select(m, m + step.mix * g, RULE == NADAM) / denominator, denominator);
        }
        case LION: {
            let m = moment1[i];
            moment1[i] = step.beta2 * m + step.one_minus_beta2 * g;
            return vec2<f32>(sign_of(step.beta1 * m + step.one_minus_beta1 * g), 0.0);
        }
        default: {
            if !MOMENTUM { return vec2<f32>(g, 0.0); }
            let m = step.beta1 * moment1[i] + g;
            moment1[i] = m;
            return vec2<f32>(select(m, g + step.beta1 * m, VARIANT), 0.0);
        }
    }
}

// The momentum lies behind the mean where there is one.
fn rmsprop_momentum(i: u32, d: f32) -> f32 {
    if !MOMENTUM { return d; }
    if VARIANT {
        let m = step.beta1 * moment3[i] + d;
        moment3[i] = m;
        return m;
    }
    let m = step.beta1 * moment2[i] + d;
    moment2[i] = m;
    return m;
}

// sign() that keeps NaN.
fn sign_of(x: f32) -> f32 {
    if x > 0.0 { return 1.0; }
    if x < 0.0 { return -1.0; }
    return x;
}
