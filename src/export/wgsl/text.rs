//! Numbers and vectors as WGSL writes them.

/// Numbers of a vector.
pub(super) const LANES: usize = 4;
pub(super) const LANE_NAMES: [&str; LANES] = ["x", "y", "z", "w"];

/// A number of the same bits: the shortest decimal that is nearest to it.
pub(super) fn literal(number: f32) -> String {
    format!("{number:?}f")
}

/// Up to four numbers as a vector, filled up with 0.
pub(super) fn vector(numbers: &[f32]) -> String {
    let lane = |lane: usize| literal(numbers.get(lane).copied().unwrap_or(0.0));
    format!("vec4<f32>({})", [0, 1, 2, 3].map(lane).join(", "))
}
