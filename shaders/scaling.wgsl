// scaling: what the loss is multiplied with, so that gradients of activations keep to the range of f16.
// A power of two, so that it costs no accuracy; 1 in f32. Host mirror: src/ops/scaling.rs

struct Scaling {
    scale: f32,
    // 1/scale
    inverse: f32,
    // Steps since it changed.
    steady: f32,
}

