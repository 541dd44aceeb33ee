enable wgpu_cooperative_matrix;

// fragments_8: squares of 8×8 that a subgroup holds and multiplies together, all in f32: what GPUs by way of
// Metal have. The alternative to fragments_16.wgsl.

const SIZE = 8u;

// What is multiplied.
alias Factor = f32;
alias Left = coop_mat8x8<f32, A>;
alias Right = coop_mat8x8<f32, B>;
alias Sum = coop_mat8x8<f32, C>;

