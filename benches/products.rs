//! GFLOP/s of the CPU engine's matrix product on square matrices.
//!
//!     cargo bench --bench products [-- THREADS SIZE…]
//!
//! `benches/peers/products.py` runs it beside the products of other libraries.
#![allow(clippy::print_stdout, reason = "a benchmark's results")]

use wgrad::bench::square_product;

/// Seconds for each size.
const SECONDS: f64 = 1.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let typed = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let typed = typed.map(|word| word.parse()).collect::<Result<Vec<usize>, _>>()?;
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let (threads, sizes) = match &typed[..] {
        [] => (vec![1, all], &[512, 1024, 2048][..]),
        [threads] => (vec![*threads], &[512, 1024, 2048][..]),
        [threads, sizes @ ..] => (vec![*threads], sizes),
    };
    for threads in threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        for &size in sizes {
            let samples = pool.install(|| square_product(size, SECONDS))?;
            let gflops = 2e-9 * (size as f64).powi(3) / samples.seconds;
            println!("{threads} {size:>5} {gflops:>8.2} ±{:.0} %", 50.0 * samples.spread);
        }
    }
    Ok(())
}
