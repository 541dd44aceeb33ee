// Four neighbours of a row of dZ [batch, out] from `column` on; 0 behind the row's end.
fn gradient_output_run(row: u32, column: u32) -> vec4<f32> {
    let start = row * shape.out_features + column;
    let left = shape.out_features - column;
    var run = vec4<f32>(gradient_output[start], 0.0, 0.0, 0.0);
    if left > 1u { run.y = gradient_output[start + 1u]; }
    if left > 2u { run.z = gradient_output[start + 2u]; }
    if left > 3u { run.w = gradient_output[start + 3u]; }
    return run;
}

