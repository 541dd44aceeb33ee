// Strips of eight rows that a workgroup of matmul_direct.wgsl owns.
const STRIPS = 1u;

