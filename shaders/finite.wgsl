// finite: whether a number is neither NaN nor infinite. By bits: a compiler that assumes finite numbers
// may fold away a comparison.

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7F800000u) != 0x7F800000u;
}
