// linear_shape: one linear layer, shared by its three products. Host mirror: src/ops/linear.rs

struct LinearShape {
    in_features: u32,
    out_features: u32,
    // Where in the forward kernel's output Z begins, if it is kept.
    preactivation: u32,
    // Of the activation that the kernel applies or differentiates.
    parameter: f32,
}

@group(0) @binding(1) var<uniform> shape: LinearShape;

