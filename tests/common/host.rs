//! A host app in miniature, for exported nets: its device has no features and WebGPU's default limits,
//! and its shaders call a function that turns rows of numbers into others.

use std::sync::OnceLock;

/// A device as a careful app opens it.
pub(crate) struct Host {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
}

/// Which of the host's shaders calls the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Compute,
    /// Drawn to a texture.
    Fragment,
}

/// A function of a shader.
#[derive(Clone, Copy)]
pub(crate) struct Function<'a> {
    /// WGSL with what it needs.
    pub wgsl: &'a str,
    pub name: &'a str,
    pub inputs: usize,
    pub outputs: usize,
}

impl Function<'_> {
    /// A whole shader: the function and the host's entry points, which call it for each row of `rows`
    /// (group 1). The host has names of its own that a careless export would clash with.
    pub(crate) fn module(&self) -> String {
        let Self { wgsl, name, inputs, outputs } = self;
        format!(
            "{wgsl}
            @group(1) @binding(0) var<storage, read> rows: array<f32>;
            @group(1) @binding(1) var<storage, read_write> written: array<f32>;

            fn net(row: u32) -> array<f32, {outputs}> {{
                var x: array<f32, {inputs}>;
                for (var i = 0u; i < {inputs}u; i++) {{ x[i] = rows[{inputs}u * row + i]; }}
                return {name}(x);
            }}

            @compute @workgroup_size(8)
            fn compute(@builtin(global_invocation_id) id: vec3<u32>) {{
                if id.x >= arrayLength(&rows) / {inputs}u {{ return; }}
                var y = net(id.x);
                for (var i = 0u; i < {outputs}u; i++) {{ written[{outputs}u * id.x + i] = y[i]; }}
            }}

            @vertex
            fn vertex(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {{
                return vec4<f32>(f32(i & 1u) * 4.0 - 1.0, f32(i >> 1u) * 4.0 - 1.0, 0.0, 1.0);
            }}

            // Row x of the data; four outputs from 4·y on.
            @fragment
            fn fragment(@builtin(position) at: vec4<f32>) -> @location(0) vec4<u32> {{
                var y = net(u32(at.x));
                let first = 4u * u32(at.y);
                var four: vec4<f32>;
                for (var i = 0u; i < 4u; i++) {{
                    if first + i < {outputs}u {{ four[i] = y[first + i]; }}
                }}
                return bitcast<vec4<u32>>(four);
            }}"
        )
    }
}

