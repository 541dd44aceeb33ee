//! The forms for matrix units, without such: all but the units themselves can be run anywhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::engine::kernel::{Binding, Halves, Kernel};

/// What `shaders/fragments.wgsl` asks of matrix units, in f32: each lane has four neighbours of a square.
const STAND_IN: &str = "
alias Factor = f32;
// Where they are in workgroup memory.
alias Left = u32;
alias Right = u32;
alias Sum = vec4<f32>;

var<private> own_lane: u32;

fn left_fragment(at: u32) -> Left { return at; }

fn right_fragment(at: u32) -> Right { return at; }

fn multiply_add(left: Left, right: Right, sum: Sum) -> Sum {
    let row = left + (4u * own_lane / SIZE) * SIZE;
    let column = right + 4u * own_lane % SIZE;
    var c = sum;
    for (var k = 0u; k < SIZE; k++) {
        let at = column + k * BLOCK;
        c += left_tile[row + k] * vec4<f32>(
            right_tile[at],
            right_tile[at + 1u],
            right_tile[at + 2u],
            right_tile[at + 3u],
        );
    }
    return c;
}

fn stage(sum: Sum, at: u32) {
    for (var i = 0u; i < 4u; i++) { staged[at + 4u * own_lane + i] = sum[i]; }
}
";

/// Where a kernel's main function begins, and the same with the lane told.
const BEGIN: &str = "let row0 = row_block(block, blocks) * BLOCK;";
const BEGIN_AS: &str = "own_lane = lane % SUBGROUP;";

/// A kernel for matrix units with loops in their place.
///
/// # Panics
/// If it isn't made of `shaders/fragments.wgsl`.
pub(super) fn with_loops(kernel: &'static Kernel) -> &'static Kernel {
    static MADE: Mutex<Option<HashMap<&str, &Kernel>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.get_or_insert_default().entry(kernel.name).or_insert_with(|| {
        let units = include_str!("../../../shaders/fragments.wgsl");
        let module = Halves::NONE.module(kernel);
        let (before, behind) = module.split_once(units).expect("made for matrix units");
        let own = |line: &&str| !line.starts_with("enable ") && !line.starts_with("alias Factor");
        let own = |line: &&str| own(line) && !line.contains("= coop_mat");
        let lines: Vec<&str> = before.lines().chain(behind.lines()).filter(own).collect();
        let wgsl = lines.join("\n") + STAND_IN;
        assert!(wgsl.contains(BEGIN), "{}: main begins otherwise", kernel.name);
        let wgsl = wgsl.replace(BEGIN, &format!("{BEGIN_AS} {BEGIN}"));
        let size = if kernel.name.contains("cooperative16") { 16.0 } else { 8.0 };
        Box::leak(Box::new(Kernel {
            name: format!("{}.loops", kernel.name).leak(),
            wgsl: wgsl.leak(),
            // All in f32: what f16 does is the same in every form, and compiling takes long.
            bindings: kernel
                .bindings
                .iter()
                .map(|b| Binding { either: false, ..*b })
                .collect::<Vec<_>>()
                .leak(),
            constants: vec![("SUBGROUP", size * size / 4.0)].leak(),
            ..*kernel
        }))
    })
}
