// Quads of rows, and of columns, that an invocation of matmul_tiled.wgsl owns: 8×8 elements; of fused.wgsl,
// quads of rows.
const PANELS = 2u;

