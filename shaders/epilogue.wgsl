// epilogue: what follows a layer's own formula, Y = dropout(a(Z)). Behind activation.wgsl and
// philox.wgsl. Host mirror and CPU twin: src/ops/epilogue.rs

struct Epilogue {
    // The activation's slope, α or ω₀.
    parameter: f32,
    // First element behind Y of what the derivative needs, where Y isn't enough.
    kept: u32,
    // An element is dropped if its random word is below this: p·2³².
    drop_below: u32,
    // 1/(1 − p)
    keep_scale: f32,
    // Position of the dropout layer in the net.
    layer: u32,
}

@group(0) @binding(2) var<uniform> epilogue: Epilogue;

override DROPOUT: bool;

// rng::Purpose::Dropout
const PURPOSE_DROPOUT = 6u;

// What dropout multiplies four neighbours of a row with, from a column on that is a multiple of four:
// 0 or 1/(1 − p) in training, else 1. Computed wherever it is needed from the step, the layer and the
// place, one draw for the four; stored nowhere.
fn dropout_factors(row: u32, column: u32) -> vec4<f32> {
    if !DROPOUT || step.training == 0u { return vec4<f32>(1.0); }
    let counter = vec4<u32>(step.row0 + row, column >> 2u, epilogue.layer, PURPOSE_DROPOUT);
    let bits = philox4x32(counter, step.dropout_key);
    let dropped = bits < vec4<u32>(epilogue.drop_below);
    return select(vec4<f32>(epilogue.keep_scale), vec4<f32>(), dropped);
}

// Whether what the derivative needs is kept behind Y.
fn keeps_apart() -> bool {
    return keeps_preactivation() || (DROPOUT && ACTIVATION != IDENTITY);
}

