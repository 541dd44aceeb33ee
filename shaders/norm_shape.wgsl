// norm_shape: one norm layer, shared by its kernels. Host mirror: src/ops/norm.rs
//
// A norm divides its input [batch, columns] into groups with a mean and a variance of their own:
// each row (layer norm), or each column over the batch (batch norm).

struct NormShape {
    columns: u32,
    // 1 if there are running statistics.
    tracked: u32,
    eps: f32,
    // What a batch counts in the running statistics.
    momentum: f32,
}

@group(0) @binding(1) var<uniform> shape: NormShape;

override PER_ROW: bool;

fn groups() -> u32 {
    return select(shape.columns, step.batch, PER_ROW);
}

// Elements of a group.
fn group_len() -> u32 {
    return select(step.batch, shape.columns, PER_ROW);
}

// Where in the input an element of a group lies.
fn element(group: u32, item: u32) -> u32 {
    return select(item * shape.columns + group, group * shape.columns + item, PER_ROW);
}

