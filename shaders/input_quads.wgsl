alias InputCell = vec4<Input>;

// Four neighbours of a row of X [batch, in] from `column` on, which is a multiple of four.
fn input_run(row: u32, column: u32) -> vec4<f32> {
    return vec4<f32>(input[(row * shape.in_features + column) / 4u]);
}

