// encoding: a value of an input and its derivative, shared by the passes forward and back, and how both
// divide a batch among workgroups. ENCODING is fixed per pipeline, so the switches fold away.
// Formulas: src/encoding.rs; host record and CPU twin: src/ops/encoding.rs

struct EncodingShape {
    // Columns of the input.
    in_features: u32,
    // Encoded values of each.
    values: u32,
    // Invocations that a row takes of a workgroup, and the rows that a workgroup covers.
    lanes: u32,
    rows: u32,
}

@group(0) @binding(1) var<uniform> shape: EncodingShape;

override ENCODING: u32;
override WORKGROUP: u32;

const FREQUENCY = 0u;
const ONE_BLOB = 1u;
const TRIANGLE_WAVE = 2u;

const PI = 3.14159265358979;

// The row of an invocation, which may lie behind the batch, and its number in the row.
fn row_and_number(group: vec3<u32>, lane: u32) -> vec2<u32> {
    let row = group.y * shape.rows + lane / shape.lanes;
    // Lanes that are left over at the end of a workgroup have no row.
    let has_row = lane < shape.rows * shape.lanes;
    return vec2<u32>(select(step.batch, row, has_row), group.x * shape.lanes + lane % shape.lanes);
}

// Value number `value` of an input.
fn encode(x: f32, value: u32) -> f32 {
    switch ENCODING {
        case FREQUENCY: { return sin_pi(angle(place(x, value / 2u), sine_or_cosine(value))); }
        case ONE_BLOB: { return gaussian(distance_to(value, x)); }
        default: { return 2.0 * angle(place(x, value), value % 4u); }
    }
}

// The derivative of `encode` by x.
fn encode_derivative(x: f32, value: u32) -> f32 {
    switch ENCODING {
        // cos′(πr) = π·cos(π(r + ½)).
        case FREQUENCY: {
            let octave = value / 2u;
            let next = (sine_or_cosine(value) + 1u) % 4u;
            return power_of_two(octave) * PI * sin_pi(angle(place(x, octave), next));
        }
        case ONE_BLOB: {
            let z = distance_to(value, x);
            return f32(shape.values) * (z * gaussian(z));
        }
        default: { return power_of_two(value) * slope(place(x, value), value % 4u); }
    }
}

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

// The derivative of 2·angle by r, to the right of a kink: 2 or −2.
fn slope(r: f32, quarters: u32) -> f32 {
    let rises = select(r < 0.0 || r >= 1.0, -0.5 <= r && r < 0.5, quarters % 2u == 1u);
    return select(2.0, -2.0, rises == is_negative(quarters));
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
fn distance_to(bin: u32, x: f32) -> f32 {
    return f32(bin) + 0.5 - f32(shape.values) * x;
}

// exp(−z²/2)
fn gaussian(z: f32) -> f32 {
    return exp(-0.5 * z * z);
}

