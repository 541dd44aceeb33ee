// cross_entropy:  L = Σ_b l_b / N  and  dL/dp, in one pass
//
//   l_b = (1−ε) w_t (lse − p_t) + ε/K Σ_k w_k (lse − p_k),  lse = ln Σ_k exp p_k
//   N   = Σ_b w_t                                 (the number of rows without class weights)
//   dL/dp_k = ((1−ε) w_t (s_k − [k = t]) + ε/K (s_k Σ w − w_k)) / N,  s = softmax(p)
//
//   prediction   p  [batch, outputs]  logits; K = outputs
//   target       t  [batch]           class indices, as f32
//   weight       w  [outputs]         class weights
//   gradient        [batch, outputs]  every element of the batch's rows is written
//   row_metrics     [batch]           (l_b, w_t, 1 if p_t is the first largest logit, not finite)
//
// One invocation computes one row. Where classes are weighted, each workgroup first sums N by
// itself, in the same order in all of them.
//
// Host record and CPU twin: src/ops/loss.rs

override WORKGROUP: u32;
override WEIGHTED: bool;

var<workgroup> lane_sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var normaliser = f32(step.batch);
    if WEIGHTED {
        normaliser = sum_of_weights(lane);
    }
    let row = id.x;
    if row < step.batch {
        // Without a row that counts there is nothing to learn: no gradient, instead of 0/0.
        row_loss(row, select(1.0 / normaliser, 0.0, normaliser == 0.0));
    }
}

fn row_loss(row: u32, scale: f32) {
    let start = row * shape.outputs;
    let label = u32(target_values[row]);

    var largest = prediction[start];
    var predicted = 0u;
    for (var k = 1u; k < shape.outputs; k++) {
        if prediction[start + k] > largest {
            largest = prediction[start + k];
            predicted = k;
        }
    }
    var sum = 0.0;
    var weights = 0.0;
    for (var k = 0u; k < shape.outputs; k++) {
        sum += exp(prediction[start + k] - largest);
        weights += weight[k];
    }
    let log_sum = log(sum);

    let spread = shape.parameter / f32(shape.outputs);
    let focus = (1.0 - shape.parameter) * weight[label];
    var loss = focus * (log_sum - (prediction[start + label] - largest));
    for (var k = 0u; k < shape.outputs; k++) {
        let shifted = prediction[start + k] - largest;
        let softmax = exp(shifted) / sum;
        loss += spread * weight[k] * (log_sum - shifted);
        let hit = select(0.0, 1.0, k == label);
        gradient[start + k] =
            (focus * (softmax - hit) + spread * (softmax * weights - weight[k])) * scale;
    }
    let score = select(0.0, 1.0, predicted == label);
    row_metrics[row] = row_report(loss, weight[label], score);
}

fn sum_of_weights(lane: u32) -> f32 {
    var sum = 0.0;
    for (var row = lane; row < step.batch; row += WORKGROUP) {
        sum += weight[u32(target_values[row])];
    }
    lane_sums[lane] = sum;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if lane < width { lane_sums[lane] += lane_sums[lane + width]; }
        workgroupBarrier();
    }
    return lane_sums[0];
}
