//! The measurements as tables and as JSON.

use serde_json::{Value, json};
use wgrad::bench::{KernelTime, Peak, StepCounts, Work};

use super::{Bench, Row};
use crate::cli::table::Table;
use crate::cli::talk::{significant, with_prefix};

impl Bench {
    pub(super) fn text(&self) -> String {
        let Peak { flops_per_second, bytes_per_second, .. } = self.peak;
        let mut text = format!(
            "{}\npeaks: {} of multiply-adds, {} of a copy; below {} FLOP/B memory decides\n\n{}",
            self.device,
            with_prefix(flops_per_second, "FLOP/s"),
            with_prefix(bytes_per_second, "B/s"),
            significant(self.peak.ridge()),
            self.steps().text()
        );
        for row in &self.rows {
            if let Some((_, kernels)) = &row.gpu {
                let heading = format!("{}: {}", row.workload, row.workload.summary());
                text += &format!("\n{heading}\n{}", row.kernels(kernels, &self.peak).text());
            }
        }
        text
    }

    /// A workload a row.
    fn steps(&self) -> Table {
        let on_gpu = self.rows.iter().any(|row| row.gpu.is_some());
        let mut head = vec!["", "steps/s", "±", "samples/s", "FLOP a step", "FLOP/s", "of peak"];
        if on_gpu {
            head.extend(["B a step", "dispatches", "submissions", "waits"]);
        }
        let mut table = Table::new(&head);
        for row in &self.rows {
            let mut cells = vec![
                row.workload.to_string(),
                significant(row.rate.steps_per_second),
                row.scatter(),
                with_prefix(row.samples_per_second(), "").trim_end().to_owned(),
                with_prefix(float(row.least.flops), ""),
                with_prefix(row.flops_per_second(), ""),
                percent(row.flops_per_second() / self.peak.flops_per_second),
            ];
            if let Some((counts, kernels)) = &row.gpu {
                cells.extend([with_prefix(float(total(kernels).bytes), "")]);
                let StepCounts { dispatches, submissions, waits, .. } = *counts;
                cells.extend([dispatches, submissions, waits].map(average));
            }
            table.row(cells);
        }
        table
    }

    pub(super) fn json(&self) -> String {
        let object = json!({
            "engine": self.engine,
            "device": self.device,
            "software": self.software,
            "seconds": self.seconds,
            "peak": {
                "flops_per_second": self.peak.flops_per_second,
                "bytes_per_second": self.peak.bytes_per_second,
                "spread": self.peak.spread,
            },
            "workloads": self.rows.iter().map(|row| row.json(&self.peak)).collect::<Vec<_>>(),
            "warnings": self.warnings(),
        });
        format!("{object}\n")
    }
}

impl Row {
    fn samples_per_second(&self) -> f64 {
        self.rate.steps_per_second * float(self.batch_size as u64)
    }

    pub(super) fn flops_per_second(&self) -> f64 {
        self.rate.steps_per_second * float(self.least.flops)
    }

    /// Half the spread, if there is one.
    fn scatter(&self) -> String {
        if self.rate.samples > 1 { percent(self.rate.spread / 2.0) } else { "—".into() }
    }

    /// A dispatch a row, and all of them.
    fn kernels(&self, kernels: &[KernelTime], peak: &Peak) -> Table {
        let head = ["dispatch", "time", "share", "FLOP/s", "B/s", "FLOP/B", "of roofline"];
        let mut table = Table::new(&head);
        let all: f64 = kernels.iter().map(|kernel| kernel.time.seconds).sum();
        for kernel in kernels {
            let name = format!("{}[{}]", kernel.kernel, kernel.place);
            table.row(cells(name, kernel.time.seconds, all, kernel.work, peak));
        }
        let least: f64 = kernels.iter().filter_map(|k| k.work).map(|work| peak.seconds(work)).sum();
        let mut sum = cells("all".into(), all, all, Some(total(kernels)), peak);
        if let Some(share) = sum.last_mut() {
            // Each against its own roof.
            *share = percent(least / all);
        }
        table.row(sum);
        let step = self.rate.steps_per_second.recip();
        let mut end = vec!["end to end".to_owned(), with_prefix(step, "s"), percent(step / all)];
        end.resize(head.len(), String::new());
        table.row(end);
        table
    }

    fn json(&self, peak: &Peak) -> Value {
        let mut object = json!({
            "workload": self.workload.name(),
            "summary": self.workload.summary(),
            "batch_size": self.batch_size,
            "steps_per_second": self.rate.steps_per_second,
            "samples_per_second": self.samples_per_second(),
            "spread": self.rate.spread,
            "samples": self.rate.samples,
            "flops_per_step": self.least.flops,
            "least_bytes_per_step": self.least.bytes,
            "flops_per_second": self.flops_per_second(),
            "of_peak": self.flops_per_second() / peak.flops_per_second,
        });
        if let Some((counts, kernels)) = &self.gpu {
            object["dispatches_per_step"] = json!(counts.dispatches);
            object["submissions_per_step"] = json!(counts.submissions);
            object["waits_per_step"] = json!(counts.waits);
            object["bytes_per_step"] = json!(total(kernels).bytes);
            object["kernels"] = kernels.iter().map(|kernel| kernel_json(kernel, peak)).collect();
        }
        object
    }
}

fn kernel_json(kernel: &KernelTime, peak: &Peak) -> Value {
    let mut object = json!({
        "kernel": kernel.kernel,
        "place": kernel.place,
        "seconds": kernel.time.seconds,
        "spread": kernel.time.spread,
        "samples": kernel.time.count,
    });
    if let Some(work) = kernel.work {
        object["flops"] = json!(work.flops);
        object["bytes"] = json!(work.bytes);
        object["of_roofline"] = json!(peak.seconds(work) / kernel.time.seconds);
    }
    object
}

/// The cells of what takes `seconds` of `all`.
fn cells(name: String, seconds: f64, all: f64, work: Option<Work>, peak: &Peak) -> Vec<String> {
    let mut cells = vec![name, with_prefix(seconds, "s"), percent(seconds / all)];
    match work {
        Some(work) => cells.extend([
            with_prefix(float(work.flops) / seconds, ""),
            with_prefix(float(work.bytes) / seconds, ""),
            significant(work.intensity()),
            percent(peak.seconds(work) / seconds),
        ]),
        None => cells.extend(std::iter::repeat_n("—".to_owned(), 4)),
    }
    cells
}

/// The work of all dispatches together.
fn total(kernels: &[KernelTime]) -> Work {
    let works = kernels.iter().filter_map(|kernel| kernel.work);
    works.fold(Work::default(), |sum, work| Work {
        flops: sum.flops + work.flops,
        bytes: sum.bytes + work.bytes,
    })
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// A count per step, whole where it is.
fn average(count: f64) -> String {
    if count.fract() == 0.0 { format!("{count}") } else { format!("{count:.2}") }
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn float(count: u64) -> f64 {
    count as f64
}
