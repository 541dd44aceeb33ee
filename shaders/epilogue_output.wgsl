// epilogue_output: stores Y, and behind it what the derivative needs. For kernels whose `output` is
// an activation buffer.

fn write_output(index: u32, row: u32, column: u32, z: f32) {
    let y = activate(z, epilogue.parameter);
    output[index] = y * dropout_factor(row, column);
    if keeps_apart() {
        output[epilogue.kept + index] = select(y, z, keeps_preactivation());
    }
}