impl Host {
    /// The test binary's one.
    ///
    /// # Panics
    /// Without any adapter: no GPU is never a silent pass.
    pub(crate) fn get() -> &'static Self {
        static HOST: OnceLock<Host> = OnceLock::new();
        HOST.get_or_init(|| {
            let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
            let instance = wgpu::Instance::new(descriptor);
            let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default());
            let adapter = pollster::block_on(adapter).expect("an adapter");
            let device = adapter.request_device(&wgpu::DeviceDescriptor {
                label: Some("host"),
                required_features: wgpu::Features::empty(),
                required_limits: wgpu::Limits::default(),
                ..wgpu::DeviceDescriptor::default()
            });
            let (device, queue) = pollster::block_on(device).expect("a device");
            Self { device, queue }
        })
    }

    /// A storage buffer with these numbers.
    pub(crate) fn buffer(&self, numbers: &[f32]) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("numbers"),
            size: 4 * numbers.len() as u64,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(numbers));
        buffer
    }

    /// Makes the pipeline of a caller. `parameters` is bound at group 0, binding 0, if the function
    /// reads it.
    pub(crate) fn pipeline(&self, caller: Caller, function: Function<'_>) -> Pipeline {
        let device = &self.device;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(function.name),
            source: wgpu::ShaderSource::Wgsl(function.module().into()),
        });
        let kind = match caller {
            Caller::Compute => {
                Kind::Compute(device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                    label: Some(function.name),
                    layout: None,
                    module: &module,
                    entry_point: Some("compute"),
                    compilation_options: wgpu::PipelineCompilationOptions::default(),
                    cache: None,
                }))
            }
            Caller::Fragment => {
                Kind::Fragment(device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                    label: Some(function.name),
                    layout: None,
                    vertex: wgpu::VertexState {
                        module: &module,
                        entry_point: Some("vertex"),
                        compilation_options: wgpu::PipelineCompilationOptions::default(),
                        buffers: &[],
                    },
                    primitive: wgpu::PrimitiveState::default(),
                    depth_stencil: None,
                    multisample: wgpu::MultisampleState::default(),
                    fragment: Some(wgpu::FragmentState {
                        module: &module,
                        entry_point: Some("fragment"),
                        compilation_options: wgpu::PipelineCompilationOptions::default(),
                        targets: &[Some(FORMAT.into())],
                    }),
                    multiview_mask: None,
                    cache: None,
                }))
            }
        };
        Pipeline { kind, inputs: function.inputs, outputs: function.outputs }
    }

    /// The function's outputs for each row of `inputs`; `parameters` where it reads them.
    pub(crate) fn run(
        &self,
        pipeline: &Pipeline,
        parameters: Option<&wgpu::Buffer>,
        inputs: &[f32],
    ) -> Vec<f32> {
        let rows = inputs.len() / pipeline.inputs;
        let data = self.buffer(inputs);
        let mut encoder =
            self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let entries = |buffers: &[&wgpu::Buffer]| -> Vec<_> {
            let entry = |(binding, buffer): (u32, &&wgpu::Buffer)| (binding, (*buffer).clone());
            (0..).zip(buffers).map(entry).collect()
        };
        let bind = |group: u32, layout: wgpu::BindGroupLayout, buffers: &[&wgpu::Buffer]| {
            let buffers = entries(buffers);
            let entries: Vec<_> = buffers
                .iter()
                .map(|(binding, buffer)| wgpu::BindGroupEntry {
                    binding: *binding,
                    resource: buffer.as_entire_binding(),
                })
                .collect();
            let label = format!("group {group}");
            self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&label),
                layout: &layout,
                entries: &entries,
            })
        };
        match &pipeline.kind {
            Kind::Compute(compute) => {
                let written = self.buffer(&vec![f32::NAN; rows * pipeline.outputs]);
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                pass.set_pipeline(compute);
                if let Some(parameters) = parameters {
                    pass.set_bind_group(
                        0,
                        &bind(0, compute.get_bind_group_layout(0), &[parameters]),
                        &[],
                    );
                }
                pass.set_bind_group(
                    1,
                    &bind(1, compute.get_bind_group_layout(1), &[&data, &written]),
                    &[],
                );
                pass.dispatch_workgroups(word(rows.div_ceil(8)), 1, 1);
                drop(pass);
                self.read(encoder, &written)
            }
            Kind::Fragment(render) => {
                let height = pipeline.outputs.div_ceil(4);
                let size = wgpu::Extent3d {
                    width: word(rows),
                    height: word(height),
                    depth_or_array_layers: 1,
                };
                let texture = self.device.create_texture(&wgpu::TextureDescriptor {
                    label: Some("drawn"),
                    size,
                    mip_level_count: 1,
                    sample_count: 1,
                    dimension: wgpu::TextureDimension::D2,
                    format: FORMAT,
                    usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
                    view_formats: &[],
                });
                let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
                let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                    label: Some("draw"),
                    color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                        view: &view,
                        depth_slice: None,
                        resolve_target: None,
                        ops: wgpu::Operations {
                            load: wgpu::LoadOp::Clear(wgpu::Color {
                                r: NAN,
                                g: NAN,
                                b: NAN,
                                a: NAN,
                            }),
                            store: wgpu::StoreOp::Store,
                        },
                    })],
                    ..wgpu::RenderPassDescriptor::default()
                });
                pass.set_pipeline(render);
                if let Some(parameters) = parameters {
                    pass.set_bind_group(
                        0,
                        &bind(0, render.get_bind_group_layout(0), &[parameters]),
                        &[],
                    );
                }
                pass.set_bind_group(1, &bind(1, render.get_bind_group_layout(1), &[&data]), &[]);
                pass.draw(0..3, 0..1);
                drop(pass);
                // Rows of a copy begin at multiples of 256 bytes.
                let stride = (4 * rows).next_multiple_of(64);
                let copy = self.buffer(&vec![0.0; stride * height]);
                encoder.copy_texture_to_buffer(
                    texture.as_image_copy(),
                    wgpu::TexelCopyBufferInfo {
                        buffer: &copy,
                        layout: wgpu::TexelCopyBufferLayout {
                            offset: 0,
                            bytes_per_row: Some(word(4 * stride)),
                            rows_per_image: None,
                        },
                    },
                    size,
                );
                let texels = self.read(encoder, &copy);
                let output = |i: usize| {
                    let (row, column) = (i / pipeline.outputs, i % pipeline.outputs);
                    texels[column / 4 * stride + 4 * row + column % 4]
                };
                (0..rows * pipeline.outputs).map(output).collect()
            }
        }
    }

    /// Submits, and returns what then is in the buffer.
    fn read(&self, mut encoder: wgpu::CommandEncoder, buffer: &wgpu::Buffer) -> Vec<f32> {
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("staging"),
            size: buffer.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("mapped"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the device answers");
        let bytes = staging.get_mapped_range(..).expect("mapped");
        bytemuck::pod_collect_to_vec(&bytes)
    }
}

/// A caller, ready to run.
pub(crate) struct Pipeline {
    kind: Kind,
    inputs: usize,
    outputs: usize,
}

enum Kind {
    Compute(wgpu::ComputePipeline),
    Fragment(wgpu::RenderPipeline),
}

/// Numbers by their bits: not every device draws to f32.
const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba32Uint;
/// The bits of a NaN, as a texture of that format is cleared to.
const NAN: f64 = u32::MAX as f64;

fn word(n: usize) -> u32 {
    u32::try_from(n).expect("small")
}
