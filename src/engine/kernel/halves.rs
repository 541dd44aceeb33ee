//! Which of a kernel's buffers hold f16.

use std::borrow::Cow;

use super::{Access, Binding, Kernel};

/// The bindings of a kernel, by slot, whose numbers are f16 and not f32: of those only that may be
/// either.
///
/// WGSL has no generic types, so a kernel names the type of such a binding's numbers after it, and its
/// module begins with what the names stand for. Kernels compute in f32 whatever they read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Halves(u32);

impl Halves {
    /// All numbers are f32.
    pub(crate) const NONE: Self = Self(0);

    /// Those of a kernel's bindings that may be f16 and of which `is_half` says that they are.
    pub(crate) fn of(kernel: &Kernel, is_half: impl Fn(&str) -> bool) -> Self {
        let slots = (0..).zip(kernel.bindings);
        let halves = slots.filter(|(_, binding)| binding.either && is_half(binding.name));
        Self(halves.fold(0, |bits, (slot, _)| bits | 1 << slot))
    }

    /// All of a kernel's bindings that may be.
    #[cfg(test)]
    pub(crate) fn all(kernel: &Kernel) -> Self {
        Self::of(kernel, |_| true)
    }

    pub(crate) const fn contains(self, slot: u32) -> bool {
        self.0 >> slot & 1 == 1
    }

    /// The kernel's module: in front of its own text the types of numbers that may be either, and how
    /// they are written; in front of all what it enables, where WGSL wants that.
    pub(crate) fn module(self, kernel: &Kernel) -> Cow<'static, str> {
        let either = || (0..).zip(kernel.bindings).filter(|(_, binding)| binding.either);
        if either().next().is_none() {
            return Cow::Borrowed(kernel.wgsl);
        }
        let mut module = String::new();
        if self != Self::NONE {
            module += include_str!("../../../shaders/half.wgsl");
        }
        module.extend(either().map(|(slot, binding)| declaration(binding, self.contains(slot))));
        module += kernel.wgsl;
        let (enabled, rest): (Vec<_>, Vec<_>) =
            module.split_inclusive('\n').partition(|line| line.starts_with("enable "));
        Cow::Owned([enabled, rest].concat().concat())
    }
}

fn declaration(binding: &Binding, is_half: bool) -> String {
    let Binding { name, access, .. } = *binding;
    let alias = type_name(name);
    let (number, written) = if is_half { ("f16", "half_of(x)") } else { ("f32", "x") };
    let mut declaration = format!("alias {alias} = {number};\n");
    if access == Access::ReadWrite {
        declaration += &format!("fn to_{name}(x: f32) -> {alias} {{ return {written}; }}\n");
    }
    declaration
}

/// `GradientOutput` for `gradient_output`.
fn type_name(binding: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    binding.split('_').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernel::{read, read_write};

    #[test]
    fn a_module_begins_with_its_types() {
        let kernel = Kernel {
            name: "copy",
            wgsl: "…",
            bindings: const {
                &[read("shape"), read("gradient_output").or_half(), read_write("output").or_half()]
            },
            constants: &[],
            choices: &[],
        };
        let single = "alias GradientOutput = f32;\nalias Output = f32;\n\
                      fn to_output(x: f32) -> Output { return x; }\n…";
        assert_eq!(Halves::NONE.module(&kernel), single);
        let half = Halves::of(&kernel, |name| name != "gradient_output");
        assert!(half.contains(2) && !half.contains(1) && !half.contains(0));
        let (prelude, types) =
            (include_str!("../../../shaders/half.wgsl"), "alias Output = f16;\n");
        let module = half.module(&kernel);
        assert!(module.starts_with(prelude) && module.contains(types), "{module}");
        assert!(module.contains("return half_of(x);") && module.contains("= f32;"), "{module}");
        assert_eq!(Halves::NONE.module(&Kernel { bindings: &[], ..kernel }), "…");
    }
}
