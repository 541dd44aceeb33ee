//! What the examples that draw share: a window or a PNG, and a fragment shader that fills it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "programs talk")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use wgrad::wgpu;
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::window::{Window, WindowId};

pub(crate) type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Of the picture.
pub(crate) type Format = wgpu::TextureFormat;

/// A net that trains and is drawn at the same time.
pub(crate) trait Scene: Sized {
    const TITLE: &'static str;
    /// Pixels of the picture.
    const SIZE: [u32; 2];

    fn new(device: &wgpu::Device, queue: &wgpu::Queue, format: wgpu::TextureFormat)
    -> Result<Self>;

    fn trainer(&mut self) -> &mut wgrad::Trainer<wgrad::GpuEngine>;

    /// Records the drawing of the net as it is.
    fn draw(&mut self, encoder: &mut wgpu::CommandEncoder, view: &wgpu::TextureView);

    /// What the finished picture (RGBA, row by row) says of the net.
    fn verdict(_pixels: &[u8]) -> String {
        String::new()
    }
}

/// `--headless out.png --steps 500` trains and saves a picture; without it there is a window.
pub(crate) fn run<S: Scene>() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let usage = "usage: [--headless out.png [--steps 500]]";
    let steps = value("--steps").map_or(Ok(500), str::parse).map_err(|_| usage)?;
    match value("--headless") {
        Some(path) => headless::<S>(path, steps),
        None if arguments.is_empty() => {
            let mut app = Windowed::<S> { shown: None, failed: None };
            EventLoop::new()?.run_app(&mut app)?;
            app.failed.map_or(Ok(()), Err)
        }
        None => Err(usage.into()),
    }
}

/// The host's own device. Timestamps are optional: they tell what a training step takes.
fn open(
    instance: &wgpu::Instance,
    surface: Option<&wgpu::Surface<'_>>,
) -> Result<(wgpu::Adapter, wgpu::Device, wgpu::Queue)> {
    let options = wgpu::RequestAdapterOptions {
        compatible_surface: surface,
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..wgpu::RequestAdapterOptions::default()
    };
    let adapter = pollster::block_on(instance.request_adapter(&options))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: adapter.features() & wgrad::OPTIONAL_FEATURES,
        ..wgpu::DeviceDescriptor::default()
    }))?;
    eprintln!("training on {}", adapter.get_info().name);
    Ok((adapter, device, queue))
}

fn headless<S: Scene>(path: &str, steps: u64) -> Result<()> {
    // Before the training: a path that can't be written should cost nothing.
    let file = std::fs::File::create(path).map_err(|e| format!("{path}: {e}"))?;
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let (_, device, queue) = open(&instance, None)?;
    let format = wgpu::TextureFormat::Rgba8Unorm;
    let mut scene = S::new(&device, &queue, format)?;
    while scene.trainer().steps() < steps {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let left = steps - scene.trainer().steps();
        scene.trainer().encode_steps(&mut encoder, left.min(10))?;
        queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely())?;
        if let Some(news) = scene.trainer().latest_metrics()? {
            eprint!("\rstep {:>5}: loss {:.6}", news.step, news.metrics.loss());
        }
    }
    eprintln!();

    let [width, height] = S::SIZE;
    let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("picture"),
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let pixels = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("pixels"),
        size: u64::from(4 * width * height),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    scene.draw(&mut encoder, &texture.create_view(&wgpu::TextureViewDescriptor::default()));
    // SIZE is such that a row's bytes are a multiple of the 256 that copies need.
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(4 * width),
        rows_per_image: None,
    };
    let buffer = wgpu::TexelCopyBufferInfo { buffer: &pixels, layout };
    encoder.copy_texture_to_buffer(texture.as_image_copy(), buffer, size);
    queue.submit([encoder.finish()]);
    pixels.map_async(wgpu::MapMode::Read, .., |_| {});
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let pixels = pixels.get_mapped_range(..)?;
    println!("{}", S::verdict(&pixels));
    save_png(file, S::SIZE, &pixels)?;
    println!("wrote {path}");
    Ok(())
}

/// Writes RGBA pixels, row by row.
fn save_png(file: std::fs::File, [width, height]: [u32; 2], pixels: &[u8]) -> Result<()> {
    let mut png = png::Encoder::new(std::io::BufWriter::new(file), width, height);
    png.set_color(png::ColorType::Rgba);
    png.write_header()?.write_image_data(pixels)?;
    Ok(())
}

