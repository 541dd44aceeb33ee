alias WeightCell = Weight;

// Four neighbours of a row of W [out, in] from `column` on; 0 behind the row's end.
fn weight_run(row: u32, column: u32) -> vec4<f32> {
    let columns = shape.in_features;
    let start = row * columns;
    let last = columns - 1u;
    // What lies behind the end is read from within, and dropped: cheaper than not to read it.
    let run = vec4<f32>(
        f32(weight[start + column]),
        f32(weight[start + min(column + 1u, last)]),
        f32(weight[start + min(column + 2u, last)]),
        f32(weight[start + min(column + 3u, last)]),
    );
    return select(vec4<f32>(), run, vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u) <= vec4<u32>(last));
}

