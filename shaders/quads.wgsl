// quads: matrices as vectors of four neighbours, where every row's length is a multiple of four.
// The alternative to scalars.wgsl.

alias Cell = vec4<f32>;

