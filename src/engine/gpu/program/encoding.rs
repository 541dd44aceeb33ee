//! The dispatches of an encoding.

use super::{Builder, Dispatch, word};
use crate::encoding::Encoding;
use crate::engine::gpu::buffers::whole;
use crate::ops::encoding::{ENCODING_BACKWARD, ENCODING_FORWARD, EncodingShape};
use crate::ops::epilogue::Epilogue;
use crate::plan::StageOp;

impl Builder<'_> {
    /// Y of an encoding.
    pub(super) fn encoding_forward(
        &mut self,
        index: usize,
        encoding: Encoding,
        input: wgpu::BufferBinding<'_>,
    ) -> Dispatch {
        let (plan, buffers) = (self.plan, self.buffers);
        let stage = &plan.stages()[index];
        let shape = EncodingShape::forward(encoding, word(stage.in_features));
        let uniform = buffers.uniform(&shape);
        let epilogue = Epilogue::of(stage);
        let after = self.epilogue(&epilogue, Some(stage));
        let bindings = [
            ("shape", whole(&uniform)),
            ("epilogue", whole(&after)),
            ("input", input),
            ("output", whole(&buffers.activations[index])),
        ];
        let [activation, dropout] = epilogue.choices();
        let choices = [activation, dropout, f64::from(encoding.code())];
        let (place, grid) = (stage.layer.to_string(), shape.forward_grid());
        self.dispatch(&ENCODING_FORWARD, &choices, &place, grid, &bindings)
    }

    /// dX of an encoding from its dZ: the gradient of the net's inputs, which lie in `input`.
    ///
    /// # Panics
    /// If the stage is no encoding: a bug in this crate.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "training needs no gradient of the data; nets within a pipeline do"
        )
    )]
    pub(super) fn encoding_backward(
        &mut self,
        index: usize,
        gradient_output: &wgpu::Buffer,
        input: wgpu::BufferBinding<'_>,
        gradient_input: wgpu::BufferBinding<'_>,
    ) -> Dispatch {
        let stage = &self.plan.stages()[index];
        let StageOp::Encoding(encoding) = stage.op else {
            unreachable!("stage {index} is no encoding")
        };
        let shape = EncodingShape::backward(encoding, word(stage.in_features));
        let uniform = self.buffers.uniform(&shape);
        let bindings = [
            ("shape", whole(&uniform)),
            ("gradient_output", whole(gradient_output)),
            ("input", input),
            ("gradient_input", gradient_input),
        ];
        let choices = [f64::from(encoding.code())];
        let (place, grid) = (stage.layer.to_string(), shape.backward_grid());
        self.dispatch(&ENCODING_BACKWARD, &choices, &place, grid, &bindings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::buffers::Buffers;
    use crate::engine::gpu::device::Gpu;
    use crate::engine::gpu::pipeline::Pipelines;
    use crate::engine::gpu::readback::download;
    use crate::engine::gpu::rig::{Checks, Rig};
    use crate::ops::encoding::encoding_backward;
    use crate::ops::step::StepUniform;
    use crate::testing::assert_within;
    use crate::{Loss, Mlp, Optimizer, Plan, TrainOptions};

    /// Of a plan's own dispatch, which no training step has.
    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn the_gradient_of_the_inputs_is_the_twins() {
        let rig = Rig::get();
        let Gpu { device, queue, .. } = rig.gpu();
        let encoding = Encoding::frequency(3);
        let mlp = Mlp::new(2).encoding(encoding).linear(4);
        let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1))).unwrap();
        let buffers = Buffers::new(device, queue, &plan);
        let mut pipelines = Pipelines::new(device, Checks::Off);
        let mut builder = Builder::new(&plan, &buffers, &mut pipelines, rig.abilities());

        let x = [0.1_f32, -0.3, 0.72, 0.0, 1.4, 0.51];
        let dz: Vec<f32> = (0..36_u8).map(|i| f32::from(i % 7) - 3.0).collect();
        let (inputs, gradients) = (buffers.filled("x", &x), buffers.filled("dz", &dz));
        let gradient_input = buffers.scratch("dx", x.len());
        let dispatch =
            builder.encoding_backward(0, &gradients, whole(&inputs), whole(&gradient_input));
        assert_eq!((dispatch.kernel, &dispatch.place[..]), ("encoding_backward", "0"));
        pipelines.compile().unwrap();
        let step = StepUniform { batch: 3, ..StepUniform::default() };
        queue.write_buffer(&buffers.steps, 0, bytemuck::bytes_of(&step));
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        dispatch.record(&mut pass, 0, step.batch);
        drop(pass);
        queue.submit([encoder.finish()]);

        let got = download(device, queue, &gradient_input).unwrap();
        let wide = |numbers: &[f32]| numbers.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let mut want = vec![0.0; x.len()];
        encoding_backward(encoding, &wide(&dz), &wide(&x), &mut want);
        // Six terms of at most 3·4π, each within 8 roundings, and five additions.
        let bound = 13.0 * f64::from(f32::EPSILON) / 2.0 * 6.0 * 12.0 * std::f64::consts::PI;
        assert_within(&got, &want, |_| bound);
        assert!(want.iter().all(|dx| dx.abs() > 1e-3), "{want:?}");
    }
}