/// A fragment shader over the whole picture.
pub(crate) struct Painter {
    pipeline: wgpu::RenderPipeline,
    group: wgpu::BindGroup,
}

impl Painter {
    /// `wgsl` has `@fragment fn colour`; `buffers` are the bindings of its group 0 in order.
    pub(crate) fn new(
        device: &wgpu::Device,
        format: Format,
        wgsl: &str,
        buffers: &[&wgpu::Buffer],
    ) -> Self {
        const CORNERS: &str = "
            @vertex fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
                return vec4<f32>(f32(i & 1u) * 4.0 - 1.0, f32(i >> 1u) * 4.0 - 1.0, 0.0, 1.0);
            }";
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("painter"),
            source: wgpu::ShaderSource::Wgsl([wgsl, CORNERS].concat().into()),
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("painter"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("corner"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("colour"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(format.into())],
            }),
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            multiview_mask: None,
            cache: None,
        });
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("painter"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Self { pipeline, group }
    }

    pub(crate) fn paint(&self, encoder: &mut wgpu::CommandEncoder, view: &wgpu::TextureView) {
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("painter"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..wgpu::RenderPassDescriptor::default()
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.draw(0..3, 0..1);
    }
}

/// The app of the window: made when the system says so.
struct Windowed<S> {
    shown: Option<Shown<S>>,
    failed: Option<Box<dyn std::error::Error>>,
}

struct Shown<S> {
    window: Arc<Window>,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
    device: wgpu::Device,
    queue: wgpu::Queue,
    scene: S,
    /// When the last frame began.
    began: Instant,
}

impl<S: Scene> Shown<S> {
    fn new(events: &ActiveEventLoop) -> Result<Self> {
        let [width, height] = S::SIZE;
        let attributes = Window::default_attributes()
            .with_title(S::TITLE)
            .with_inner_size(winit::dpi::PhysicalSize::new(width, height));
        let window = Arc::new(events.create_window(attributes)?);
        let instance =
            wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let surface = instance.create_surface(Arc::clone(&window))?;
        let (adapter, device, queue) = open(&instance, Some(&surface))?;
        let size = window.inner_size();
        let mut config = surface
            .get_default_config(&adapter, size.width.max(1), size.height.max(1))
            .ok_or("the adapter can't draw to this window")?;
        // The shaders write what the screen shows.
        config.format = config.format.remove_srgb_suffix();
        surface.configure(&device, &config);
        let scene = S::new(&device, &queue, config.format)?;
        Ok(Self { window, surface, config, device, queue, scene, began: Instant::now() })
    }

    /// One frame: some training, then the picture, in one encoder.
    fn frame(&mut self) -> Result<()> {
        let frame = match self.surface.get_current_texture() {
            wgpu::CurrentSurfaceTexture::Success(frame)
            | wgpu::CurrentSurfaceTexture::Suboptimal(frame) => frame,
            _ => {
                self.surface.configure(&self.device, &self.config);
                return Ok(());
            }
        };
        let mut encoder =
            self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        // Half of the time for training where a frame takes long, as on software adapters.
        let budget = Duration::from_millis(8).max(self.began.elapsed() / 2);
        self.began = Instant::now();
        self.scene.trainer().encode_steps_within(&mut encoder, budget)?;
        let view = frame.texture.create_view(&wgpu::TextureViewDescriptor::default());
        self.scene.draw(&mut encoder, &view);
        self.queue.submit([encoder.finish()]);
        self.queue.present(frame);
        if let Some(news) = self.scene.trainer().latest_metrics()? {
            let loss = news.metrics.loss();
            self.window.set_title(&format!("{}: step {}, loss {loss:.6}", S::TITLE, news.step));
        }
        self.window.request_redraw();
        Ok(())
    }
}

impl<S: Scene> ApplicationHandler for Windowed<S> {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        match Shown::new(events) {
            Ok(shown) => self.shown = Some(shown),
            Err(error) => {
                self.failed = Some(error);
                events.exit();
            }
        }
    }

    fn window_event(&mut self, events: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(shown) = &mut self.shown else { return };
        match event {
            WindowEvent::CloseRequested => events.exit(),
            WindowEvent::Resized(size) => {
                shown.config.width = size.width.max(1);
                shown.config.height = size.height.max(1);
                shown.surface.configure(&shown.device, &shown.config);
            }
            WindowEvent::RedrawRequested => {
                if let Err(error) = shown.frame() {
                    self.failed = Some(error);
                    events.exit();
                }
            }
            _ => {}
        }
    }
}
