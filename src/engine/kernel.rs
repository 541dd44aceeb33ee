//! The vocabulary of a kernel: plain data that names its WGSL, bindings and constants.

mod halves;

pub(crate) use halves::Halves;

/// A compute kernel as plain data.
///
/// Names are the contract. A binding has the same name here, in the WGSL and in the CPU twin's
/// argument list; `every_record_agrees_with_its_wgsl` fails when they part ways.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Name of the WGSL file, and of everything on the device that belongs to the kernel.
    pub name: &'static str,
    /// The module: preludes and the kernel's own file, joined; [`Halves::module`] puts types in front.
    pub wgsl: &'static str,
    /// Bindings of group 0 by slot.
    pub bindings: &'static [Binding],
    /// Constants that are the same in every pipeline of the kernel.
    pub constants: &'static [(&'static str, f64)],
    /// Constants that a pipeline is made for, in the order in which they are given.
    pub choices: &'static [Choice],
}

impl Kernel {
    /// Every combination of the values of its choices.
    #[cfg(test)]
    pub(crate) fn variants(&self) -> Vec<Vec<f64>> {
        self.choices.iter().fold(vec![vec![]], |variants, choice| {
            let with = |values: &Vec<f64>| {
                let values = values.clone();
                choice.values.iter().map(move |&value| [&values[..], &[value]].concat())
            };
            variants.iter().flat_map(with).collect()
        })
    }

    /// Its constants with these values of its choices, by name.
    ///
    /// # Panics
    /// If there is a value too many or too few, or one that its choice doesn't take: a bug in this
    /// crate.
    pub(crate) fn constants_for(&self, choices: &[f64]) -> Vec<(&'static str, f64)> {
        assert_eq!(choices.len(), self.choices.len(), "choices of {}", self.name);
        let chosen = self.choices.iter().zip(choices).map(|(choice, &value)| {
            let taken = choice.values.contains(&value);
            assert!(taken, "{}: {} doesn't take {value}", self.name, choice.name);
            (choice.name, value)
        });
        self.constants.iter().copied().chain(chosen).collect()
    }
}

/// A constant that each pipeline of a kernel has a value of its own for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub name: &'static str,
    /// The values that it takes.
    pub values: &'static [f64],
}

impl Choice {
    /// 0 or 1 for a `bool`.
    pub(crate) const fn flag(name: &'static str) -> Self {
        Self::codes::<2>(name)
    }

    /// One of N codes, which count from 0.
    pub(crate) const fn codes<const N: usize>(name: &'static str) -> Self {
        Self { name, values: &const { counted::<N>() } }
    }
}

const fn counted<const N: usize>() -> [f64; N] {
    let mut values = [0.0; N];
    let mut i = 1;
    while i < N {
        values[i] = values[i - 1] + 1.0;
        i += 1;
    }
    values
}

/// One binding of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub name: &'static str,
    pub access: Access,
    /// Whether its numbers may be f16: their WGSL type is then named after the binding, as `Input` after
    /// `input`, and written by `to_input`. See [`Halves`].
    pub either: bool,
}

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// A uniform struct with these fields, in bytes.
    Uniform { size: u64, fields: &'static [(&'static str, usize)] },
    /// The same at an offset that is given per dispatch: a slot of the step ring.
    Step { size: u64, fields: &'static [(&'static str, usize)] },
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer that is written.
    ReadWrite,
}

/// A Rust mirror of a WGSL uniform struct.
pub(crate) trait Uniform: bytemuck::Pod {
    /// Name and byte offset of each WGSL field.
    const FIELDS: &'static [(&'static str, usize)];
}

impl Binding {
    const fn new(name: &'static str, access: Access) -> Self {
        Self { name, access, either: false }
    }

    /// The same whose numbers may be f16.
    pub(crate) const fn or_half(self) -> Self {
        Self { either: true, ..self }
    }
}

pub(crate) const fn step<T: Uniform>(name: &'static str) -> Binding {
    Binding::new(name, Access::Step { size: size_of::<T>() as u64, fields: T::FIELDS })
}

pub(crate) const fn uniform<T: Uniform>(name: &'static str) -> Binding {
    Binding::new(name, Access::Uniform { size: size_of::<T>() as u64, fields: T::FIELDS })
}

pub(crate) const fn read(name: &'static str) -> Binding {
    Binding::new(name, Access::Read)
}

pub(crate) const fn read_write(name: &'static str) -> Binding {
    Binding::new(name, Access::ReadWrite)
}

/// Declares the mirror of a WGSL uniform struct, with what the reflection test compares.
///
/// WGSL rounds the size of a struct up to its alignment; `pad` adds the words that Rust lacks.
macro_rules! uniform_struct {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty,)* } $(pad $pad:literal)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(C)]
        pub(crate) struct $name {
            $(pub $field: $type,)*
            $(pub _pad: [u32; $pad],)?
        }

        impl $crate::engine::kernel::Uniform for $name {
            const FIELDS: &'static [(&'static str, usize)] =
                &[$((stringify!($field), std::mem::offset_of!($name, $field)),)*];
        }
    };
}
pub(crate) use uniform_struct;

/// How a number of workgroups grows with the rows of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rows {
    axis: usize,
    /// Rows that one workgroup along the axis covers.
    per_group: u32,
}

/// Workgroups along a dimension that every device allows: WebGPU's default
/// `max_compute_workgroups_per_dimension`.
pub(crate) const MOST_GROUPS: u32 = 65_535;

/// A number of workgroups that may grow with the rows of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Workgroups along each axis; where they grow with the batch, those of no rows.
    groups: [u32; 3],
    /// What grows.
    rows: Option<Rows>,
    /// Most workgroups along x, where several rows can go to each.
    most_x: u32,
    /// Most workgroups along any dimension.
    most: u32,
}

