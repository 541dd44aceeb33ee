alias WeightCell = vec4<Weight>;

// Four neighbours of a row of W [out, in] from `column` on, which is a multiple of four.
fn weight_run(row: u32, column: u32) -> vec4<f32> {
    return vec4<f32>(weight[(row * shape.in_features + column) / 4u]);
}

