//! What Mesa's AMD compiler makes of every variant of every kernel, for GPUs that need not be there.
//!
//! It shows its machine code without the hardware, as no other GPU's compiler does. What holds
//! there, that registers suffice and the hot loops of products are multiply-adds, is the merit of
//! the kernels and speaks for other GPUs too.
//!
//! `cargo test --lib isa -- --nocapture` prints the tables, and with the environment variable
//! `WGRAD_ASSEMBLY` the machine code of the variants whose name and choices contain its value.

mod assembly;
mod radv;
mod report;

use std::path::PathBuf;
use std::process::Command;

use super::translation::{Variant, variants};
use crate::engine::kernel::{Kernel, read_write};
use crate::ops::{self, loss::kernel};
use crate::{Activation, Loss};
use radv::Radv;
use report::{Family, Report};

const VEGA: Family = Family { name: "Vega", members: &["vega10"], min_waves: None };
const RDNA1: Family = Family { name: "RDNA1", members: &["navi10"], min_waves: None };
const RDNA3: Family = Family { name: "RDNA3", members: &["navi31", "gfx1100"], min_waves: Some(8) };

/// Set in a process that was started to compile.
const COMPILES: &str = "WGRAD_ISA";
/// Lines around what such a process has found.
const FINDINGS: &str = "findings:";
const END: &str = "end of findings";

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
#[cfg_attr(not(target_os = "linux"), ignore = "Mesa's AMD driver is for Linux")]
fn every_variant_suits_vega() {
    let found = findings(&VEGA, "every_variant_suits_vega", &ops::all());
    assert!(found.is_empty(), "\n{found}");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
#[cfg_attr(not(target_os = "linux"), ignore = "Mesa's AMD driver is for Linux")]
fn every_variant_suits_rdna1() {
    let found = findings(&RDNA1, "every_variant_suits_rdna1", &ops::all());
    assert!(found.is_empty(), "\n{found}");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
#[cfg_attr(not(target_os = "linux"), ignore = "Mesa's AMD driver is for Linux")]
fn every_variant_suits_rdna3() {
    let found = findings(&RDNA3, "every_variant_suits_rdna3", &ops::all());
    assert!(found.is_empty(), "\n{found}");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
#[cfg_attr(not(target_os = "linux"), ignore = "Mesa's AMD driver is for Linux")]
fn a_kernel_with_too_many_values_is_found() {
    // All 300 values are there at the barrier; the most vector registers of a lane are 256.
    let all = |line: fn(usize) -> String| (0..300).map(line).collect::<String>();
    let wgsl = format!(
        "@group(0) @binding(0) var<storage, read_write> values: array<f32>;\n\
         @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) lane: u32) {{\n\
         {} storageBarrier();\n{} }}",
        all(|i| format!("let v{i} = values[{i}u * 64u + lane];\n")),
        all(|i| format!("values[{i}u * 64u + lane] = v{};\n", 299 - i)),
    );
    let kernel = Kernel {
        name: "reverse",
        wgsl: wgsl.leak(),
        bindings: const { &[read_write("values")] },
        constants: &[],
        choices: &[],
    };
    let kernel = Box::leak(Box::new(kernel));
    let found = findings(&RDNA3, "a_kernel_with_too_many_values_is_found", &[kernel]);
    assert!(found.contains("reverse: registers spilled"), "found: {found}");
}

/// Compiles every variant of these kernels for a family and says what they should be better at, a
/// line each. `test` is the function that asks.
///
/// It does so in a process of its own, which runs the same test: Vulkan's loader and the driver take
/// their directions from environment variables, and those mustn't reach the tests of this one.
fn findings(family: &Family, test: &str, kernels: &[&'static Kernel]) -> String {
    if std::env::var_os(COMPILES).is_some() {
        return compile(family, kernels);
    }
    let path = module_path!().split_once("::").map_or("", |(_, path)| path);
    let mut complaint = String::new();
    for member in family.members {
        let child = Command::new(std::env::current_exe().expect("path of the test binary"))
            .args(["--exact", &format!("{path}::{test}"), "--nocapture"])
            .env(COMPILES, "1")
            .env("VK_DRIVER_FILES", driver())
            .env("RADV_FORCE_FAMILY", member)
            // The same for newer Mesa.
            .env("AMD_FORCE_FAMILY", member)
            .output()
            .expect("the test binary runs again");
        let output = String::from_utf8_lossy(&child.stdout);
        let found = output.split_once(FINDINGS).and_then(|(table, rest)| {
            let (found, _) = rest.split_once(END)?;
            Some((table, found.trim().to_owned()))
        });
        if let Some((table, found)) = found {
            println!("{table}");
            return found;
        }
        complaint = format!("{output}{}", String::from_utf8_lossy(&child.stderr));
        if !complaint.contains("Unknown family") {
            break;
        }
    }
    panic!(
        "Mesa's AMD driver didn't compile for {}. It must be one that does so without the \
         hardware, such as 22.3; else leave these tests out (cargo test -- --skip isa):\n\
         {complaint}",
        family.name
    );
}

/// The file that tells Vulkan's loader of RADV.
///
/// # Panics
/// If it isn't there, with the remedy.
fn driver() -> PathBuf {
    let names = [format!("radeon_icd.{}.json", std::env::consts::ARCH), "radeon_icd.json".into()];
    ["/usr/share", "/usr/local/share", "/etc"]
        .iter()
        .flat_map(|place| names.iter().map(move |name| format!("{place}/vulkan/icd.d/{name}")))
        .map(PathBuf::from)
        .find(|path| path.exists())
        .expect(
            "no AMD driver of Mesa, which compiles the kernels without the hardware: install it \
             (Debian and Ubuntu: apt-get install mesa-vulkan-drivers), or leave these tests out \
             (cargo test -- --skip isa)",
        )
}

/// Whether a variant is worth its time: all are, but of the products' forms for software adapters, which
/// unroll what follows a sum, and of the fused steps, which hold a whole net, only those without an
/// activation and with the longest, and of the latter's element-wise losses the longest.
fn is_compiled(variant: &Variant) -> bool {
    const ACTIVATIONS: [Activation; 2] = [Activation::Identity, Activation::Gelu];
    let name = variant.kernel.name;
    let is_fused = name.starts_with("fused.");
    let is_long = is_fused || name.contains(".direct.") || name.contains(".broadcast");
    let activation = variant.choice("ACTIVATION");
    let shown = || ACTIVATIONS.iter().any(|a| activation == Some(f64::from(a.code())));
    let (_, bce) = kernel(&Loss::BCE_WITH_LOGITS);
    let other_loss = is_fused && variant.choice("LOSS").is_some_and(|loss| loss != bce[0]);
    // Mesa 22 knows no matrix units.
    !variant.is_cooperative() && !other_loss && (!is_long || activation.is_none() || shown())
}

/// Prints a table of all variants, then the findings, which it returns.
fn compile(family: &Family, kernels: &[&'static Kernel]) -> String {
    let radv = Radv::open();
    println!("\n{}: {}\n{}", family.name, radv.name, Report::HEADINGS);
    let mut findings = String::new();
    let shown = std::env::var("WGRAD_ASSEMBLY").ok();
    for variant in variants(kernels).filter(is_compiled) {
        let executable = radv.compile(&variant.spirv(), variant.kernel.bindings);
        let report = Report::new(&executable);
        println!("{report}  {variant}");
        if shown.as_ref().is_some_and(|part| variant.to_string().contains(part)) {
            println!("{}", executable.assembly);
        }
        for finding in report.findings(family, variant.kernel) {
            findings += &format!("{variant}: {finding}\n");
        }
    }
    println!("{FINDINGS}\n{findings}\n{END}");
    findings
}
