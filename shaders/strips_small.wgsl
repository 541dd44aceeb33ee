// What matmul_direct.wgsl keeps in registers: 16 rows × 4 columns an invocation.
const STRIPS = 2u;
const QUADS = 1u;

