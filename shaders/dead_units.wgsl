// dead_units:  how many columns of a stage are 0 in every row of the batch
//
//   kept    [batch, columns]  what the stage kept: Y, or a(Z) where dropout follows
//   result  [.., stages]      the count, at shape.place
//
// One workgroup; each lane takes every WORKGROUP-th column.
//
// Host record and CPU twin: src/ops/insight.rs

struct DeadShape {
    columns: u32,
    place: u32,
}

@group(0) @binding(1) var<uniform> shape: DeadShape;
@group(0) @binding(2) var<storage, read> kept: array<Kept>;
@group(0) @binding(3) var<storage, read_write> result: array<u32>;

override WORKGROUP: u32;

var<workgroup> dead: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    if lane == 0u { atomicStore(&dead, 0u); }
    workgroupBarrier();
    for (var column = lane; column < shape.columns; column += WORKGROUP) {
        var alive = false;
        for (var row = 0u; row < step.batch; row++) {
            alive = alive || f32(kept[row * shape.columns + column]) != 0.0;
        }
        if !alive { atomicAdd(&dead, 1u); }
    }
    workgroupBarrier();
    if lane == 0u { result[shape.place] = atomicLoad(&dead); }
}
