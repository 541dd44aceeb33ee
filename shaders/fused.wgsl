// fused:  forward, loss and backward of a net of linear layers in one dispatch: of each layer
//         Z = X·Wᵀ + b,  Y = a(Z)  and  dW = dZᵀ·X,  db = Σ dZ,  dX = dZ·W
//
//   input          [rows, in]        the data set's rows or, unless `gathered`, those of the batch
//   target_values  [rows, target_width]  likewise; each row followed by ω where rows are weighted
//   weight         [outputs]         of the loss
//   parameters     the arena
//   kept           [layers][groups·TILE rows][quads of columns]  X of each layer, and Z where the
//                  derivative is computed from it: of the tile at hand, each workgroup its own
//   partials       [groups][partial_stride]  dW and db in the order of the arena, summed over the
//                  workgroup's rows; gradient_sum adds them up
//   metrics        [slots, GROUPS]   as of loss.wgsl
//
// A workgroup takes TILE rows through the whole net and back, then the next, so that what a layer makes
// is in workgroup memory for the next one, and what the way back needs is in the caches. `tile` holds the
// activations at hand, and on the way back dL/dZ. All layers but the last end in the same activation, the
// last in none. Shape and bindings are in fused_shape.wgsl, the products in fused_products.wgsl.
//
// Host record: src/ops/fused.rs. Its twins are those of the layers and of the loss, which the CPU engine
// runs: src/ops/tests/fused.rs

// [column][quad of rows], with a spare vector against bank conflicts.
var<workgroup> tile: array<vec4<f32>, 4u * COLUMN_QUADS * (PANELS * LANES / COLUMN_QUADS + 1u)>;
var<workgroup> data_rows: array<u32, 4u * PANELS * LANES / COLUMN_QUADS>;
var<workgroup> lane_reports: array<vec4<f32>, PANELS * LANES / COLUMN_QUADS>;

// Where an invocation works.
struct Place {
    lane: u32,
    // Its quad of columns, and the first of its quads of rows.
    column_quad: u32,
    row_quad: u32,
    // The workgroup's first row in `kept`, and its first element in `partials`.
    kept_row: u32,
    partial_at: u32,
}

fn row_lanes() -> u32 {
    return LANES / COLUMN_QUADS;
}

// Quads of rows of a tile.
fn row_quads() -> u32 {
    return PANELS * row_lanes();
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile_rows = 4u * row_quads();
    let first_row = group.x * tile_rows;
    let place = Place(
        lane,
        lane % COLUMN_QUADS,
        lane / COLUMN_QUADS,
        first_row,
        group.x * shape.partial_stride,
    );
    var report = vec4<f32>();
    for (var row0 = first_row; row0 < step.batch; row0 += groups.x * tile_rows) {
        load_inputs(place, row0);
        for (var l = 0u; l < shape.layers; l++) { forward(place, l); }
        report += losses(place, row0);
        // What was kept is read by others now.
        storageBarrier();
        workgroupBarrier();
        let adds = step.accumulate != 0u || row0 != first_row;
        for (var above = shape.layers; above > 0u; above--) {
            let layer = shape.layer[above - 1u];
            add_weight_gradient(place, layer, adds);
            add_bias_gradient(place, layer, adds);
            if above > 1u { input_gradient(place, layer); }
        }
        storageBarrier();
        workgroupBarrier();
    }
    if first_row >= step.batch && step.accumulate == 0u {
        for (var i = lane; i < shape.partial_stride; i += LANES) {
            partials[place.partial_at + i] = 0.0;
        }
    }
    if lane < row_quads() { lane_reports[lane] = report; }
    workgroupBarrier();
    if lane == 0u {
        for (var i = 1u; i < row_quads(); i++) { report += lane_reports[i]; }
        metrics[step.slot * GROUPS + group.x] = report;
    }
}

// X of the first layer, 0 behind the last row and column.
fn load_inputs(place: Place, row0: u32) {
    let tile_rows = 4u * row_quads();
    for (var r = place.lane; r < tile_rows; r += LANES) {
        data_rows[r] = 0u;
        if row0 + r < step.batch { data_rows[r] = row_of(step.row0 + row0 + r); }
    }
    workgroupBarrier();
    let layer = shape.layer[0];
    for (var p = 0u; p < PANELS; p++) {
        var block: mat4x4<f32>;
        for (var i = 0u; i < 4u; i++) {
            let r = tile_row(place, p, i);
            if row0 + r < step.batch {
                let row = select(row0 + r, data_rows[r], shape.gathered_inputs != 0u);
                block[i] = input_run(row, 4u * place.column_quad, layer.in_features);
            }
            keep(place, layer.input_at, layer.in_features, r, block[i]);
        }
        store_tile(place, p, block);
    }
    workgroupBarrier();
}

