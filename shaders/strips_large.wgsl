// What matmul_direct.wgsl keeps in registers: 32 rows × 8 columns an invocation.
const STRIPS = 4u;
const QUADS = 2u;

