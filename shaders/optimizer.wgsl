// optimizer:  one step of every parameter of the net
//
//   gradients   g  [arena]
//   parameters  w  [arena]  updated
//   moment1     m  [arena]  updated; a placeholder where the rule has none
//   moment2     v  [arena]  updated; likewise
//
//   g ← g + l2·w                      weight decay as part of the gradient
//   w ← keep·w                        or decoupled from it, keep = 1 − ηλ
//   SGD       w ← w − η g
//   MOMENTUM  m ← μ m + g;  w ← w − η m
//   NESTEROV  m ← μ m + g;  w ← w − η (g + μ m)
//   ADAM      m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;
//             w ← w − η/(1−β₁ᵗ) · m/(√v/√(1−β₂ᵗ) + ε)
//
// Padding between tensors is 0 and stays so. One invocation updates one element. Bias corrections
// and 1−β are the host's, computed in f64: in f32, 1−β₂ alone would be wrong by 1e-5.
//
// Host record and CPU twin: src/ops/optimizer.rs

struct ArenaShape {
    len: u32,
}

@group(0) @binding(1) var<uniform> shape: ArenaShape;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(4) var<storage, read_write> moment1: array<f32>;
@group(0) @binding(5) var<storage, read_write> moment2: array<f32>;

override WORKGROUP: u32;
override RULE: u32;

const MOMENTUM = 1u;
const NESTEROV = 2u;
const ADAM = 3u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = id.y * groups.x * WORKGROUP + id.x;
    if i >= shape.len { return; }

    let w = parameters[i];
    let g = gradients[i] + step.l2 * w;
    parameters[i] = step.keep * w - step.step_size * direction(i, g);
}

fn direction(i: u32, g: f32) -> f32 {
    switch RULE {
        case MOMENTUM, NESTEROV: {
            let m = step.beta1 * moment1[i] + g;
            moment1[i] = m;
            return select(m, g + step.beta1 * m, RULE == NESTEROV);
        }
        case ADAM: {
            let m = step.beta1 * moment1[i] + step.one_minus_beta1 * g;
            let v = step.beta2 * moment2[i] + step.one_minus_beta2 * g * g;
            moment1[i] = m;
            moment2[i] = v;
            return m / (sqrt(v) * step.inv_root_correction2 + step.eps);
        }
        default: { return g; }
    }
}
