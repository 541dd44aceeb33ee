// finite: what isn't finite stays seen. By bits: a compiler that assumes finite numbers may fold away a
// comparison.

// Whether a number is neither NaN nor infinite.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7F800000u) != 0x7F800000u;
}

// y, computed from x, or NaN where x is: drivers may turn NaN into a number, in builtins (SwiftShader's
// exp) and in comparisons (Mesa's OpenGL).
fn keep_nan(y: f32, x: f32) -> f32 {
    return select(y, x, (bitcast<u32>(x) & 0x7FFFFFFFu) > 0x7F800000u);
}
