// activation_value: y = a(z), a function for each activation but the identity. Behind near_zero.wgsl. Shared by
// the kernels and by the WGSL that nets are exported as. CPU twin: src/activation.rs
//
// What belongs together stands in a paragraph of its own without blank lines: an export takes the
// paragraphs that its net needs (src/export/wgsl/library.rs).

fn relu(z: f32) -> f32 {
    // select, not max: max may turn NaN into 0.
    return select(z, 0.0, z <= 0.0);
}

fn leaky_relu(z: f32, slope: f32) -> f32 {
    return select(z, slope * z, z <= 0.0);
}

fn elu(z: f32, alpha: f32) -> f32 {
    return select(z, alpha * exp_m1(z), z <= 0.0);
}

fn gelu(z: f32) -> f32 {
    return z * normal_cdf(z);
}

fn gelu_tanh(z: f32) -> f32 {
    return z * sigmoid(gelu_argument(z));
}

fn silu(z: f32) -> f32 {
    return z * sigmoid(z);
}

fn sigmoid(z: f32) -> f32 {
    return 1.0 / (1.0 + exp(-z));
}

// tanh z = −sgn(z)·m/(2 + m), m = e^(−2|z|) − 1: the builtin may overflow inside a driver for large |z| and has
// no bound of its own.
fn stable_tanh(z: f32) -> f32 {
    let m = exp_m1(-2.0 * abs(z));
    let t = m / (2.0 + m);
    return select(-t, t, z < 0.0);
}

// ln(1 + eᶻ) = max(z, 0) + ln(1 + e^−|z|)
fn softplus(z: f32) -> f32 {
    return select(z, 0.0, z <= 0.0) + ln_1p(exp(-abs(z)));
}

fn sine(z: f32, omega0: f32) -> f32 {
    return sin(reduce_angle(omega0 * z));
}

// 2u for u = √(2/π)(z + 0.044715 z³): the tanh form of GELU, z/2·(1 + tanh u), is z·σ(2u).
const TWO_SQRT_2_OVER_PI = 1.5957691216057308;
const GELU_CUBIC = 0.044715;
fn gelu_argument(z: f32) -> f32 {
    return TWO_SQRT_2_OVER_PI * (z + GELU_CUBIC * z * z * z);
}

// Φ(z), from Φ(−|z|)·e^(z²/2) as a polynomial of t = 1/(1 + 0.3|z|): a least-maximum fit within 1.7e-7 of it, so
// that the tail keeps its digits.
fn normal_cdf(z: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3 * abs(z));
    let high = -0.051710945 + t * (0.2042038 + t * (-0.15595269 + t * 0.035374187));
    let low = 0.11963253 + t * (0.12070406 + t * (0.10022691 + t * (0.12752207 + t * high)));
    let tail = t * low * exp(-0.5 * z * z);
    return select(1.0 - tail, tail, z < 0.0);
}

// 2π as the sum of a part with few bits, whose small multiples are exact, and the rest.
const TWO_PI_HIGH = 6.28125;
const TWO_PI_LOW = 0.0019353071795864769;
const INV_2PI = 0.15915494309189535;
// The angle minus the nearest multiple of 2π: sin and cos are specified on [−π, π] only.
fn reduce_angle(x: f32) -> f32 {
    let turns = round(x * INV_2PI);
    return (x - turns * TWO_PI_HIGH) - turns * TWO_PI_LOW;
}
