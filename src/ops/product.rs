//! The forms in which a linear layer's three products come: how a workgroup walks them, and how much
//! of C each of its invocations owns. Which is the fastest depends on the device and the shape.

use serde::{Deserialize, Serialize};

use crate::engine::kernel::{Grid, Kernel};

/// Invocations along each edge of a workgroup of the tiled forms.
const SIDE: u32 = 8;
/// Steps along the products' inner dimension that are in workgroup memory at once.
const DEPTH: u32 = 16;
/// Invocations of a workgroup of the direct forms: a subgroup of the software adapters that they are
/// for.
const WORKGROUP: u32 = 8;

/// Constants of `shaders/matmul_tiled.wgsl`.
pub(crate) const TILED: &[(&str, f64)] = &[("SIDE", SIDE as f64), ("DEPTH", DEPTH as f64)];
/// Constants of `shaders/matmul_direct.wgsl`.
pub(crate) const DIRECT: &[(&str, f64)] = &[("WORKGROUP", WORKGROUP as f64)];

/// Lanes of a subgroup for the cooperative forms, which take four subgroups a workgroup.
pub(crate) const SUBGROUP: u32 = 32;

/// Constants of `shaders/matmul_cooperative.wgsl`.
pub(crate) const COOPERATIVE: &[(&str, f64)] = &[("SUBGROUP", SUBGROUP as f64)];

/// How a product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// Through workgroup memory, 4×4 elements an invocation.
    Tiled4,
    /// Through workgroup memory, 8×8 elements an invocation.
    Tiled8,
    /// Without workgroup memory, 16×4 elements an invocation.
    Direct,
    /// The same; the lanes of a subgroup load what they share once.
    Broadcast,
    /// As `Broadcast`, 8×4 elements an invocation: slower, but compiled in half the time.
    BroadcastSmall,
    /// By the matrix units of a GPU, in squares of 8×8, f32.
    Cooperative8,
    /// The same in squares of 16×16, whose factors are f16: for what is stored so anyway.
    Cooperative16,
}

impl Form {
    /// All forms, in the order of [`Family`]'s kernels.
    pub(crate) const ALL: [Self; 7] = [
        Self::Tiled4,
        Self::Tiled8,
        Self::Direct,
        Self::Broadcast,
        Self::BroadcastSmall,
        Self::Cooperative8,
        Self::Cooperative16,
    ];

    /// Whether it needs subgroups of eight lanes or more.
    pub(crate) const fn needs_subgroups(self) -> bool {
        matches!(self, Self::Broadcast | Self::BroadcastSmall)
    }

    /// Whether it needs matrix units.
    pub(crate) const fn is_cooperative(self) -> bool {
        matches!(self, Self::Cooperative8 | Self::Cooperative16)
    }

    /// Rows and columns of C that a workgroup owns.
    pub(crate) const fn block(self) -> [u32; 2] {
        match self {
            Self::Tiled4 => [4 * SIDE, 4 * SIDE],
            Self::Tiled8 => [8 * SIDE, 8 * SIDE],
            Self::Direct | Self::Broadcast => [16, 4 * WORKGROUP],
            Self::BroadcastSmall => [8, 4 * WORKGROUP],
            Self::Cooperative8 => [32, 32],
            Self::Cooperative16 => [64, 64],
        }
    }

    /// Workgroups for a C whose rows are those of the batch.
    pub(crate) const fn batch_grid(self, columns: u32) -> Grid {
        let [block_rows, block_columns] = self.block();
        Grid::rows_y(columns.div_ceil(block_columns), block_rows)
    }

    /// Workgroups for a C of a fixed size, `slices` times.
    pub(crate) const fn grid(self, rows: u32, columns: u32, slices: u32) -> Grid {
        let [block_rows, block_columns] = self.block();
        Grid::fixed(columns.div_ceil(block_columns), rows.div_ceil(block_rows)).times(slices)
    }
}

/// One product in every form, for matrices whose rows are multiples of four and for any.
#[derive(Debug)]
pub(crate) struct Family {
    pub kernels: [[Kernel; 2]; Form::ALL.len()],
}

impl Family {
    pub(crate) const fn kernel(&'static self, form: Form, quads: bool) -> &'static Kernel {
        &self.kernels[form as usize][quads as usize]
    }
}

/// Declares a [`Family`]: the kernel's file, the preludes in front of it, its two matrices, bindings
/// and choices.
macro_rules! family {
    ($name:literal, [$($prelude:literal),*], [$left:literal, $right:literal], $bindings:expr, $choices:expr) => {
        $crate::ops::product::Family {
            kernels: [
                family!(@form "tiled4", ["panels_1", "matmul_tiled"], TILED; $name, [$($prelude),*], [$left, $right], $bindings, $choices),
                family!(@form "tiled8", ["panels_2", "matmul_tiled"], TILED; $name, [$($prelude),*], [$left, $right], $bindings, $choices),
                family!(@form "direct", ["strips_2", "matmul_direct", "lanes_alone"], DIRECT; $name, [$($prelude),*], [$left, $right], $bindings, $choices),
                family!(@form "broadcast", ["strips_2", "matmul_direct", "lanes_broadcast"], DIRECT; $name, [$($prelude),*], [$left, $right], $bindings, $choices),
                family!(@form "broadcast_small", ["strips_1", "matmul_direct", "lanes_broadcast"], DIRECT; $name, [$($prelude),*], [$left, $right], $bindings, $choices),
                family!(@form "cooperative8", ["fragments_8", "fragments", "matmul_cooperative"], COOPERATIVE; $name, [$($prelude),*], [$left, $right], $bindings, $choices),
                family!(@form "cooperative16", ["fragments_16", "fragments", "matmul_cooperative"], COOPERATIVE; $name, [$($prelude),*], [$left, $right], $bindings, $choices),
            ],
        }
    };
    (@form $form:literal, $loop_files:tt, $constants:ident; $name:literal, $prelude:tt, $operands:tt, $bindings:expr, $choices:expr) => {
        [
            family!(@kernel "scalars", $form, $loop_files, $constants; $name, $prelude, $operands, $bindings, $choices),
            family!(@kernel "quads", $form, $loop_files, $constants; $name, $prelude, $operands, $bindings, $choices),
        ]
    };
    (@kernel $cells:literal, $form:literal, [$($loop_file:literal),+], $constants:ident; $name:literal, [$($prelude:literal),*], [$left:literal, $right:literal], $bindings:expr, $choices:expr) => {
        Kernel {
            name: concat!($name, ".", $form, ".", $cells),
            wgsl: concat!(
                $(include_str!(concat!("../../shaders/", $prelude, ".wgsl")),)*
                include_str!("../../shaders/linear_shape.wgsl"),
                include_str!(concat!("../../shaders/", $name, ".wgsl")),
                include_str!(concat!("../../shaders/", $left, "_", $cells, ".wgsl")),
                include_str!(concat!("../../shaders/", $right, "_", $cells, ".wgsl")),
                include_str!("../../shaders/matmul.wgsl"),
                $(include_str!(concat!("../../shaders/", $loop_file, ".wgsl")),)+
            ),
            bindings: $bindings,
            constants: $crate::ops::product::$constants,
            choices: $choices,
        }
    };
}
pub(crate) use family;