fn input_run(row: u32, column: u32, columns: u32) -> vec4<f32> {
    // What lies behind the end is read from within, and dropped: cheaper than not to read it.
    let last = columns - 1u;
    let start = row * columns;
    let run = vec4<f32>(
        input[start + min(column, last)],
        input[start + min(column + 1u, last)],
        input[start + min(column + 2u, last)],
        input[start + min(column + 3u, last)],
    );
    return inside(column, columns, run);
}

// Y of a layer from X, both in the tile.
fn forward(place: Place, l: u32) {
    let layer = shape.layer[l];
    let column = 4u * place.column_quad;
    var sums: array<vec4<f32>, 4u * PANELS>;
    times_weight(place, layer, true, &sums);
    let bias = bias_run(layer, column);
    for (var p = 0u; p < PANELS; p++) {
        var block: mat4x4<f32>;
        for (var i = 0u; i < 4u; i++) {
            let z = inside(column, layer.out_features, sums[4u * p + i] + bias);
            block[i] = z;
            if l + 1u < shape.layers {
                let above = shape.layer[l + 1u];
                let r = tile_row(place, p, i);
                let y = inside(column, layer.out_features, activate_run(z));
                block[i] = y;
                keep(place, above.input_at, layer.out_features, r, y);
                if keeps_preactivation() {
                    keep(place, above.below_at, layer.out_features, r, z);
                }
            }
        }
        store_tile(place, p, block);
    }
    workgroupBarrier();
}

fn activate_run(z: vec4<f32>) -> vec4<f32> {
    let parameter = shape.activation_parameter;
    return vec4<f32>(
        activate(z.x, parameter),
        activate(z.y, parameter),
        activate(z.z, parameter),
        activate(z.w, parameter),
    );
}

// The loss of the tile's rows, whose gradient takes the place of the predictions. An invocation takes four
// rows, which lie in the same vectors.
fn losses(place: Place, row0: u32) -> vec4<f32> {
    var report = vec4<f32>();
    if place.lane >= row_quads() { return report; }
    for (var i = 0u; i < 4u; i++) {
        let r = 4u * place.lane + i;
        let row = row0 + r;
        if row < step.batch {
            let target_row = select(row, data_rows[r], shape.gathered_targets != 0u);
            report += loss_of_row(r, target_row * (shape.target_width + step.weighted));
        } else {
            for (var k = 0u; k < shape.outputs; k++) { set_gradient(r, k, 0.0); }
        }
    }
    return report;
}

fn prediction_of(row: u32, output: u32) -> f32 {
    return tile[tile_at(output, row / 4u)][row % 4u];
}

fn set_gradient(row: u32, output: u32, slope: f32) {
    let at = tile_at(output, row / 4u);
    var rows = tile[at];
    rows[row % 4u] = slope;
    tile[at] = rows;
}

// dZ of the layer below from a layer's, both in the tile.
fn input_gradient(place: Place, layer: FusedLayer) {
    let column = 4u * place.column_quad;
    var sums: array<vec4<f32>, 4u * PANELS>;
    times_weight(place, layer, false, &sums);
    for (var p = 0u; p < PANELS; p++) {
        var block: mat4x4<f32>;
        for (var i = 0u; i < 4u; i++) {
            if column < layer.in_features {
                let k = kept[kept_at(place, layer.below_at, layer.in_features, tile_row(place, p, i))];
                block[i] = inside(column, layer.in_features, sums[4u * p + i] * derivative_run(k));
            }
        }
        store_tile(place, p, block);
    }
    workgroupBarrier();
}

fn derivative_run(k: vec4<f32>) -> vec4<f32> {
    let parameter = shape.activation_parameter;
    return vec4<f32>(
        activation_derivative(k.x, parameter),
        activation_derivative(k.y, parameter),
        activation_derivative(k.z, parameter),
        activation_derivative(k.w, parameter),
    );
}

// Row i of an invocation's block p.
fn tile_row(place: Place, p: u32, i: u32) -> u32 {
    return 4u * (place.row_quad + p * row_lanes()) + i;
}

fn tile_at(column: u32, row_quad: u32) -> u32 {
    return column * (row_quads() + 1u) + row_quad;
}

// Puts four rows of an invocation's columns into the tile.
fn store_tile(place: Place, p: u32, rows: mat4x4<f32>) {
    let columns = transpose(rows);
    let at = tile_at(4u * place.column_quad, place.row_quad + p * row_lanes());
    for (var j = 0u; j < 4u; j++) { tile[at + j * (row_quads() + 1u)] = columns[j]; }
}

fn kept_at(place: Place, first: u32, columns: u32, row: u32) -> u32 {
    return first + (place.kept_row + row) * ((columns + 3u) / 4u) + place.column_quad;
}

fn keep(place: Place, first: u32, columns: u32, row: u32, run: vec4<f32>) {
    if 4u * place.column_quad < columns { kept[kept_at(place, first, columns, row)] = run; }
}

// Four neighbours from a column on, 0 behind the last.
fn inside(column: u32, columns: u32, run: vec4<f32>) -> vec4<f32> {
    let place = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(), run, place < vec4<u32>(columns));
}
