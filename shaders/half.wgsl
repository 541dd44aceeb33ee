enable f16;

// half: numbers that are stored in 16 bits. Beyond the largest, 65504, some devices round to that and
// others to infinity; it has to be infinity, so that the gradient shows it.
fn half_of(x: f32) -> f16 {
    return f16(select(x, x * 3e38, abs(x) > 65504.0));
}

