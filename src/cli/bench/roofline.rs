//! The picture: what the device could do, and what was measured.

use wgrad::bench::{KernelTime, Peak};

use super::Bench;
use crate::cli::figure::{Axis, Figure, Line, Panel};

/// Kinds of kernels by their names' beginnings, in the order of their colours; the last takes the
/// rest.
const FAMILIES: [(&str, &[&str]); 6] = [
    ("products", &["linear"]),
    ("norms", &["norm"]),
    ("activations", &["activation"]),
    ("loss", &["cross_entropy", "loss"]),
    ("optimizer", &["optimizer", "gradient_"]),
    ("others", &[""]),
];
/// Colour of the roof.
const ROOF: usize = 6;

/// FLOPs a byte, and FLOPs a second.
type Point = (f64, f64);

/// Whole steps, and on a GPU their dispatches alone.
pub(super) fn figure(bench: &Bench) -> Figure {
    let steps = bench.rows.iter().enumerate().map(|(color, row)| {
        let point = (row.least.intensity(), row.flops_per_second());
        Line::new(row.workload.name(), color, [giga(point)]).dots()
    });
    let mut panels = vec![panel(
        "whole steps, against what they can't do without",
        &bench.peak,
        steps.collect(),
    )];
    let kernels = || bench.rows.iter().flat_map(|row| &row.gpu).flat_map(|(_, kernels)| kernels);
    if kernels().next().is_some() {
        let family = |kernel: &KernelTime| {
            let begins = |beginning: &&str| kernel.kernel.starts_with(beginning);
            FAMILIES.iter().position(|(_, beginnings)| beginnings.iter().any(begins))
        };
        let line = |(color, (name, _)): (usize, &(&str, _))| {
            let points = kernels().filter(|kernel| family(kernel) == Some(color)).filter_map(point);
            Line::new(*name, color, points.map(giga)).dots()
        };
        let mut lines: Vec<_> = FAMILIES.iter().enumerate().map(line).collect();
        // What only moves numbers, or isn't known, has no place.
        lines.retain(|line| !line.points.is_empty());
        panels.insert(0, panel("dispatches, one by one", &bench.peak, lines));
    }
    Figure { title: format!("Rooflines of {}", bench.device), panels }
}

fn point(kernel: &KernelTime) -> Option<Point> {
    let work = kernel.work.filter(|work| work.flops > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
    let flops = work.flops as f64;
    Some((work.intensity(), flops / kernel.time.seconds))
}

/// The points below the roof, which reaches as far as they do and beyond its ridge.
fn panel(title: &str, peak: &Peak, mut lines: Vec<Line>) -> Panel {
    let ridge = peak.ridge();
    let intensities = || lines.iter().flat_map(|line| &line.points).map(|point| point.0);
    let least = intensities().fold(ridge / 4.0, f64::min);
    let most = intensities().fold(ridge * 4.0, f64::max);
    let roof = [least, ridge, most].map(|intensity| giga((intensity, peak.attainable(intensity))));
    lines.insert(0, Line::new("roofline", ROOF, roof));
    Panel { title: title.to_owned(), x: Axis::log("FLOP a byte"), y: Axis::log("GFLOP/s"), lines }
}

fn giga((intensity, flops): Point) -> Point {
    (intensity, 1e-9 * flops)
}
