enable f16;
enable wgpu_cooperative_matrix;

// fragments_16: squares of 16×16 that a subgroup holds and multiplies together, f16 times f16 summed in f32: what
// GPUs by way of Vulkan have. The alternative to fragments_8.wgsl.

const SIZE = 16u;

// What is multiplied.
alias Factor = f16;
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;

