// activation: y = a(z) and a'(z), shared by every kernel that applies or differentiates one.
// ACTIVATION is fixed per pipeline, so the switches fold away. CPU twin: src/activation.rs

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

const SQRT_2_OVER_PI = 0.7978845608028654;
const GELU_CUBIC = 0.044715;
const INV_SQRT_2 = 0.7071067811865476;
const INV_SQRT_2PI = 0.3989422804014327;
// 2π as the sum of a part with few bits, whose small multiples are exact, and the rest.
const TWO_PI_HIGH = 6.28125;
const TWO_PI_LOW = 0.0019353071795864769;
const INV_2PI = 0.15915494309189535;

// a(z); `parameter` is the slope, α or ω₀ where there is one.
fn activate(z: f32, parameter: f32) -> f32 {
    switch ACTIVATION {
        // select, not max: max may turn NaN into 0.
        case RELU: { return select(z, 0.0, z <= 0.0); }
        case LEAKY_RELU: { return select(z, parameter * z, z <= 0.0); }
        case ELU: { return select(z, parameter * (exp(z) - 1.0), z <= 0.0); }
        case GELU: { return z * normal_cdf(z); }
        case GELU_TANH: { return 0.5 * z * (1.0 + stable_tanh(gelu_argument(z))); }
        case SILU: { return z * sigmoid(z); }
        case SIGMOID: { return sigmoid(z); }
        case TANH: { return stable_tanh(z); }
        case SOFTPLUS: { return softplus(z); }
        case SINE: { return sin(reduce_angle(parameter * z)); }
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
        case SOFTPLUS: { return 1.0 - exp(-kept); }
        case SINE: { return parameter * cos(reduce_angle(parameter * kept)); }
        default: { return 1.0; }
    }
}

fn sigmoid(z: f32) -> f32 {
    return 1.0 / (1.0 + exp(-z));
}

// tanh z = sgn(z)·(1 − e)/(1 + e), e = e^(−2|z|): the builtin may overflow inside a driver for
// large |z| and has no bound of its own; this one has that of exp.
fn stable_tanh(z: f32) -> f32 {
    let e = exp(-2.0 * abs(z));
    let t = (1.0 - e) / (1.0 + e);
    return select(t, -t, z < 0.0);
}

// ln(1 + eᶻ) = max(z, 0) + ln(1 + e^−|z|)
fn softplus(z: f32) -> f32 {
    return select(z, 0.0, z <= 0.0) + log(1.0 + exp(-abs(z)));
}

fn gelu_argument(z: f32) -> f32 {
    return SQRT_2_OVER_PI * (z + GELU_CUBIC * z * z * z);
}

// Φ(z) = (1 + erf(z/√2))/2
fn normal_cdf(z: f32) -> f32 {
    return 0.5 * (1.0 + erf(z * INV_SQRT_2));
}

// Abramowitz and Stegun 7.1.26: |error| ≤ 1.5e-7.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t
        + 0.254829592) * t;
    let e = 1.0 - series * exp(-x * x);
    return select(e, -e, x < 0.0);
}

// The angle minus the nearest multiple of 2π: sin and cos are specified on [−π, π] only.
fn reduce_angle(x: f32) -> f32 {
    let turns = round(x * INV_2PI);
    return (x - turns * TWO_PI_HIGH) - turns * TWO_PI_LOW;
}

