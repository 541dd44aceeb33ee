// fused_products: the products of fused.wgsl. One factor is the tile, the other passes through `staged`,
// some steps of the inner dimension at a time. Every element is summed in the order of that.

// Vectors of the other factor that are there at once, without the spare ones.
const STAGED = 256u;

// [step][quad of columns], with a spare vector against bank conflicts.
var<workgroup> staged: array<vec4<f32>, STAGED + STAGED / COLUMN_QUADS>;

// Steps at once.
fn steps() -> u32 {
    return STAGED / COLUMN_QUADS;
}

fn staged_at(k: u32, column_quad: u32) -> u32 {
    return k * (COLUMN_QUADS + 1u) + column_quad;
}

// sums += tile·Wᵀ if `forward`, else tile·W; when it returns, nobody reads the tile any more.
fn times_weight(
    place: Place,
    layer: FusedLayer,
    forward: bool,
    sums: ptr<function, array<vec4<f32>, 4u * PANELS>>,
) {
    let depth = select(layer.out_features, layer.in_features, forward);
    for (var k0 = 0u; k0 < depth; k0 += steps()) {
        for (var cell = place.lane; cell < STAGED / 4u; cell += LANES) {
            stage_weight(layer, forward, k0, cell);
        }
        workgroupBarrier();
        for (var k = 0u; k < steps(); k++) {
            let b = staged[staged_at(k, place.column_quad)];
            for (var p = 0u; p < PANELS; p++) {
                let a = tile[tile_at(k0 + k, place.row_quad + p * row_lanes())];
                (*sums)[4u * p] += a.x * b;
                (*sums)[4u * p + 1u] += a.y * b;
                (*sums)[4u * p + 2u] += a.z * b;
                (*sums)[4u * p + 3u] += a.w * b;
            }
        }
        workgroupBarrier();
    }
}

// A block of 4×4 of Wᵀ or W; neighbouring invocations load neighbouring memory.
fn stage_weight(layer: FusedLayer, forward: bool, k0: u32, cell: u32) {
    var k: u32;
    var column_quad: u32;
    var block: mat4x4<f32>;
    if forward {
        k = 4u * (cell % (steps() / 4u));
        column_quad = cell / (steps() / 4u);
        let column = 4u * column_quad;
        block = transpose(mat4x4<f32>(
            weight_run(layer, column, k0 + k),
            weight_run(layer, column + 1u, k0 + k),
            weight_run(layer, column + 2u, k0 + k),
            weight_run(layer, column + 3u, k0 + k),
        ));
    } else {
        k = 4u * (cell / COLUMN_QUADS);
        column_quad = cell % COLUMN_QUADS;
        let column = 4u * column_quad;
        block = mat4x4<f32>(
            weight_run(layer, k0 + k, column),
            weight_run(layer, k0 + k + 1u, column),
            weight_run(layer, k0 + k + 2u, column),
            weight_run(layer, k0 + k + 3u, column),
        );
    }
    for (var i = 0u; i < 4u; i++) { staged[staged_at(k + i, column_quad)] = block[i]; }
}

// Four neighbours of a row of W, 0 outside.
fn weight_run(layer: FusedLayer, row: u32, column: u32) -> vec4<f32> {
    if row >= layer.out_features || column >= layer.in_features { return vec4<f32>(); }
    let at = layer.weight_at + row * layer.in_features + column;
    if layer.in_features % 4u == 0u { return parameters[at / 4u]; }
    let last = layer.in_features - 1u - column;
    let run = vec4<f32>(
        parameter(at),
        parameter(at + min(1u, last)),
        parameter(at + min(2u, last)),
        parameter(at + min(3u, last)),
    );
    return inside(column, layer.in_features, run);
}

fn bias_run(layer: FusedLayer, column: u32) -> vec4<f32> {
    // Tensors start at multiples of four and padding is there up to the next.
    if column >= layer.out_features { return vec4<f32>(); }
    return parameters[(layer.bias_at + column) / 4u];
}

fn parameter(at: u32) -> f32 {
    return parameters[at / 4u][at % 4u];
}

// Adds tileᵀ·X of the layer to the workgroup's sums, or begins them with it.
fn add_weight_gradient(place: Place, layer: FusedLayer, adds: bool) {
    let quads = (layer.in_features + 3u) / 4u;
    // An invocation's blocks cover as many outputs as the tile has rows.
    for (var first = 0u; first < layer.out_features; first += 4u * row_quads()) {
        var sums: array<vec4<f32>, 4u * PANELS>;
        for (var row0 = 0u; row0 < 4u * row_quads(); row0 += steps()) {
            for (var cell = place.lane; cell < STAGED; cell += LANES) {
                let row = cell / COLUMN_QUADS;
                let column_quad = cell % COLUMN_QUADS;
                var run = vec4<f32>();
                if column_quad < quads {
                    let kept_row = place.kept_row + row0 + row;
                    run = kept[layer.input_at + kept_row * quads + column_quad];
                }
                staged[staged_at(row, column_quad)] = run;
            }
            workgroupBarrier();
            for (var row = 0u; row < steps(); row += 4u) {
                let b0 = staged[staged_at(row, place.column_quad)];
                let b1 = staged[staged_at(row + 1u, place.column_quad)];
                let b2 = staged[staged_at(row + 2u, place.column_quad)];
                let b3 = staged[staged_at(row + 3u, place.column_quad)];
                for (var p = 0u; p < PANELS; p++) {
                    for (var i = 0u; i < 4u; i++) {
                        // Behind the last column any will do.
                        let output = min(first + tile_row(place, p, i), 4u * COLUMN_QUADS - 1u);
                        let a = tile[tile_at(output, (row0 + row) / 4u)];
                        sums[4u * p + i] += a.x * b0;
                        sums[4u * p + i] += a.y * b1;
                        sums[4u * p + i] += a.z * b2;
                        sums[4u * p + i] += a.w * b3;
                    }
                }
            }
            workgroupBarrier();
        }
        for (var p = 0u; p < PANELS; p++) {
            for (var i = 0u; i < 4u; i++) {
                let output = first + tile_row(place, p, i);
                if output < layer.out_features {
                    let row_at = place.partial_at + layer.weight_at + output * layer.in_features;
                    for (var j = 0u; j < 4u; j++) {
                        let column = 4u * place.column_quad + j;
                        if column < layer.in_features {
                            add_partial(row_at + column, sums[4u * p + i][j], adds);
                        }
                    }
                }
            }
        }
    }
}

fn add_bias_gradient(place: Place, layer: FusedLayer, adds: bool) {
    for (var output = place.lane; output < layer.out_features; output += LANES) {
        var sum = vec4<f32>();
        for (var q = 0u; q < row_quads(); q++) { sum += tile[tile_at(output, q)]; }
        add_partial(place.partial_at + layer.bias_at + output, sum.x + sum.y + sum.z + sum.w, adds);
    }
}

// Always the same invocation for the same element.
fn add_partial(at: u32, sum: f32, adds: bool) {
    if adds { partials[at] += sum; } else { partials[at] = sum; }
}
