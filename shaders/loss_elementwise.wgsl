// loss_elementwise:  L = Σ_b ω_b Σ_k l(p, t) / (outputs·Σ ω)  and  dL/dp, in one pass
//
//   prediction   p  [batch, outputs]
//   target       t  [data rows, outputs]  each row followed by ω where rows are weighted, else ω = 1
//   weight       w  [outputs]         positive weights of BCE
//   gradient        [batch, outputs]  dL/dp·scaling.scale; every element of the batch's rows is written
//   rows            [batch]           where in the data set the batch's rows are
//   metrics         [slots, GROUPS]   Σ (ω Σ l / outputs, ω, score, not finite) over the rows of each
//                                     workgroup
//
// with e = p − t:
//   MSE    l = e²                 l' = 2e
//   MAE    l = |e|                l' = sgn e
//   Huber  l = e²/2 or δ(|e|−δ/2) l' = e clamped to ±δ
//   BCE    l = (1−t)·ln(1 + eᵖ) + w·t·ln(1 + e⁻ᵖ)          l' = (1−t)·σ(p) − w·t·σ(−p)
//
// The score is Σ e² for the first three, and for BCE 1 if every output is on its target's side.
// The loop over the rows is that of loss.wgsl.
//
// Host record and CPU twin: src/ops/loss.rs

override LOSS: u32;

const MAE = 1u;
const HUBER = 2u;
const BCE = 3u;

fn loss_of_row(row: u32, first_target: u32) -> vec4<f32> {
    let outputs = f32(shape.outputs);
    let row_weight = sample_weight(first_target);
    let scale = row_weight * step.loss_scale / outputs;
    var sum = 0.0;
    var squares = 0.0;
    var right = 1.0;
    for (var k = 0u; k < shape.outputs; k++) {
        let p = prediction_of(row, k);
        let t = target_values[first_target + k];
        let l = loss_and_slope(p, t, weight[k]);
        sum += l.x;
        set_gradient(row, k, l.y * scale);
        squares += (p - t) * (p - t);
        if (p > 0.0) != (t > 0.5) { right = 0.0; }
    }
    let score = select(squares, right, LOSS == BCE);
    return row_report(row_weight * sum / outputs, row_weight, score);
}

// (l, l')
fn loss_and_slope(p: f32, t: f32, w: f32) -> vec2<f32> {
    let e = p - t;
    switch LOSS {
        case MAE: { return vec2<f32>(abs(e), sign(e)); }
        case HUBER: {
            let delta = shape.parameter;
            // Written so that NaN stays NaN.
            if abs(e) > delta { return vec2<f32>(delta * (abs(e) - 0.5 * delta), sign(e) * delta); }
            return vec2<f32>(0.5 * e * e, e);
        }
        case BCE: {
            let small = exp(-abs(p));
            let log_sum = ln_1p(small);
            // −ln σ(−p) and −ln σ(p), σ(p) and σ(−p).
            let losses = select(vec2<f32>(0.0, -p), vec2<f32>(p, 0.0), p >= 0.0) + log_sum;
            let sigmoids = select(vec2<f32>(small, 1.0), vec2<f32>(1.0, small), p >= 0.0) / (1.0 + small);
            let shares = vec2<f32>(1.0 - t, w * t);
            return vec2<f32>(
                shares.x * losses.x + shares.y * losses.y,
                shares.x * sigmoids.x - shares.y * sigmoids.y,
            );
        }
        default: { return vec2<f32>(e * e, 2.0 * e); }
    }
}
