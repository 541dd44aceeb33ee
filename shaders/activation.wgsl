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
    return ACTIVATION == GELU || ACTIVATION == GELU_TANH || ACTIVATION == SILU || ACTIVATION == SINE;
}

// a'(z) from what the forward pass kept: z where keeps_preactivation(), else y.
fn activation_derivative(kept: f32, parameter: f32) -> f32 {
    switch ACTIVATION {
        case RELU: { return select(0.0, 1.0, kept > 0.0); }
        case LEAKY_RELU: { return select(parameter, 1.0, kept > 0.0); }
        // α·eᶻ = y + α
        case ELU: { return select(kept + parameter, 1.0, kept > 0.0); }
        case GELU: { return normal_cdf(kept) + kept * INV_SQRT_2PI * exp(-0.5 * kept * kept); }
        case GELU_TANH: {
            let t = stable_tanh(gelu_argument(kept));
            let du = SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * kept * kept);
            return 0.5 * (1.0 + t) + 0.5 * kept * (1.0 - t * t) * du;
        }
        case SILU: {
            let s = sigmoid(kept);
            return s * (1.0 + kept * (1.0 - s));
        }
        case SIGMOID: { return kept * (1.0 - kept); }
        case TANH: { return 1.0 - kept * kept; }
        // σ(z) = 1 − e⁻ʸ
        case SOFTPLUS: { return -exp_m1(-kept); }
        case SINE: { return parameter * cos(reduce_angle(parameter * kept)); }
        default: { return 1.0; }
    }
}
