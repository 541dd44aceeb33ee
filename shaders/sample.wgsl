// sample:  batch row b ← data row π(first + row0 + b), as f32
//
//   source  [words]           the data set: rows of `columns` numbers in the FORMAT, the first from
//                             number `offset` on and each `stride` numbers behind the one before
//   batch   [batch, columns]  every element of the batch's rows is written
//   rows    [batch]           π of each, for the loss to find the targets by
//
// For nets whose first stage is no linear layer, which gathers its rows itself, and for data that
// doesn't lie as the other kernels read it. π is order.wgsl's. A workgroup copies one row.
//
// Host record and CPU twin: src/ops/sample.rs, src/sampler.rs

struct SampleShape {
    columns: u32,
    offset: u32,
    stride: u32,
}

@group(0) @binding(1) var<uniform> shape: SampleShape;
@group(0) @binding(2) var<storage, read> source: array<u32>;
@group(0) @binding(3) var<storage, read_write> batch: array<f32>;
@group(0) @binding(4) var<storage, read_write> rows: array<u32>;

override WORKGROUP: u32;
override FORMAT: u32;

const FLOAT16 = 1u;
const UNORM8 = 2u;
const UINT8 = 3u;
const UINT32 = 4u;

var<workgroup> shared_row: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let sample = batch_group(group.x, group.z, groups.x);
    let exists = sample < step.batch;
    if exists && lane == 0u {
        let row = row_of(step.row0 + sample);
        shared_row = row;
        rows[sample] = row;
    }
    workgroupBarrier();
    let start = shape.offset + shared_row * shape.stride;
    let columns = select(0u, shape.columns, exists);
    for (var k = lane; k < columns; k += WORKGROUP) {
        batch[sample * shape.columns + k] = number(start + k);
    }
}

// Number `index` of the source.
fn number(index: u32) -> f32 {
    switch FORMAT {
        case FLOAT16: { return unpack2x16float(source[index >> 1u])[index & 1u]; }
        case UNORM8: { return unpack4x8unorm(source[index >> 2u])[index & 3u]; }
        case UINT8: { return f32((source[index >> 2u] >> (8u * (index & 3u))) & 0xFFu); }
        case UINT32: { return f32(source[index]); }
        default: { return bitcast<f32>(source[index]); }
    }
}
