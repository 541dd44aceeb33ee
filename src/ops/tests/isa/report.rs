//! What a compiled variant needs, and what is asked of it.

use super::assembly::{HotLoop, hot_loop};
use super::radv::Executable;
use crate::engine::kernel::Kernel;
use crate::ops::tiled_products;

/// A family of GPUs.
pub(super) struct Family {
    pub name: &'static str,
    /// What versions of Mesa call one of its members.
    pub members: &'static [&'static str],
    /// Waves of a tiled product that a SIMD has to hold, so that some compute while others wait.
    pub min_waves: Option<u64>,
}

/// Share of multiply-adds among the vector operations of a tiled product's hot loop.
const MIN_MULTIPLY_ADDS: f64 = 0.8;

/// What a variant needs.
#[derive(Clone, Copy)]
pub(super) struct Report {
    vector_registers: u64,
    scalar_registers: u64,
    /// Bytes of workgroup memory.
    shared: u64,
    /// That a SIMD holds; on RDNA a wave of 64 lanes is two.
    waves: u64,
    /// Registers moved to memory.
    spills: u64,
    /// Bytes of memory that an invocation needs for these and for arrays of its own.
    scratch: u64,
    instructions: u64,
    hot_loop: Option<HotLoop>,
}

impl Report {
    pub(super) const HEADINGS: &str = " vgprs  sgprs shared  waves spills scratch instructions | \
        hot loop: valu  fma %  shared bytes/fma  fma % of the loop around | variant";

    pub(super) fn new(executable: &Executable) -> Self {
        let statistic = |name| executable.statistic(name);
        Self {
            vector_registers: statistic("VGPRs"),
            scalar_registers: statistic("SGPRs"),
            shared: statistic("LDS size"),
            waves: statistic("Subgroups per SIMD"),
            spills: statistic("Spilled VGPRs") + statistic("Spilled SGPRs"),
            scratch: statistic("Scratch size"),
            instructions: statistic("Instructions"),
            hot_loop: hot_loop(&executable.assembly),
        }
    }

    /// What the kernel should be better at.
    pub(super) fn findings(&self, family: &Family, kernel: &Kernel) -> Vec<String> {
        let mut findings = Vec::new();
        if self.spills > 0 {
            findings.push(format!("registers spilled: {}", self.spills));
        }
        if self.scratch > 0 {
            findings.push(format!("bytes of an invocation in memory: {}", self.scratch));
        }
        if tiled_products().iter().any(|product| product.name == kernel.name) {
            if let Some(least) = family.min_waves.filter(|&least| self.waves < least) {
                findings.push(format!("waves on a SIMD: {}, not {least}", self.waves));
            }
            let share = self.hot_loop.map_or(0.0, HotLoop::share);
            if share < MIN_MULTIPLY_ADDS {
                findings.push(format!("multiply-adds of the hot loop: {:.0} %", 100.0 * share));
            }
        }
        findings
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { vector_registers, scalar_registers, shared, waves, .. } = self;
        let Self { spills, scratch, instructions, .. } = self;
        write!(f, "{vector_registers:6} {scalar_registers:6} {shared:6} {waves:6} {spills:6} ")?;
        write!(f, "{scratch:7} {instructions:12} | ")?;
        match self.hot_loop {
            Some(hot) => {
                let [share, around] = [hot.share(), hot.share_around()].map(|x| 100.0 * x);
                let bytes = hot.bytes_per_multiply_add();
                write!(f, "{:14} {share:6.1} {bytes:17.2} {around:24.1} |", hot.valu)
            }
            None => write!(f, "{:14} {:>6} {:>17} {:>24} |", "", "", "", ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::linear::LINEAR_FORWARD;
    use crate::ops::product::Form;
    use crate::ops::sample::SAMPLE;

    const FAMILY: Family = Family { name: "a", members: &[], min_waves: Some(8) };
    const GOOD: Report = Report {
        vector_registers: 64,
        scalar_registers: 32,
        shared: 8192,
        waves: 8,
        spills: 0,
        scratch: 0,
        instructions: 900,
        hot_loop: Some(HotLoop {
            valu: 100,
            multiply_adds: 80,
            shared_bytes: 64,
            valu_around: 120,
        }),
    };

    fn tiled() -> &'static Kernel {
        LINEAR_FORWARD.kernel(Form::Tiled8, true)
    }

    #[test]
    fn every_shortcoming_is_a_finding() {
        let hot = HotLoop { valu: 100, multiply_adds: 79, shared_bytes: 64, valu_around: 120 };
        let reports = [
            (GOOD, None),
            (Report { spills: 1, ..GOOD }, Some("registers spilled: 1")),
            (Report { scratch: 16, ..GOOD }, Some("bytes of an invocation in memory: 16")),
            (Report { waves: 7, ..GOOD }, Some("waves on a SIMD: 7, not 8")),
            (Report { hot_loop: Some(hot), ..GOOD }, Some("multiply-adds of the hot loop: 79 %")),
            (Report { hot_loop: None, ..GOOD }, Some("multiply-adds of the hot loop: 0 %")),
        ];
        for (report, finding) in reports {
            let found = report.findings(&FAMILY, tiled());
            assert_eq!(
                found.iter().map(String::as_str).collect::<Vec<_>>(),
                Vec::from_iter(finding)
            );
        }
    }

    #[test]
    fn only_products_need_multiply_adds_and_waves() {
        let report = Report { waves: 1, hot_loop: None, ..GOOD };
        assert!(report.findings(&FAMILY, &SAMPLE).is_empty());
        let relaxed = Family { min_waves: None, ..FAMILY };
        assert!(Report { waves: 1, ..GOOD }.findings(&relaxed, tiled()).is_empty());
    }
}
