// cross_entropy:  L = Σ_b l_b / Σ_b ω_b w_t  and  dL/dp, in one pass
//
//   l_b = ω_b ((1−ε) w_t (lse − p_t) + ε/K Σ_k w_k (lse − p_k)),  lse = ln Σ_k exp p_k
//   dL/dp_k = ω_b ((1−ε) w_t (s_k − [k = t]) + ε/K (s_k Σ w − w_k)) · loss_scale,  s = softmax(p)
//
//   prediction   p  [batch, outputs]  logits; K = outputs
//   target       t  [data rows]       class indices, as f32, each followed by ω where rows are
//                                     weighted, else ω = 1
//   weight       w  [outputs]         class weights
//   gradient        [batch, outputs]  dL/dp·scaling.scale; every element of the batch's rows is written
//   rows            [batch]           where in the data set the batch's rows are
//   metrics         [slots, GROUPS]   Σ (l_b, ω w_t, 1 if p_t is the first largest logit, not finite)
//                                     over the rows of each workgroup
//
// The loop over the rows is that of loss.wgsl.
//
// Host record and CPU twin: src/ops/loss.rs

fn loss_of_row(row: u32, first_target: u32) -> vec4<f32> {
    // A host app's own buffer may hold anything.
    let label = min(u32(target_values[first_target]), shape.outputs - 1u);
    let row_weight = sample_weight(first_target);

    var largest = prediction_of(row, 0u);
    var predicted = 0u;
    for (var k = 1u; k < shape.outputs; k++) {
        let p = prediction_of(row, k);
        if p > largest {
            largest = p;
            predicted = k;
        }
    }
    var sum = 0.0;
    var weights = 0.0;
    for (var k = 0u; k < shape.outputs; k++) {
        sum += exp(prediction_of(row, k) - largest);
        weights += weight[k];
    }
    let log_sum = log(sum);

    let spread = shape.parameter / f32(shape.outputs);
    let focus = (1.0 - shape.parameter) * weight[label];
    let scale = row_weight * step.loss_scale;
    var loss = focus * (log_sum - (prediction_of(row, label) - largest));
    for (var k = 0u; k < shape.outputs; k++) {
        let shifted = prediction_of(row, k) - largest;
        let softmax = exp(shifted) / sum;
        loss += spread * weight[k] * (log_sum - shifted);
        let hit = select(0.0, 1.0, k == label);
        let slope = focus * (softmax - hit) + spread * (softmax * weights - weight[k]);
        set_gradient(row, k, slope * scale);
    }
    let score = select(0.0, 1.0, predicted == label);
    return row_report(row_weight * loss, row_weight * weight[label], score);
}
