//! The rig: runs one kernel on poisoned, guarded buffers, with and without runtime checks, in f32 and f16.

mod halves;

use std::sync::{Mutex, OnceLock};

use super::GpuEngine;
use super::buffers::{SLOT_STRIDE, storage, whole};
use super::device::{AdapterChoice, Gpu};
use super::forms::Abilities;
pub(crate) use super::pipeline::Checks;
use super::pipeline::Pipelines;
use super::program::Dispatch;
use super::readback::download;
use crate::engine::kernel::{Grid, Halves, Kernel, Uniform};
use crate::ops::step::StepUniform;
use crate::plan::Plan;

/// A NaN that no arithmetic makes: what an output holds before a kernel writes it.
pub(crate) const POISON: u32 = 0x7FC0_DEAD;
/// What lies behind the end of every buffer: a NaN, so that reading it shows as well.
const GUARD: u32 = 0x7FC0_F00D;
/// Words of it. They are part of the binding: a driver may drop writes outside of it.
const GUARD_WORDS: usize = 64;

/// What a storage binding gets.
pub(crate) enum Arg<'a> {
    /// Read by the kernel; must come back unchanged.
    Read(&'a [f32]),
    /// Written by the kernel, every one of so many elements.
    Written(usize),
    /// Read and written.
    Updated(&'a [f32]),
}

/// One device for the test binary, and its pipelines in both modes.
pub(crate) struct Rig {
    gpu: Gpu,
    pipelines: Mutex<[Pipelines; 2]>,
}

impl Rig {
    /// The test binary's rig.
    ///
    /// # Panics
    /// Without any adapter: no GPU is never a silent pass.
    pub(crate) fn get() -> &'static Self {
        static RIG: OnceLock<Rig> = OnceLock::new();
        RIG.get_or_init(|| {
            let gpu = Gpu::open(AdapterChoice::Any).unwrap_or_else(|e| panic!("{e}"));
            let pipelines =
                [Checks::On, Checks::Off].map(|checks| Pipelines::new(&gpu.device, checks));
            Self { gpu, pipelines: Mutex::new(pipelines) }
        })
    }

    /// What its device can do.
    /// An engine on the rig's device.
    pub(crate) fn engine(&self, plan: Plan) -> GpuEngine {
        GpuEngine::new(&self.gpu.device, &self.gpu.queue, plan).unwrap()
    }

    pub(crate) fn abilities(&self) -> Abilities {
        Abilities::of(&self.gpu.device)
    }

    /// Runs a kernel with and without runtime checks. Returns, for both, the content of the
    /// bindings that aren't `Read`, in the order given. Where buffers may hold f16, sees to it that the
    /// kernel does the same with such.
    ///
    /// # Panics
    /// If a guard word or an input changed, or a written element kept its poison; if f16 makes a difference
    /// beyond its rounding; or if it makes any whether the workgroups of the batch go on along z.
    pub(crate) fn run(
        &self,
        kernel: &'static Kernel,
        choices: &[f64],
        grid: Grid,
        step: &StepUniform,
        uniforms: &[(&str, wgpu::Buffer)],
        args: &[(&str, Arg<'_>)],
    ) -> [Vec<Vec<f32>>; 2] {
        let dispatch = Run { kernel, choices, grid, step, uniforms };
        self.compare_halves(&dispatch, args);
        let runs = [Checks::On, Checks::Off]
            .map(|checks| self.run_as(checks, Halves::NONE, &dispatch, args));
        if let Some(grid) = grid.narrowed() {
            let narrowed = Run { grid, ..dispatch };
            let other = self.run_as(Checks::Off, Halves::NONE, &narrowed, args);
            let bits = |run: &[Vec<f32>]| -> Vec<Vec<u32>> {
                run.iter().map(|numbers| numbers.iter().map(|x| x.to_bits()).collect()).collect()
            };
            assert!(bits(&other) == bits(&runs[1]), "{}: rows that go on along z", kernel.name);
        }
        runs
    }

    /// [`run`](Self::run) in one of the two ways, in f32 alone.
    #[expect(clippy::too_many_arguments, reason = "all that a dispatch consists of")]
    pub(crate) fn run_with(
        &self,
        checks: Checks,
        kernel: &'static Kernel,
        choices: &[f64],
        grid: Grid,
        step: &StepUniform,
        uniforms: &[(&str, wgpu::Buffer)],
        args: &[(&str, Arg<'_>)],
    ) -> Vec<Vec<f32>> {
        let dispatch = Run { kernel, choices, grid, step, uniforms };
        self.run_as(checks, Halves::NONE, &dispatch, args)
    }

    fn run_as(
        &self,
        checks: Checks,
        halves: Halves,
        run: &Run<'_>,
        args: &[(&str, Arg<'_>)],
    ) -> Vec<Vec<f32>> {
        let mut pipelines =
            self.pipelines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mode = usize::from(checks == Checks::Off);
        let pipeline = pipelines[mode].get(run.kernel, halves, run.choices).clone();
        pipelines[mode].compile().unwrap_or_else(|e| panic!("{}: {e}", run.kernel.name));
        drop(pipelines);
        self.run_once(&pipeline, halves, run, args)
    }

    fn run_once(
        &self,
        pipeline: &super::pipeline::Pipeline,
        halves: Halves,
        run: &Run<'_>,
        args: &[(&str, Arg<'_>)],
    ) -> Vec<Vec<f32>> {
        let Gpu { device, queue, .. } = &self.gpu;
        let Run { kernel: Kernel { name, .. }, grid, step, uniforms, .. } = *run;
        let steps = self.uniform_bytes(bytemuck::bytes_of(step));
        let is_half = |name: &str| halves.contains(slot_of(run.kernel, name));
        let contents: Vec<Vec<f32>> = args
            .iter()
            .map(|(name, arg)| {
                let content = arg.content();
                if is_half(name) { halves::pack(&content) } else { content }
            })
            .collect();
        let buffers: Vec<wgpu::Buffer> = contents
            .iter()
            .map(|content| {
                let mut guarded = content.clone();
                guarded.extend([f32::from_bits(GUARD); GUARD_WORDS]);
                let buffer = storage(device, "rig", guarded.len());
                queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&guarded));
                buffer
            })
            .collect();
        let mut bindings = vec![("step", whole(&steps))];
        bindings.extend(uniforms.iter().map(|(name, buffer)| (*name, whole(buffer))));
        bindings
            .extend(args.iter().zip(&buffers).map(|((name, _), buffer)| (*name, whole(buffer))));
        let dispatch = Dispatch::new(device, pipeline, "rig", grid, &bindings);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        dispatch.record(&mut pass, 0, step.batch);
        drop(pass);
        queue.submit([encoder.finish()]);

        let mut outputs = Vec::new();
        for (((binding, arg), buffer), content) in args.iter().zip(&buffers).zip(&contents) {
            let mut after = download(device, queue, buffer).expect("the device answers");
            let guards = after.split_off(content.len());
            let intact = guards.iter().all(|word| word.to_bits() == GUARD);
            assert!(intact, "{name} wrote behind the end of {binding}");
            if is_half(binding) {
                after = halves::unpack(&after, arg.content().len());
            }
            match arg {
                Arg::Read(before) => {
                    let same = before.iter().zip(&after).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{name} changed its input {binding}");
                }
                Arg::Written(_) | Arg::Updated(_) => {
                    let left = after.iter().position(|x| x.to_bits() == POISON);
                    assert_eq!(left, None, "{name} left an element of {binding} unwritten");
                    outputs.push(after);
                }
            }
        }
        outputs
    }

    /// A uniform buffer for a kernel's shape or epilogue.
    pub(crate) fn uniform<T: Uniform>(&self, content: &T) -> wgpu::Buffer {
        self.uniform_bytes(bytemuck::bytes_of(content))
    }

    fn uniform_bytes(&self, content: &[u8]) -> wgpu::Buffer {
        let buffer = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("rig"),
            size: (content.len() as u64).max(u64::from(SLOT_STRIDE)),
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.gpu.queue.write_buffer(&buffer, 0, content);
        buffer
    }
}

/// All that a dispatch consists of, but for its storage buffers.
#[derive(Clone, Copy)]
struct Run<'a> {
    kernel: &'static Kernel,
    choices: &'a [f64],
    grid: Grid,
    step: &'a StepUniform,
    uniforms: &'a [(&'a str, wgpu::Buffer)],
}

/// Where a kernel binds a buffer.
fn slot_of(kernel: &Kernel, name: &str) -> u32 {
    let mut slots = (0..).zip(kernel.bindings);
    let slot = slots.find_map(|(slot, binding)| (binding.name == name).then_some(slot));
    slot.unwrap_or_else(|| panic!("{} has no {name}", kernel.name))
}

impl Arg<'_> {
    fn content(&self) -> Vec<f32> {
        match self {
            Self::Read(content) | Self::Updated(content) => content.to_vec(),
            Self::Written(len) => vec![f32::from_bits(POISON); *len],
        }
    }
}

mod tests {
    use super::*;
    use crate::engine::kernel::{read_write, step};

    /// A kernel that copies `from` to `to`, but for what the formatted-in statement does.
    macro_rules! faulty {
        ($name:literal, $statement:literal) => {{
            static KERNEL: Kernel = Kernel {
                name: $name,
                wgsl: concat!(
                    include_str!("../../../shaders/step.wgsl"),
                    "@group(0) @binding(1) var<storage, read_write> from_: array<f32>;\n",
                    "@group(0) @binding(2) var<storage, read_write> to: array<f32>;\n",
                    "@compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3<u32>) {\n",
                    "  if id.x >= step.batch { return; }\n",
                    "  to[id.x] = from_[id.x];\n",
                    $statement,
                    "}"
                ),
                bindings: &[step::<StepUniform>("step"), read_write("from"), read_write("to")],
                constants: &[],
                choices: &[],
            };
            let step = StepUniform { batch: 3, ..StepUniform::default() };
            let args = [("from", Arg::Read(&[1.0, 2.0, 3.0])), ("to", Arg::Written(3))];
            Rig::get().run(&KERNEL, &[], Grid::rows_x(1), &step, &[], &args)
        }};
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn a_sound_kernel_passes() {
        let [checked, unchecked] = faulty!("sound", "");
        assert_eq!(checked, [[1.0, 2.0, 3.0]]);
        assert_eq!(unchecked, [[1.0, 2.0, 3.0]]);
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    #[should_panic(expected = "changed its input from")]
    fn a_changed_input_fails() {
        faulty!("changes", "  from_[id.x] = 0.0;\n");
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    #[should_panic(expected = "left an element of to unwritten")]
    fn an_unwritten_element_fails() {
        faulty!("forgets", "  if id.x == 1u { to[1] = bitcast<f32>(0x7FC0DEADu); }\n");
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    #[should_panic(expected = "wrote behind the end of to")]
    fn a_write_behind_the_end_fails() {
        faulty!("overruns", "  to[id.x + step.batch] = 7.0;\n");
    }
}
