// encoding: a value of an input and its derivative, shared by the passes forward and back, and how both
// divide a batch among workgroups. ENCODING is fixed per pipeline, so the switches fold away. Behind
// encoding_value.wgsl and finite.wgsl. Formulas: src/encoding.rs; host record and CPU twin: src/ops/encoding.rs

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

// The row of an invocation, which may lie behind the batch, and its number in the row.
fn row_and_number(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> vec2<u32> {
    let row = batch_group(group.y, group.z, groups.y) * shape.rows + lane / shape.lanes;
    // Lanes that are left over at the end of a workgroup have no row.
    let has_row = lane < shape.rows * shape.lanes;
    return vec2<u32>(select(step.batch, row, has_row), group.x * shape.lanes + lane % shape.lanes);
}

// Value number `value` of an input.
fn encode(x: f32, value: u32) -> f32 {
    return keep_nan(encoding_value(x, value), x);
}

fn encoding_value(x: f32, value: u32) -> f32 {
    switch ENCODING {
        case FREQUENCY: { return frequency(x, value); }
        case ONE_BLOB: { return one_blob(x, value, shape.values); }
        default: { return triangle_wave(x, value); }
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
            let z = distance_to(value, x, shape.values);
            return f32(shape.values) * (z * gaussian(z));
        }
        default: { return power_of_two(value) * slope(place(x, value), value % 4u); }
    }
}

// The derivative of 2·angle by r, to the right of a kink: 2 or −2.
fn slope(r: f32, quarters: u32) -> f32 {
    let rises = select(r < 0.0 || r >= 1.0, -0.5 <= r && r < 0.5, quarters % 2u == 1u);
    return select(2.0, -2.0, rises == is_negative(quarters));
}

