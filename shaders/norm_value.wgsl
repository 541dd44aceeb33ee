// norm_value: x̂ = (x − μ)/√(σ² + ε) of one element, from a norm's statistics.
//
// μ comes in two parts, a number near the group's own and the small rest, so that a mean far larger
// than the spread costs no digits.

// Whether there are γ and β; else they are 1 and 0.
override AFFINE: bool;

fn normalised(x: f32, group: u32) -> f32 {
    return ((x - statistics[3u * group]) - statistics[3u * group + 1u]) * statistics[3u * group + 2u];
}

