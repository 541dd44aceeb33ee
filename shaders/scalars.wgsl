// scalars: matrices as single numbers, for rows of any length. The alternative to quads.wgsl.

alias Cell = f32;