impl Grid {
    /// The same number for every batch.
    pub(crate) const fn fixed(x: u32, y: u32) -> Self {
        Self { groups: [x, y, 1], rows: None, most_x: u32::MAX, most: MOST_GROUPS }
    }

    /// Rows of the batch along x, `rows_per_group` each. Here and along y they go on along z where one
    /// dimension doesn't hold them: `batch_group` in `shaders/step.wgsl` numbers them.
    pub(crate) const fn rows_x(rows_per_group: u32) -> Self {
        let rows = Some(Rows { axis: 0, per_group: rows_per_group });
        Self { groups: [1, 1, 1], rows, ..Self::fixed(1, 1) }
    }

    /// `x` along x, and rows of the batch along y.
    pub(crate) const fn rows_y(x: u32, rows_per_group: u32) -> Self {
        let rows = Some(Rows { axis: 1, per_group: rows_per_group });
        Self { groups: [x, 1, 1], rows, ..Self::fixed(1, 1) }
    }

    /// The same so many times along z.
    pub(crate) const fn times(mut self, z: u32) -> Self {
        self.groups[2] = z;
        self
    }

    /// Along x at most so many workgroups, which then take several rows each.
    pub(crate) const fn at_most(mut self, x: u32) -> Self {
        self.most_x = x;
        self
    }

    /// Enough workgroups of `workgroup` invocations for `len` elements, as a rectangle where one
    /// dimension doesn't hold them. Kernels flatten it as `y · groups.x · workgroup + x`.
    pub(crate) fn elements(len: usize, workgroup: u32) -> Self {
        let groups = len.div_ceil(workgroup as usize).max(1);
        let y = groups.div_ceil(MOST_GROUPS as usize);
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self::fixed(side(groups.div_ceil(y)), side(y))
    }

    /// The same on a device that allows three workgroups along a dimension, if rows go on along z.
    #[cfg(test)]
    pub(crate) fn narrowed(self) -> Option<Self> {
        let goes_on = self.rows.is_some() && self.most_x == u32::MAX;
        goes_on.then_some(Self { most: 3, ..self })
    }

    /// Workgroups for a batch of `rows` rows.
    pub(crate) fn workgroups(&self, rows: u32) -> [u32; 3] {
        let mut groups = self.groups;
        if let Some(Rows { axis, per_group }) = self.rows {
            let most = if axis == 0 { self.most_x } else { u32::MAX };
            let along = rows.div_ceil(per_group).min(most);
            let z = along.div_ceil(self.most).max(1);
            groups[axis] = along.div_ceil(z);
            groups[2] *= z;
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_covers_every_element_within_the_limits() {
        for len in [1, 255, 256, 257, 65_535 * 256, 65_535 * 256 + 1, u32::MAX as usize] {
            let [x, y, z] = Grid::elements(len, 256).workgroups(1);
            assert!(x <= 65_535 && y <= 65_535 && z == 1, "{len}: {x} × {y} × {z}");
            assert!(x as usize * y as usize * 256 >= len, "{len}: {x} × {y}");
        }
    }

    const TWO_CHOICES: Kernel = Kernel {
        name: "two_choices",
        wgsl: "",
        bindings: &[],
        constants: &[("SIDE", 8.0)],
        choices: &[Choice::codes::<3>("RULE"), Choice::flag("CLIP")],
    };

    #[test]
    fn variants_are_all_combinations_of_the_choices() {
        let pairs = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 0.0], [2.0, 1.0]];
        assert_eq!(TWO_CHOICES.variants(), pairs);
        let constants = [("SIDE", 8.0), ("RULE", 2.0), ("CLIP", 0.0)];
        assert_eq!(TWO_CHOICES.constants_for(&[2.0, 0.0]), constants);
        let without = Kernel { choices: &[], ..TWO_CHOICES };
        assert_eq!(without.variants(), [Vec::<f64>::new()]);
    }

    #[test]
    #[should_panic(expected = "RULE doesn't take 3")]
    fn a_value_that_no_variant_has_is_refused() {
        TWO_CHOICES.constants_for(&[3.0, 0.0]);
    }

    #[test]
    fn a_grid_grows_with_the_rows() {
        assert_eq!(Grid::rows_y(3, 16).workgroups(17), [3, 2, 1]);
        assert_eq!(Grid::rows_x(64).workgroups(1), [1, 1, 1]);
        assert_eq!(Grid::rows_x(64).at_most(3).workgroups(1000), [3, 1, 1]);
        assert_eq!(Grid::fixed(4, 2).workgroups(99), [4, 2, 1]);
        assert_eq!(Grid::fixed(4, 2).times(5).workgroups(99), [4, 2, 5]);
    }

    #[test]
    fn rows_go_on_along_z() {
        assert_eq!(Grid::rows_y(3, 1).workgroups(65_535), [3, 65_535, 1]);
        assert_eq!(Grid::rows_y(3, 1).workgroups(65_536), [3, 32_768, 2]);
        assert_eq!(Grid::rows_x(1).workgroups(131_071), [43_691, 1, 3]);
        assert_eq!(Grid::rows_x(1).at_most(7).workgroups(131_071), [7, 1, 1]);
        for rows in [65_537, 1 << 18, (1 << 20) + 1, 1 << 31] {
            for per_group in [1, 8, 16, 256] {
                let [x, y, z] = Grid::rows_y(1, per_group).workgroups(rows);
                assert!(x == 1 && y <= MOST_GROUPS && z <= MOST_GROUPS, "{rows}: {y} × {z}");
                let covered = u64::from(y) * u64::from(z) * u64::from(per_group);
                assert!(covered >= u64::from(rows), "{rows}: {y} × {z} × {per_group}");
            }
        }
    }
}
