// Quads of rows, and of columns, that an invocation of matmul_tiled.wgsl owns: 4×4 elements; of fused.wgsl,
// quads of rows.
const PANELS = 1u;

