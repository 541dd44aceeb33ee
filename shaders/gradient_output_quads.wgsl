alias GradientOutputCell = vec4<GradientOutput>;

// Four neighbours of a row of dZ [batch, out] from `column` on, which is a multiple of four.
fn gradient_output_run(row: u32, column: u32) -> vec4<f32> {
    return vec4<f32>(gradient_output[(row * shape.out_features + column) / 4u]);
}

