// row_metrics: what a loss kernel reports of one row, shared by the loss kernels.

// (loss, weight, score, 1 if the loss isn't finite)
fn row_report(loss: f32, weight: f32, score: f32) -> vec4<f32> {
    // By bits: a compiler that assumes finite numbers may fold away a comparison with itself.
    let not_finite = (bitcast<u32>(loss) & 0x7F800000u) == 0x7F800000u;
    return vec4<f32>(loss, weight, score, select(0.0, 1.0, not_finite));
}

