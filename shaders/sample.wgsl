// sample:  batch row b ← data row π(first + row0 + b)
//
//   inputs        [data rows, in]  the data set
//   batch_inputs  [batch, in]      every element of the batch's rows is written
//   rows          [batch]          π of each, for the loss to find the targets by
//
// For nets whose first stage is no linear layer: that gathers its rows itself. π is order.wgsl's. A
// workgroup copies one row.
//
// Host record and CPU twin: src/ops/sample.rs, src/sampler.rs

struct SampleShape {
    in_features: u32,
}

@group(0) @binding(1) var<uniform> shape: SampleShape;
@group(0) @binding(2) var<storage, read> inputs: array<f32>;
@group(0) @binding(3) var<storage, read_write> batch_inputs: array<f32>;
@group(0) @binding(4) var<storage, read_write> rows: array<u32>;

override WORKGROUP: u32;

var<workgroup> shared_row: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let sample = group.x;
    if lane == 0u {
        let row = row_of(step.row0 + sample);
        shared_row = row;
        rows[sample] = row;
    }
    workgroupBarrier();
    let row = shared_row;
    for (var k = lane; k < shape.in_features; k += WORKGROUP) {
        batch_inputs[sample * shape.in_features + k] = inputs[row * shape.in_features + k];
    }
}
