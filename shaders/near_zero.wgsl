// near_zero: eˣ − 1 and ln(1 + x) to a few roundings of the result, where the builtins have an absolute bound
// at best. Shared by activations and losses, and by the WGSL that nets are exported as, which takes paragraphs
// of it.

// eˣ − 1 for x ≤ 0. Near 0 it is x(1 + x/2(1 + x/3(…))), x⁶/7! from the next term.
fn exp_m1(x: f32) -> f32 {
    let series = x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0)))));
    return select(exp(x) - 1.0, series, x > -0.25);
}

// ln(1 + x) = 2 artanh s for x in [0, 1], s = x/(2 + x) ≤ 1/3: 2s(1 + s²/3 + s⁴/5 + …), s¹⁴/15 from the next term.
fn ln_1p(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let n = s * s;
    return 2.0 * s * (1.0 + n * (1.0 / 3.0 + n * (1.0 / 5.0 + n * (1.0 / 7.0
        + n * (1.0 / 9.0 + n * (1.0 / 11.0 + n * (1.0 / 13.0)))))));
}
