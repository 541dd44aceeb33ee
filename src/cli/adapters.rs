//! `wgrad adapters`: what wgpu finds on this machine.

use indicatif::BinaryBytes;
use serde_json::{Value, json};
use wgrad::wgpu::{Adapter, AdapterInfo};
use wgrad::{AdapterChoice, adapters};

use super::args::AdaptersArgs;
use super::device::{driver, kind};
use super::environment;
use super::failure::Failure;
use super::stdout;

pub(crate) fn list(args: &AdaptersArgs) -> Result<(), Failure> {
    environment::check_backends()?;
    let found: Vec<(AdapterInfo, u64)> =
        adapters().iter().map(|adapter| (adapter.get_info(), largest_binding(adapter))).collect();
    let named = environment::adapter_name();
    let auto = found.iter().position(|(info, _)| match &named {
        Some(name) => AdapterChoice::Named(name).fits(info),
        None => AdapterChoice::Hardware.fits(info),
    });
    let text = if args.json { json_text(&found, auto) } else { table(&found, auto) };
    stdout::print(text)
}

/// The most bytes that a kernel can see at once: what a layer or a data set must fit in.
fn largest_binding(adapter: &Adapter) -> u64 {
    let limits = adapter.limits();
    limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
}

fn table(found: &[(AdapterInfo, u64)], auto: Option<usize>) -> String {
    let title = ["", "name", "type", "backend", "driver", "largest binding"].map(String::from);
    let mut lines = vec![title];
    lines.extend(found.iter().enumerate().map(|(i, (info, binding))| {
        [
            if auto == Some(i) { "*" } else { "" }.into(),
            info.name.clone(),
            kind(info).into(),
            info.backend.to_string(),
            driver(info),
            BinaryBytes(*binding).to_string(),
        ]
    }));
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    if !found.is_empty() {
        for line in &lines {
            let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text += "\n";
        }
        text += "\n";
    }
    text + &why(found, auto) + "\n"
}

/// Which of them `--device auto` takes.
fn why(found: &[(AdapterInfo, u64)], auto: Option<usize>) -> String {
    if let Some(name) = environment::adapter_name() {
        return match auto {
            Some(i) => format!(
                "--device auto and gpu take {} (*), since WGPU_ADAPTER_NAME={name}",
                found[i].0.name
            ),
            None => format!(
                "--device auto and gpu take none, since WGPU_ADAPTER_NAME={name} fits no adapter's \
                 name or driver"
            ),
        };
    }
    match (auto, found.first()) {
        (Some(i), _) => format!(
            "--device auto takes {} (*): of the hardware adapters the fastest kind, native \
             backends before GL",
            found[i].0.name
        ),
        (None, Some((software, _))) => format!(
            "--device auto takes the CPU engine: there is no hardware adapter, and compiled code \
             is faster than kernels in software; --device gpu takes {}",
            software.name
        ),
        (None, None) => "no adapters: --device auto takes the CPU engine; to run the GPU kernels \
                         install your GPU's Vulkan driver, or Mesa's software one (Debian and \
                         Ubuntu: apt-get install mesa-vulkan-drivers)"
            .into(),
    }
}

fn json_text(found: &[(AdapterInfo, u64)], auto: Option<usize>) -> String {
    let adapters: Vec<Value> = found
        .iter()
        .map(|(info, binding)| {
            json!({
                "name": info.name,
                "type": kind(info),
                "backend": info.backend.to_string(),
                "driver": driver(info),
                "largest_binding_bytes": binding,
            })
        })
        .collect();
    let named = environment::adapter_name().is_some();
    let engine = match auto {
        Some(_) => json!("gpu"),
        None if named => Value::Null,
        None => json!("cpu"),
    };
    let auto = json!({ "engine": engine, "adapter": auto, "why": why(found, auto) });
    format!("{}\n", json!({ "adapters": adapters, "auto": auto }))
}
