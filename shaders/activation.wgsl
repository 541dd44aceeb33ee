// activation: y = a(z) and a'(z), shared by every kernel that applies or differentiates one. Behind
// activation_value.wgsl and finite.wgsl. ACTIVATION is fixed per pipeline, so the switches fold away. CPU twin:
// src/activation.rs

override ACTIVATION: u32;

const IDENTITY = 0u;
const RELU = 1u;
const LEAKY_RELU = 2u;
const ELU = 3u;
const GELU = 4u;
const GELU_TANH = 5u;
const SILU = 6u;
const SIGMOID = 7u;
const TANH = 8u;
const SOFTPLUS = 9u;
const SINE = 10u;

const INV_SQRT_2PI = 0.3989422804014327;

// a(z); `parameter` is the slope, α or ω₀ where there is one.
fn activate(z: f32, parameter: f32) -> f32 {
    return keep_nan(activation_value(z, parameter), z);
}

fn activation_value(z: f32, parameter: f32) -> f32 {
    switch ACTIVATION {
        case RELU: { return relu(z); }
        case LEAKY_RELU: { return leaky_relu(z, parameter); }
        case ELU: { return elu(z, parameter); }
        case GELU: { return gelu(z); }
        case GELU_TANH: { return gelu_tanh(z); }
        case SILU: { return silu(z); }
        case SIGMOID: { return sigmoid(z); }
        case TANH: { return stable_tanh(z); }
        case SOFTPLUS: { return softplus(z); }
        case SINE: { return sine(z, parameter); }
        default: { return z; }
    }
}

// Whether the forward pass keeps z beside y, because the derivative is computed from z.
fn keeps_preactivation() -> bool {
    switch ACTIVATION {
        case IDENTITY, RELU, LEAKY_RELU, SOFTPLUS: { return false; }
        default: { return true; }
    }
}

// σ(z) and σ′(z) = e/(1 + e)² of e = e^−|z|, where nothing overflows or cancels, as σ(1 − σ) does.
fn sigmoid_and_slope(z: f32) -> vec2<f32> {
    let e = exp(-abs(z));
    let r = 1.0 / (1.0 + e);
    return vec2<f32>(select(r, e * r, z < 0.0), e * r * r);
}

// a'(z) from what the forward pass kept: z where keeps_preactivation(), else y.
fn activation_derivative(kept: f32, parameter: f32) -> f32 {
    switch ACTIVATION {
        case RELU: { return select(0.0, 1.0, kept > 0.0); }
        case LEAKY_RELU: { return select(parameter, 1.0, kept > 0.0); }
        case ELU: { return select(parameter * exp(kept), 1.0, kept > 0.0); }
        case GELU: { return normal_cdf(kept) + kept * INV_SQRT_2PI * exp(-0.5 * kept * kept); }
        case GELU_TANH: {
            let cubic_slope = 1.0 + 3.0 * GELU_CUBIC * kept * kept;
            let gate = sigmoid_and_slope(gelu_argument(kept));
            return gate.x + kept * TWO_SQRT_2_OVER_PI * cubic_slope * gate.y;
        }
        case SILU: {
            let gate = sigmoid_and_slope(kept);
            return gate.x + kept * gate.y;
        }
        case SIGMOID: { return sigmoid_and_slope(kept).y; }
        // 1 − tanh²z = 4 σ′(2z)
        case TANH: { return 4.0 * sigmoid_and_slope(2.0 * kept).y; }
        // σ(z) = 1 − e⁻ʸ
        case SOFTPLUS: { return -exp_m1(-kept); }
        case SINE: { return parameter * cos(reduce_angle(parameter * kept)); }
        default: { return 1.0; }
    }
}
