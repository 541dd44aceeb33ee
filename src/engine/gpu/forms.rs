//! Which form of a product suits a device.

use crate::engine::gpu::device::is_software;
use crate::engine::kernel::MOST_GROUPS;
use crate::ops::product::Form;

/// What a device can do, as far as kernels are chosen by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// Whether its "invocations" are lanes of a CPU, to which workgroup memory is no nearer.
    pub software: bool,
    /// Whether subgroups of eight lanes or more can be used.
    pub subgroups: bool,
    /// The form for its matrix units, if it has such.
    pub cooperative: Option<Form>,
}

/// Blocks of a product from which the large ones leave no part of a GPU idle; slices of one at most.
pub(crate) const BUSY: u32 = 256;

/// Multiply-adds below which a software adapter's compiler takes longer than it saves.
const SMALL: u64 = 1 << 24;

impl Abilities {
    pub(crate) fn of(device: &wgpu::Device) -> Self {
        let info = device.adapter_info();
        let subgroups = device.features().contains(wgpu::Features::SUBGROUP);
        Self {
            software: is_software(&info),
            subgroups: subgroups && info.subgroup_min_size >= 8,
            cooperative: None,
        }
    }

    /// Whether the device can run a form.
    pub(crate) fn allow(self, form: Form) -> bool {
        if form.is_cooperative() {
            return self.cooperative == Some(form);
        }
        self.subgroups || !form.needs_subgroups()
    }

    /// The forms that are made for devices of its kind.
    pub(crate) fn forms(self) -> &'static [Form] {
        match (self.software, self.subgroups) {
            (true, true) => &[Form::Broadcast, Form::BroadcastSmall],
            (true, false) => &[Form::Direct],
            (false, _) => &[Form::Tiled4, Form::Tiled8],
        }
    }

    /// The form for a product of so many rows × columns, summed over `depth`.
    pub(crate) fn form(self, rows: u32, columns: u32, depth: u32) -> Form {
        let work = u64::from(rows) * u64::from(columns) * u64::from(depth);
        match (self.software, self.subgroups) {
            (true, true) if work < SMALL && rows.div_ceil(8) <= MOST_GROUPS => Form::BroadcastSmall,
            (true, true) => Form::Broadcast,
            (true, false) => Form::Direct,
            (false, _) => {
                let [block_rows, block_columns] = Form::Tiled8.block();
                let blocks = rows.div_ceil(block_rows) * columns.div_ceil(block_columns);
                if blocks >= BUSY { Form::Tiled8 } else { Form::Tiled4 }
            }
        }
    }

    /// Into how many slices of the batch a weight's gradient of so many workgroups is divided, so
    /// that they occupy the device. Software has no more than a few cores to occupy.
    pub(crate) fn slices(self, workgroups: u32, rows: u32) -> u32 {
        /// Rows that are worth a workgroup of their own.
        const ROWS: u32 = 256;
        if self.software {
            return 1;
        }
        BUSY.div_ceil(workgroups.max(1)).min(rows / ROWS).max(1)
    }
}
