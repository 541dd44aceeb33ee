//! GFLOP/s of square products in crates that do nothing else.
//!
//!     cargo run --release --features products --bin products -- gemm|matrixmultiply THREADS SIZE…
//!
//! `matrixmultiply` takes as many threads as MATMUL_NUM_THREADS says.

use std::time::Instant;

/// Seconds for each size.
const SECONDS: f64 = 1.0;
const SAMPLES: usize = 7;

fn main() {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let [library, threads, sizes @ ..] = &typed[..] else { panic!("see the top of this file") };
    let threads: usize = threads.parse().expect("a number of threads");
    for size in sizes {
        let n: usize = size.parse().expect("a size");
        let (a, b, mut c) = (vec![0.5_f32; n * n], vec![0.25_f32; n * n], vec![0.0_f32; n * n]);
        let mut product = || match library.as_str() {
            "gemm" => gemm_product(n, &a, &b, &mut c, threads),
            "matrixmultiply" => matrixmultiply_product(n, &a, &b, &mut c),
            _ => panic!("no such library: {library}"),
        };
        product();
        let start = Instant::now();
        product();
        let each = SECONDS / SAMPLES as f64 / start.elapsed().as_secs_f64();
        let repetitions = (each as usize).max(1);
        let mut times: Vec<f64> = (0..SAMPLES)
            .map(|_| {
                let start = Instant::now();
                (0..repetitions).for_each(|_| product());
                start.elapsed().as_secs_f64() / repetitions as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let spread = 50.0 * (times[SAMPLES - 1] - times[0]) / times[SAMPLES / 2];
        let gflops = 2e-9 * (n as f64).powi(3) / times[SAMPLES / 2];
        println!("{threads} {n:>5} {gflops:>8.2} ±{spread:.0} %");
    }
}

fn gemm_product(n: usize, a: &[f32], b: &[f32], c: &mut [f32], threads: usize) {
    let parallelism =
        if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    let stride = n as isize;
    // SAFETY: three row-major matrices of n × n elements.
    unsafe {
        gemm::gemm(
            n, n, n, c.as_mut_ptr(), 1, stride, false, a.as_ptr(), 1, stride, b.as_ptr(), 1, stride,
            0.0, 1.0, false, false, false, parallelism,
        );
    }
}

fn matrixmultiply_product(n: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    let stride = n as isize;
    // SAFETY: as above.
    unsafe {
        matrixmultiply::sgemm(
            n, n, n, 1.0, a.as_ptr(), stride, 1, b.as_ptr(), stride, 1, 0.0, c.as_mut_ptr(), stride, 1,
        );
    }
}
