// epilogue_output: stores Y, and behind it what the derivative needs. For kernels whose `output` is
// an activation buffer.

// Up to four neighbours of a row of `columns`, from a column on that is a multiple of four.
fn write_run(row: u32, column: u32, columns: u32, z: vec4<f32>) {
    let index = row * columns + column;
    let factors = dropout_factors(row, column);
    write_output(index, z.x, factors.x);
    if column + 1u < columns { write_output(index + 1u, z.y, factors.y); }
    if column + 2u < columns { write_output(index + 2u, z.z, factors.z); }
    if column + 3u < columns { write_output(index + 3u, z.w, factors.w); }
}

fn write_output(index: u32, z: f32, factor: f32) {
    let y = activate(z, epilogue.parameter);
    output[index] = to_output(y * factor);
    if keeps_apart() {
        output[epilogue.kept + index] = to_output(select(y, z, keeps_preactivation()));
    }
}

