//! The operations of a training step, in the order of the data flow.
//!
//! Each file holds an op's kernel record, its uniform and its CPU twin; the kernel itself is the
//! file of the same name in `shaders/`.

pub(crate) mod activation;
pub(crate) mod encoding;
pub(crate) mod epilogue;
pub(crate) mod fused;
pub(crate) mod generate;
pub(crate) mod gradient_sum;
pub(crate) mod halve;
pub(crate) mod insight;
pub(crate) mod linear;
pub(crate) mod loss;
pub(crate) mod metrics;
pub(crate) mod norm;
pub(crate) mod optimizer;
pub(crate) mod product;
pub(crate) mod sample;
pub(crate) mod scaling;
pub(crate) mod step;
#[cfg(test)]
pub(crate) mod tests;

/// Joins WGSL files of `shaders/` into one module.
macro_rules! wgsl {
    ($($file:literal),+) => {
        concat!($(include_str!(concat!("../../shaders/", $file, ".wgsl"))),+)
    };
}
pub(crate) use wgsl;

/// Invocations of a workgroup of the kernels that work element by element or row by row.
pub(crate) const WORKGROUP: u32 = 64;

/// Every record, for the tests that hold for all of them.
#[cfg(test)]
pub(crate) fn all() -> Vec<&'static crate::engine::kernel::Kernel> {
    let products =
        [&linear::LINEAR_FORWARD, &linear::LINEAR_BACKWARD_INPUT, &linear::LINEAR_BACKWARD_WEIGHT];
    let products = products.into_iter().flat_map(|family| family.kernels.iter().flatten());
    let others = [
        &sample::SAMPLE,
        &generate::GENERATE,
        &encoding::ENCODING_FORWARD,
        &norm::NORM_STATISTICS,
        &norm::NORM_FORWARD,
        &activation::ACTIVATION_FORWARD,
        &loss::LOSS_ELEMENTWISE,
        &loss::CROSS_ENTROPY,
        &activation::ACTIVATION_BACKWARD,
        &norm::NORM_BACKWARD_COLUMNS,
        &norm::NORM_BACKWARD_ROWS,
        &norm::NORM_BACKWARD_INPUT,
        &encoding::ENCODING_BACKWARD,
        &gradient_sum::GRADIENT_SUM,
        &optimizer::GRADIENT_NORM,
        &optimizer::OPTIMIZER,
        &scaling::SCALE,
        &halve::HALVE,
        &insight::INSIGHT,
        &insight::DEAD_UNITS,
        &crate::bench::BENCH_FMA,
        &crate::bench::BENCH_COPY,
    ];
    let fused = fused::FUSED.iter().flatten();
    others.into_iter().chain(products).chain(fused).collect()
}

/// The tiled matrix products: records of [`all`] whose hot loop has to be multiply-adds.
#[cfg(test)]
pub(crate) fn tiled_products() -> Vec<&'static crate::engine::kernel::Kernel> {
    all().into_iter().filter(|kernel| kernel.name.contains(".tiled")).collect()
}
