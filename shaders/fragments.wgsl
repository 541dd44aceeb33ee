// fragments: what matmul_cooperative.wgsl does with squares of SIZE×SIZE in workgroup memory, row-major.

fn left_fragment(at: u32) -> Left {
    return coopLoadT<Left>(&left_tile[at], SIZE);
}

fn right_fragment(at: u32) -> Right {
    return coopLoadT<Right>(&right_tile[at], BLOCK);
}

fn multiply_add(a: Left, b: Right, sum: Sum) -> Sum {
    return coopMultiplyAdd(a, b, sum);
}

fn stage(sum: Sum, at: u32) {
    coopStoreT(sum, &staged[at], SIZE);
}

