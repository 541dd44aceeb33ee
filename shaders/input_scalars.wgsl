// Four neighbours of a row of X [batch, in] from `column` on; 0 behind the row's end.
fn input_run(row: u32, column: u32) -> vec4<f32> {
    let start = row * shape.in_features + column;
    let left = shape.in_features - column;
    var run = vec4<f32>(input[start], 0.0, 0.0, 0.0);
    if left > 1u { run.y = input[start + 1u]; }
    if left > 2u { run.z = input[start + 2u]; }
    if left > 3u { run.w = input[start + 3u]; }
    return run;
}

