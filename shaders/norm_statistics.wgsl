// norm_statistics:  (μ, 1/√(σ² + ε)) of each group of a norm's input
//
//   input         X  [batch, columns]
//   statistics       [groups, 3]  (c, μ − c, 1/√(σ² + ε)); every group of the batch is written
//   running_mean  r  [columns]    in training r ← r + momentum (μ − r), if tracked
//   running_var   s  [columns]    likewise with the unbiased variance Σ(x − μ)²/(n − 1)
//
// c is the group's first element: with d = x − c, μ − c = Σ d/n and σ² = Σ (d − (μ − c))²/n, in two
// passes, so that a mean far larger than the spread costs no digits. Outside of training tracked
// statistics are taken as they are, with c = r.
//
// A workgroup computes LANES groups, each element summed in a fixed order.
//
// Host record and CPU twin: src/ops/norm.rs

@group(0) @binding(2) var<storage, read> input: array<Input>;
@group(0) @binding(3) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> running_var: array<f32>;

@compute @workgroup_size(LANES * LANES)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = group_and_lane(index, PER_ROW);
    let group = batch_group(block.x, block.z, blocks.x) * LANES + at.x;
    let exists = group < groups();
    if step.training == 0u && shape.tracked != 0u {
        if exists && at.y == 0u {
            store(group, running_mean[group], 0.0, running_var[group]);
        }
    } else {
        // Lanes of no group have no elements, but take part in the sums.
        let len = select(0u, group_len(), exists);
        var centre = 0.0;
        if exists { centre = f32(input[element(group, 0u)]); }
        var sum = 0.0;
        for (var i = at.y; i < len; i += LANES) {
            sum += f32(input[element(group, i)]) - centre;
        }
        let count = f32(group_len());
        let shift = sum_of_lanes(at, sum) / count;
        var squares = 0.0;
        for (var i = at.y; i < len; i += LANES) {
            let d = (f32(input[element(group, i)]) - centre) - shift;
            squares += d * d;
        }
        squares = sum_of_lanes(at, squares);
        if exists && at.y == 0u {
            store(group, centre, shift, squares / count);
            if shape.tracked != 0u {
                let mean = moved(running_mean[group], centre + shift);
                let variance = moved(running_var[group], squares / (count - 1.0));
                // What a batch breaks must not outlive it.
                if is_finite(mean) && is_finite(variance) {
                    running_mean[group] = mean;
                    running_var[group] = variance;
                }
            }
        }
    }
}

fn moved(running: f32, statistic: f32) -> f32 {
    let between = running + shape.momentum * (statistic - running);
    return select(between, statistic, shape.momentum == 1.0);
}

fn store(group: u32, centre: f32, shift: f32, variance: f32) {
    statistics[3u * group] = centre;
    statistics[3u * group + 1u] = shift;
    statistics[3u * group + 2u] = 1.0 / sqrt(variance + shape.eps);
}
