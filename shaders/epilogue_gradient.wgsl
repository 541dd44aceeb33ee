// epilogue_gradient: stores dZ of the stage that made a kernel's input, from dL/dY of it.

// Up to four neighbours of a row of `columns`, from a column on that is a multiple of four.
fn write_gradient_run(row: u32, column: u32, columns: u32, gradient: vec4<f32>) {
    let index = row * columns + column;
    let factors = dropout_factors(row, column);
    write_gradient(index, gradient.x, factors.x);
    if column + 1u < columns { write_gradient(index + 1u, gradient.y, factors.y); }
    if column + 2u < columns { write_gradient(index + 2u, gradient.z, factors.z); }
    if column + 3u < columns { write_gradient(index + 3u, gradient.w, factors.w); }
}

fn write_gradient(index: u32, gradient: f32, factor: f32) {
    let slope = activation_derivative(f32(kept[index]), epilogue.parameter);
    gradient_input[index] = to_gradient_input(gradient * slope * factor);
}

