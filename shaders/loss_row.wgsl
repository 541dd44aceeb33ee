// loss_row: what every loss of a row needs. The kernel has target_values, weight and in its shape
// outputs, the loss's parameter and target_width, and says where a row's predictions and their
// gradient are: prediction_of(row, output), set_gradient(row, output, slope).

// What the data set lets a row count whose targets begin there.
fn sample_weight(first_target: u32) -> f32 {
    if step.weighted == 0u { return 1.0; }
    return target_values[first_target + shape.target_width];
}

// (loss, weight, score, 1 if the loss isn't finite)
fn row_report(loss: f32, weight: f32, score: f32) -> vec4<f32> {
    return vec4<f32>(loss, weight, score, select(1.0, 0.0, is_finite(loss)));
}

