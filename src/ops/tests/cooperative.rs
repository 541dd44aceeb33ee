//! The forms for matrix units, without such: all but the units themselves can be run anywhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::engine::kernel::{Binding, Halves, Kernel};

/// What `shaders/fragments.wgsl` asks of matrix units, by every lane for itself, in f32.
const STAND_IN: &str = "
alias Factor = f32;
alias Left = array<f32, FRAGMENT>;
alias Right = array<f32, FRAGMENT>;
alias Sum = array<f32, FRAGMENT>;

fn left_fragment(at: u32) -> Left {
    var fragment: Left;
    for (var i = 0u; i < FRAGMENT; i++) { fragment[i] = left_tile[at + i]; }
    return fragment;
}

fn right_fragment(at: u32) -> Right {
    var fragment: Right;
    for (var i = 0u; i < FRAGMENT; i++) {
        fragment[i] = right_tile[at + (i / SIZE) * BLOCK + i % SIZE];
    }
    return fragment;
}

fn multiply_add(left: Left, right: Right, sum: Sum) -> Sum {
    var a = left;
    var b = right;
    var c = sum;
    for (var i = 0u; i < FRAGMENT; i++) {
        for (var k = 0u; k < SIZE; k++) {
            c[i] += a[(i / SIZE) * SIZE + k] * b[k * SIZE + i % SIZE];
        }
    }
    return c;
}

fn stage(fragment: Sum, at: u32) {
    var sum = fragment;
    for (var i = 0u; i < FRAGMENT; i++) { staged[at + i] = sum[i]; }
}
";

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
            // Small subgroups: each lane does what all of them would do together.
            constants: &[("SUBGROUP", 8.0)],
            ..*kernel
        }))
    })
}
