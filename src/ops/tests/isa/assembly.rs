//! Reads the disassembly of AMD's instructions as Mesa prints it: blocks under labels `BB7:`, an
//! instruction a line, its encoding behind a semicolon.

use std::ops::Range;

/// What the innermost loop that does the multiply-adds consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HotLoop {
    /// Operations of the vector ALU.
    pub valu: usize,
    /// Those of them that multiply and add.
    pub multiply_adds: usize,
    /// Bytes that an invocation reads from workgroup memory.
    pub shared_bytes: usize,
    /// Vector operations of the outermost loop around it, itself included, each counted once.
    pub valu_around: usize,
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
impl HotLoop {
    /// Multiply-adds per vector operation.
    pub(super) fn share(self) -> f64 {
        self.multiply_adds as f64 / self.valu as f64
    }

    /// Multiply-adds per vector operation of the loop around.
    pub(super) fn share_around(self) -> f64 {
        self.multiply_adds as f64 / self.valu_around as f64
    }

    /// Bytes from workgroup memory per multiply-add.
    pub(super) fn bytes_per_multiply_add(self) -> f64 {
        self.shared_bytes as f64 / self.multiply_adds as f64
    }

    /// What lines consist of.
    fn of<'a>(lines: impl Iterator<Item = &'a Line<'a>>) -> Self {
        let mut sum = Self::default();
        for name in lines.flat_map(Line::operations) {
            sum.valu += usize::from(name.starts_with("v_"));
            sum.multiply_adds += usize::from(is_multiply_add(name));
            sum.shared_bytes += shared_bytes(name);
        }
        sum
    }
}

/// The hot loop of a program, if it has a loop with multiply-adds.
///
/// Of all loops, without those inside them, it is the one with the most multiply-adds. The compiler
/// unrolls loops of constant length: where that of a tile is gone, it lies in the loop over tiles,
/// behind the code that fills the tile. So a loop is cut where invocations write workgroup memory or
/// wait for each other, and the piece with the most multiply-adds counts; pieces that read the tile
/// come before those that don't, such as a loop that applies an activation to the sums.
pub(super) fn hot_loop(assembly: &str) -> Option<HotLoop> {
    let lines: Vec<Line> = assembly.lines().filter_map(Line::parse).collect();
    let loops = loops(&lines);
    let count = |lines_of: &[usize]| HotLoop::of(lines_of.iter().map(|&at| &lines[at]));
    let pieces = loops.iter().flat_map(|body| {
        let around = loops.iter().filter(|l| l.contains(body)).max_by_key(|l| l.lines().len());
        let around = count(&around.unwrap_or(body).lines().collect::<Vec<_>>());
        let inside = |at| loops.iter().any(|l| l != body && body.contains(l) && l.has(at));
        let all: Vec<_> = body.lines().collect();
        let pieces = all.split(|&at| inside(at) || lines[at].cuts()).map(count);
        pieces.map(|piece| HotLoop { valu_around: around.valu, ..piece }).collect::<Vec<_>>()
    });
    pieces
        .filter(|piece| piece.multiply_adds > 0)
        .max_by_key(|piece| (piece.shared_bytes > 0, piece.multiply_adds))
}

/// `v_mad` and `v_mac` round twice, at the same rate.
fn is_multiply_add(name: &str) -> bool {
    const STEMS: [&str; 4] = ["fma", "fmac", "mad", "mac"];
    let stem = name.trim_start_matches("v_").trim_start_matches("pk_").trim_start_matches("dual_");
    let (stem, ty) = stem.split_once('_').unwrap_or((stem, ""));
    // fmaak and fmamk have a constant in the instruction.
    let stem = stem.trim_end_matches("ak").trim_end_matches("mk");
    STEMS.contains(&stem) && ty.starts_with('f')
}

/// Bytes that a load from workgroup memory fetches: `ds_load_b128`, `ds_read2_b32`, `ds_load_2addr_b64`.
fn shared_bytes(name: &str) -> usize {
    let Some(load) = name.strip_prefix("ds_load_").or_else(|| name.strip_prefix("ds_read")) else {
        return 0;
    };
    let bits = load.rsplit_once('b').and_then(|(_, bits)| bits.parse().ok()).unwrap_or(0);
    let loads = if load.starts_with('2') { 2 } else { 1 };
    loads * bits / 8
}

/// A line of the program.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Label(&'a str),
    /// A jump to a label.
    Branch(&'a str),
    /// Anything else. RDNA3 pairs operations, `v_dual_a … :: v_dual_b …`.
    Operations([&'a str; 2]),
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let text = line.split(';').next().unwrap_or_default().trim();
        if let Some(label) = text.strip_suffix(':') {
            return Some(Self::Label(label));
        }
        let (first, second) = text.split_once("::").unwrap_or((text, ""));
        let mut words = first.split_whitespace();
        let name = words.next()?;
        if name.starts_with("s_cbranch") || name == "s_branch" {
            return words.next().map(Self::Branch);
        }
        Some(Self::Operations([name, second.split_whitespace().next().unwrap_or_default()]))
    }

    /// Names of its operations, empty where there is none.
    fn operations(&self) -> [&'a str; 2] {
        match *self {
            Self::Operations(names) => names,
            Self::Label(_) | Self::Branch(_) => ["", ""],
        }
    }

    /// Whether it writes workgroup memory or waits for other invocations.
    fn cuts(&self) -> bool {
        let [name, _] = self.operations();
        ["ds_write", "ds_store", "s_barrier"].iter().any(|prefix| name.starts_with(prefix))
    }
}

/// Lines from a label to the last jump back to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loop {
    start: usize,
    /// Behind the jump.
    end: usize,
}

