//! The dispatches of the optimizer's step and of what is measured of it.

use super::{Builder, Dispatch, word};
use crate::engine::gpu::buffers::{part, storage, whole};
use crate::insight::{measured_tensors, relu_stages, words};
use crate::ops::insight::{DEAD_UNITS, DeadShape, INSIGHT, TENSOR_WORDS};
use crate::ops::optimizer::{ArenaShape, GRADIENT_NORM, OPTIMIZER};
use crate::ops::{insight, optimizer};
use crate::optimizer::{Clip, group_of};
use crate::plan::Plan;

impl Builder<'_> {
    /// The optimizer's step, with the gradient's norm before it where that is clipped or decides whether
    /// the step is done.
    pub(super) fn update(&mut self, measured: bool) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let options = plan.options();
        let shape = ArenaShape::of(plan);
        let uniform = buffers.uniform(&shape);
        let nothing = self.nothing.clone();
        let mut dispatches = Vec::new();
        if matches!(options.clip, Some(Clip::Norm(_))) || optimizer::skips(options) {
            let bindings = [
                ("shape", whole(&uniform)),
                ("gradients", whole(&buffers.gradients)),
                ("partial_sums", buffers.partial_sums()),
            ];
            let grid = optimizer::norm_grid();
            dispatches.push(self.dispatch(&GRADIENT_NORM, &[], "arena", grid, &bindings));
        }
        let [moment1, moment2, moment3] = &buffers.moments;
        let averages = buffers.averages.as_ref().map_or(&nothing, |[averages, _]| averages);
        let spare = storage(&buffers.device, "nothing", 2);
        let bindings = [
            ("shape", whole(&uniform)),
            ("gradients", whole(&buffers.gradients)),
            ("parameters", whole(&buffers.parameters)),
            ("moment1", whole(moment1)),
            ("moment2", whole(moment2)),
            ("moment3", whole(moment3)),
            ("averages", whole(averages)),
            ("status", whole(&buffers.status)),
            ("measured", whole(buffers.measured.as_ref().filter(|_| measured).unwrap_or(&spare))),
        ];
        let choices = optimizer::choices(options, measured);
        dispatches.push(self.dispatch(&OPTIMIZER, &choices, "arena", shape.grid(), &bindings));
        dispatches.extend(self.scale());
        dispatches
    }

    /// The optimizer's step and what it did, with the buffer that tells; `None` where no insights are
    /// wanted.
    pub(super) fn measured_update(&mut self) -> Option<(Vec<Dispatch>, wgpu::Buffer)> {
        let (plan, buffers) = (self.plan, self.buffers);
        let measured = buffers.measured.as_ref()?;
        let groups = &plan.options().groups;
        let tensors: Vec<[u32; 4]> = measured_tensors(plan)
            .map(|t| [word(t.offset), word(t.len()), word(group_of(groups, t)), 0])
            .collect();
        let result = storage(&buffers.device, "insight", words(plan));
        let table = buffers.filled("tensors", bytemuck::cast_slice(&tensors));
        let mut dispatches = self.update(true);
        let shape = buffers.uniform(&ArenaShape::of(plan));
        let bindings = [
            ("shape", whole(&shape)),
            ("tensors", whole(&table)),
            ("gradients", whole(&buffers.gradients)),
            ("parameters", whole_trained(plan, &buffers.parameters)),
            ("measured", whole(measured)),
            ("result", whole(&result)),
        ];
        let grid = insight::grid(word(tensors.len()));
        dispatches.push(self.dispatch(&INSIGHT, &[], "arena", grid, &bindings));
        for (place, (index, stage)) in relu_stages(plan).enumerate() {
            let place = word(tensors.len() * TENSOR_WORDS + place);
            let shape = buffers.uniform(&DeadShape::new(word(stage.out_features), place));
            let bindings = [
                ("shape", whole(&shape)),
                ("kept", buffers.kept(plan, index)),
                ("result", whole(&result)),
            ];
            let label = stage.layer.to_string();
            dispatches.push(self.dispatch(&DEAD_UNITS, &[], &label, DeadShape::grid(), &bindings));
        }
        Some((dispatches, result))
    }
}

/// The trained part of the parameter arena.
fn whole_trained<'a>(plan: &Plan, parameters: &'a wgpu::Buffer) -> wgpu::BufferBinding<'a> {
    part(parameters, 0, plan.trained_len())
}
