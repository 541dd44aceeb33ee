// encoding_value: the values of an input, a function for each encoding. Shared by the kernels and by the
// WGSL that nets are exported as. Formulas and CPU twin: src/encoding.rs
//
// What belongs together stands in a paragraph of its own without blank lines: an export takes the
// paragraphs that its net needs (src/export/wgsl/library.rs).

// Value number `value`: sines and cosines in turn, octave by octave.
fn frequency(x: f32, value: u32) -> f32 {
    return sin_pi(angle(place(x, value / 2u), sine_or_cosine(value)));
}

fn one_blob(x: f32, value: u32, bins: u32) -> f32 {
    return gaussian(distance_to(value, x, bins));
}

fn triangle_wave(x: f32, value: u32) -> f32 {
    return 2.0 * angle(place(x, value), value % 4u);
}

const PI = 3.14159265358979;

// The quarters of a period by which a value of FREQUENCY is ahead of the cosine.
fn sine_or_cosine(value: u32) -> u32 {
    return select(0u, 3u, value % 2u == 0u);
}

fn power_of_two(k: u32) -> f32 {
    return bitcast<f32>((127u + k) << 23u);
}

// t mod 2, in [−1, 1]; exact.
fn mod_2(t: f32) -> f32 {
    return t - 2.0 * round(0.5 * t);
}

// 2ᵏx mod 2, in [−1, 1]; exact.
fn place(x: f32, octave: u32) -> f32 {
    return mod_2(power_of_two(octave) * mod_2(x));
}

// The a in [−½, ½] for which sin πa = cos π(r + quarters/2).
fn angle(r: f32, quarters: u32) -> f32 {
    let folded = select(r, sign(r) - r, abs(r) > 0.5);
    let a = select(0.5 - abs(r), folded, quarters % 2u == 1u);
    return select(a, -a, is_negative(quarters));
}

fn is_negative(quarters: u32) -> bool {
    return quarters == 1u || quarters == 2u;
}

// sin πx for x in [−½, ½], within 3.5 ULP: the builtin's bound is 2⁻¹¹. Coefficients as in
// src/real/fast.rs.
fn sin_pi(x: f32) -> f32 {
    let s = x * x;
    let tail = -5.167721 + s * (2.5502698 + s * (-0.59943736 + s * 0.07983577));
    return x * (PI + s * tail);
}

// From x to the centre of a bin, in bins.
fn distance_to(bin: u32, x: f32, bins: u32) -> f32 {
    return f32(bin) + 0.5 - f32(bins) * x;
}

// exp(−z²/2)
fn gaussian(z: f32) -> f32 {
    return exp(-0.5 * z * z);
}