impl Loop {
    fn lines(&self) -> Range<usize> {
        self.start..self.end
    }

    fn has(&self, line: usize) -> bool {
        self.lines().contains(&line)
    }

    fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

fn loops(lines: &[Line<'_>]) -> Vec<Loop> {
    let jump_back = |(start, line): (usize, &Line<'_>)| {
        let Line::Label(label) = line else { return None };
        let is_back = |line: &Line<'_>| matches!(line, Line::Branch(to) if to == label);
        let end = start + lines[start..].iter().rposition(is_back)? + 1;
        Some(Loop { start, end })
    };
    lines.iter().enumerate().filter_map(jump_back).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loop over tiles with a loop that fills them, an unrolled product, and multiply-adds behind.
    const TILED: &str = "BB0:
	v_mov_b32_e32 v1, 0                   ; 7e020280
BB1:
	s_cbranch_scc1 BB9                    ; bfa2020a
BB2:
	v_fma_f32 v2, v3, v4, v5              ; d6100001 02290100
	ds_store_b128 v22, v[24:27]           ; db7c0000 00001816
	s_branch BB2                          ; bfa0ff4d
BB3:
	v_lshlrev_b32_e32 v19, 4, v0          ; 30260084
	ds_load_b128 v[20:23], v19            ; dbfc0000 14000013
	ds_load_2addr_b32 v[20:21], v19       ; dbfc0000 14000013
	v_fmac_f32_e32 v14, v28, v20          ; 561c291c
	v_dual_fmac_f32 v1, v2, v3 :: v_dual_mov_b32 v4, v5 ; 561c291c
	v_mad_u32_u24 v1, v2, v3, v4          ; 561c291c
	s_barrier                             ; bfbd0000
	v_add_f32_e32 v1, v2, v3              ; 561c291c
	s_branch BB1                          ; bfa0fdec
BB9:
	v_fmac_f32_e32 v1, v2, v3             ; 561c291c
	v_fmac_f32_e32 v1, v2, v3             ; 561c291c
	v_fmac_f32_e32 v1, v2, v3             ; 561c291c
	s_endpgm                              ; bfb00000";

    #[test]
    fn an_unrolled_product_is_cut_out_of_the_loop_around_it() {
        let found = hot_loop(TILED);
        assert_eq!(
            found,
            Some(HotLoop { valu: 5, multiply_adds: 2, shared_bytes: 24, valu_around: 7 })
        );
    }

    #[test]
    fn a_loop_that_reads_workgroup_memory_comes_first() {
        let product =
            "BB0:\n\tds_load_b64 v[1:2], v3\n\tv_fmac_f32_e32 v1, v2, v3\n\ts_branch BB0\n";
        let activation =
            "BB1:\n\tv_fmac_f32_e32 v1, v2, v3\n\tv_fmac_f32_e32 v1, v2, v3\n\ts_branch BB1";
        let found = HotLoop { valu: 1, multiply_adds: 1, shared_bytes: 8, valu_around: 1 };
        assert_eq!(hot_loop(&[product, activation].concat()), Some(found));
    }

    #[test]
    fn a_loop_without_workgroup_memory_counts_as_a_whole() {
        let text = "BB0:\n\tv_add_u32_e32 v1, v1, v2\n\tv_mac_f32_e32 v1, v2, v3\n\ts_branch BB0";
        let whole = HotLoop { valu: 2, multiply_adds: 1, shared_bytes: 0, valu_around: 2 };
        assert_eq!(hot_loop(text), Some(whole));
    }

    #[test]
    fn multiply_adds_outside_of_loops_make_no_hot_loop() {
        assert_eq!(hot_loop("BB0:\n\tv_fmac_f32_e32 v1, v2, v3\n\ts_cbranch_scc1 BB1\nBB1:"), None);
        assert_eq!(hot_loop(""), None);
    }

    #[test]
    fn instructions_are_told_apart_by_name() {
        let fused = ["v_fma_f32", "v_fmac_f32_e32", "v_fmaak_f32", "v_fmamk_f32", "v_pk_fma_f16"];
        let plain = ["v_mac_f32_e32", "v_mad_f32", "v_madak_f32", "v_dual_fmac_f32", "v_mad_f16"];
        for name in fused.into_iter().chain(plain) {
            assert!(is_multiply_add(name), "{name}");
        }
        for name in ["v_mad_u32_u24", "v_mad_u64_u32", "v_max_f32", "v_mul_f32", "v_add_f32_e32"] {
            assert!(!is_multiply_add(name), "{name}");
        }
        let loads =
            ["ds_read_b32", "ds_read2_b64", "ds_load_b96", "ds_load_2addr_b64", "ds_write_b32"];
        assert_eq!(loads.map(shared_bytes), [4, 16, 12, 16, 0]);
    }
}
