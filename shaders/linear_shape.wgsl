// linear_shape: one linear layer, shared by its three products. Host mirror: src/ops/linear.rs

struct LinearShape {
    in_features: u32,
    out_features: u32,
}

@group(0) @binding(1) var<uniform> shape: LinearShape;

