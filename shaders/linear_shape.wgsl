// linear_shape: one linear layer, shared by its three products. Host mirror: src/ops/linear.rs

struct LinearShape {
    in_features: u32,
    out_features: u32,
    // Of the gradient: where dW and db begin, how many slices of the batch are summed apart, and
    // elements from one slice's sums to the next's.
    weight_at: u32,
    bias_at: u32,
    slices: u32,
    slice_stride: u32,
}

@group(0) @binding(1) var<uniform> shape: LinearShape;

