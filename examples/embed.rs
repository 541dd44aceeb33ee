//! Trains a net on a device that this program makes itself, as an app with its own wgpu would, and
//! draws what it learned: which of two spirals each point of the plane belongs to.
//!
//!     cargo run --release --example embed        # writes spirals.svg
#![allow(clippy::print_stdout, reason = "a program talks")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "colours are below 256"
)]

use std::fmt::Write as _;

use wgrad::data::{self, Partition, PartitionOptions, Schema, SchemaOptions};
use wgrad::{
    Activation, GpuEngine, Loss, Mlp, Optimizer, Plan, Schedule, TrainOptions, Trainer, wgpu,
};

/// Cells along each side of the picture.
const CELLS: usize = 120;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The app's own device: default limits, no features.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter =
        pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let (device, queue) =
        pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))?;
    println!("training on {}", adapter.get_info().name);

    let table = data::spirals(600, 0.02, 1)?;
    let columns = SchemaOptions::default();
    let labels = columns.labels(&table)?;
    let parts = Partition::new(table.rows(), labels.as_deref(), &PartitionOptions::default())?;
    let schema = Schema::fit(&table, &parts.train, &columns)?;
    let train = schema.encode(&table, &parts.train)?;
    let test = schema.encode(&table, &parts.test)?;

    let mlp = Mlp::with_hidden(2, &[32, 32], Activation::Tanh, schema.outputs());
    let options = TrainOptions {
        epochs: 100,
        batch_size: 32,
        schedule: Schedule::Cosine { floor: 0.0 },
        ..TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adamw(0.01))
    };
    let plan = Plan::new(&mlp, &options)?;
    print!("{plan}");
    let mut trainer = Trainer::new(GpuEngine::new(&device, &queue, plan)?, &train, None)?;
    // The app's frames: it owns encoder, submission and polling, and wgrad records into them.
    while !trainer.is_finished() {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        trainer.encode_steps(&mut encoder, 50)?;
        queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely())?;
        if let Some(news) = trainer.latest_metrics()? {
            println!("step {:>4}: loss {:.4}", news.step, news.metrics.loss());
        }
    }
    println!("test accuracy {:.1} %", 100.0 * trainer.evaluate(&test)?.score.value());

    // The logits of every cell of the plane, in the net's own scaled coordinates.
    let reach = test.inputs().iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let coordinate = |cell: usize| reach * (2.0 * (cell as f32 + 0.5) / CELLS as f32 - 1.0);
    let cells: Vec<f32> =
        (0..CELLS * CELLS).flat_map(|i| [coordinate(i % CELLS), coordinate(i / CELLS)]).collect();
    let logits = trainer.predict(&cells)?;
    std::fs::write("spirals.svg", draw(&logits, test.inputs(), reach)?)?;
    println!("wrote spirals.svg");
    Ok(())
}

/// Cells coloured by the probability of the first spiral, and the test points on top.
fn draw(logits: &[f32], points: &[f32], reach: f32) -> Result<String, std::fmt::Error> {
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {CELLS} {CELLS}' width='480'>\n\
         <g shape-rendering='crispEdges'>\n"
    );
    // Ten shades, so that neighbouring cells of one shade can be one rectangle.
    let shades: Vec<u8> = logits
        .chunks_exact(2)
        .map(|logits| (10.0 / (1.0 + (logits[1] - logits[0]).exp())) as u8)
        .collect();
    for (row, shades) in shades.chunks_exact(CELLS).enumerate() {
        let (y, mut x) = (CELLS - 1 - row, 0);
        for run in shades.chunk_by(|a, b| a == b) {
            let (red, blue) = (120 + 12 * run[0], 240 - 12 * run[0]);
            let width = run.len();
            writeln!(
                svg,
                "<rect x='{x}' y='{y}' width='{width}' height='1' fill='rgb({red},150,{blue})'/>"
            )?;
            x += width;
        }
    }
    svg.push_str("</g>\n<g fill='white' stroke='black' stroke-width='0.2'>\n");
    for point in points.chunks_exact(2) {
        let place = |v: f32| 0.5 * (v / reach + 1.0) * CELLS as f32;
        let (x, y) = (place(point[0]), CELLS as f32 - place(point[1]));
        writeln!(svg, "<circle cx='{x:.2}' cy='{y:.2}' r='0.7'/>")?;
    }
    svg.push_str("</g>\n</svg>\n");
    Ok(svg)
}
