// metrics:  ring[slot] = Σ_b row_metrics[b]
//
//   row_metrics  [batch]   (loss, weight, score, not finite) of each row
//   ring         [slots]   the same four, summed over the batch
//
// One workgroup. Each lane sums every WORKGROUP-th row, then the lanes are summed as a tree: a
// fixed order, so the same rows give the same bits.
//
// Host record and CPU twin: src/ops/metrics.rs

@group(0) @binding(1) var<storage, read> row_metrics: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> ring: array<vec4<f32>>;

override WORKGROUP: u32;

var<workgroup> lane_sums: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = vec4<f32>();
    for (var row = lane; row < step.batch; row += WORKGROUP) {
        sum += row_metrics[row];
    }
    lane_sums[lane] = sum;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if lane < width { lane_sums[lane] += lane_sums[lane + width]; }
        workgroupBarrier();
    }
    if lane == 0u { ring[step.slot] = lane_sums[0]; }
}
