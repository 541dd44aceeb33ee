//! Every record agrees with its WGSL.

use naga::front::wgsl;
use naga::valid::{
    Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator,
};

use crate::engine::kernel::{Access, Halves, Kernel};
use crate::ops;

type Fields = Vec<(String, usize)>;

/// What a kernel's WGSL declares at a slot: name, kind of access, and for a uniform its fields and
/// size.
type Declared = (u32, String, &'static str, Option<(Fields, u64)>);

pub(super) fn parse(kernel: &Kernel, halves: Halves) -> naga::Module {
    let text = halves.module(kernel);
    wgsl::parse_str(&text)
        .unwrap_or_else(|e| panic!("{}:\n{}", kernel.name, e.emit_to_string(&text)))
}

/// A kernel's ways to hold numbers: all in f32, and where some may be f16, all that may.
pub(super) fn storages(kernel: &Kernel) -> Vec<Halves> {
    let mut storages = vec![Halves::NONE, Halves::all(kernel)];
    storages.dedup();
    storages
}

/// What naga finds out of a kernel's module, which must need no capability beyond WebGPU's core; but
/// the forms that broadcast need subgroups, and f16 itself.
pub(super) fn validate(kernel: &Kernel, halves: Halves, module: &naga::Module) -> ModuleInfo {
    let broadcasts = kernel.name.contains("broadcast");
    // unpack2x16float is in WebGPU's core, but naga asks.
    let core = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let capabilities = if broadcasts { core | Capabilities::SUBGROUP } else { core };
    let is_cooperative = kernel.name.contains("cooperative");
    let capabilities = if is_cooperative {
        // Squares of 16×16 have f16 factors.
        capabilities | Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16
    } else {
        capabilities
    };
    let has_halves = halves != Halves::NONE;
    let capabilities =
        if has_halves { capabilities | Capabilities::SHADER_FLOAT16 } else { capabilities };
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    if broadcasts {
        validator.subgroup_stages(ShaderStages::COMPUTE);
        validator.subgroup_operations(SubgroupOperationSet::BALLOT);
    }
    validator.validate(module).unwrap_or_else(|e| panic!("{}: {e:?}", kernel.name))
}

fn declared(module: &naga::Module) -> Vec<Declared> {
    let mut found: Vec<_> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| {
            let binding = variable.binding?;
            assert_eq!(binding.group, 0, "all bindings are in group 0");
            let name = variable.name.clone().unwrap_or_default();
            let (access, layout) = match variable.space {
                naga::AddressSpace::Uniform => match &module.types[variable.ty].inner {
                    naga::TypeInner::Struct { members, span } => {
                        let field = |m: &naga::StructMember| {
                            (m.name.clone().unwrap_or_default(), m.offset as usize)
                        };
                        let fields = members.iter().map(field).collect();
                        ("uniform", Some((fields, u64::from(*span))))
                    }
                    other => panic!("uniform {name} is {other:?}, not a struct"),
                },
                naga::AddressSpace::Storage { access } => {
                    let writes = access.contains(naga::StorageAccess::STORE);
                    (if writes { "read_write" } else { "read" }, None)
                }
                other => panic!("{name} is in {other:?}"),
            };
            Some((binding.binding, name, access, layout))
        })
        .collect();
    found.sort_by_key(|d| d.0);
    found
}

fn recorded(kernel: &Kernel) -> Vec<Declared> {
    (0..)
        .zip(kernel.bindings)
        .map(|(slot, binding)| {
            let (access, layout) = match binding.access {
                Access::Uniform { size, fields } | Access::Step { size, fields } => {
                    let fields = fields.iter().map(|&(name, at)| (name.to_owned(), at)).collect();
                    // WGSL rounds a uniform binding up to 16 bytes, the largest alignment in use.
                    assert_eq!(size % 16, 0, "{}: pad {}", kernel.name, binding.name);
                    ("uniform", Some((fields, size)))
                }
                Access::Read => ("read", None),
                Access::ReadWrite => ("read_write", None),
            };
            (slot, binding.name.to_owned(), access, layout)
        })
        .collect()
}

#[test]
fn every_record_agrees_with_its_wgsl() {
    for kernel in ops::all() {
        let module = parse(kernel, Halves::NONE);
        let (mut declared, recorded) = (declared(&module), recorded(kernel));
        for (_, name, _, layout) in &mut declared {
            // A struct without vectors ends where its last field does; the record's is padded.
            if let Some((_, size)) = layout {
                *size = size.next_multiple_of(16);
            }
            assert!(!name.is_empty(), "{}: an unnamed binding", kernel.name);
        }
        assert_eq!(recorded, declared, "{}", kernel.name);
    }
}

#[test]
fn every_override_is_given_and_has_no_default() {
    for kernel in ops::all() {
        let module = parse(kernel, Halves::NONE);
        let mut declared: Vec<_> = module
            .overrides
            .iter()
            // naga makes nameless ones for expressions such as an array length of TILE · TILE.
            .filter_map(|(_, o)| o.name.clone().map(|name| (name, o.init)))
            .map(|(name, init)| {
                assert!(init.is_none(), "{}: {name} has a default", kernel.name);
                name
            })
            .collect();
        let given = kernel.constants.iter().map(|(name, _)| *name);
        let given = given.chain(kernel.choices.iter().map(|choice| choice.name));
        let mut given: Vec<_> = given.map(str::to_owned).collect();
        declared.sort();
        given.sort();
        assert_eq!(given, declared, "{}", kernel.name);
    }
}

#[test]
fn every_kernel_is_valid_and_opens_with_its_formula() {
    for kernel in ops::all() {
        for halves in storages(kernel) {
            validate(kernel, halves, &parse(kernel, halves));
        }
        // A product's form and cells follow its name.
        let name = kernel.name.split('.').next().unwrap_or_default();
        let headline = format!("// {name}:  ");
        assert!(kernel.wgsl.contains(&headline), "{} lacks its formula on top", kernel.name);
    }
}

#[test]
fn the_comparison_sees_two_swapped_fields() {
    let kernel = ops::all()[0];
    let mut swapped = recorded(kernel);
    if let Some((fields, _)) = &mut swapped[0].3 {
        let (a, b) = (fields[4].1, fields[5].1);
        fields[4].1 = b;
        fields[5].1 = a;
    }
    assert_ne!(swapped, declared(&parse(kernel, Halves::NONE)));
}

/// Statements of a kernel, with those of all its blocks, that store to a component of a vector which
/// other invocations can write.
fn component_stores(module: &naga::Module, info: &ModuleInfo) -> usize {
    use naga::{Block, Function, Statement, TypeInner, valid::FunctionInfo};
    fn in_block(module: &naga::Module, info: &FunctionInfo, block: &Block) -> usize {
        let inner = |block: &Block| in_block(module, info, block);
        let in_statement = |statement: &Statement| match statement {
            Statement::Store { pointer, .. } => {
                let stored = info[*pointer].ty.inner_with(&module.types);
                let shared = |space: &naga::AddressSpace| {
                    use naga::AddressSpace::{Storage, WorkGroup};
                    matches!(space, WorkGroup | Storage { .. })
                };
                usize::from(matches!(
                    stored,
                    TypeInner::ValuePointer { size: None, space, .. } if shared(space)
                ))
            }
            Statement::Block(block) => inner(block),
            Statement::If { accept, reject, .. } => inner(accept) + inner(reject),
            Statement::Switch { cases, .. } => cases.iter().map(|case| inner(&case.body)).sum(),
            Statement::Loop { body, continuing, .. } => inner(body) + inner(continuing),
            _ => 0,
        };
        block.iter().map(in_statement).sum()
    }
    let of = |function: &Function, info: &FunctionInfo| in_block(module, info, &function.body);
    let functions = module.functions.iter().map(|(handle, f)| of(f, &info[handle]));
    let entries = module.entry_points.iter().enumerate();
    let entries = entries.map(|(i, entry)| of(&entry.function, info.get_entry_point(i)));
    functions.chain(entries).sum()
}

/// WGSL lets a write to a component write the whole vector, and Metal does so: what another invocation
/// has written to its neighbours would be lost.
#[test]
fn no_kernel_writes_a_component_of_a_vector_that_others_write() {
    for kernel in ops::all() {
        for halves in storages(kernel) {
            let module = parse(kernel, halves);
            let stores = component_stores(&module, &validate(kernel, halves, &module));
            assert_eq!(stores, 0, "{} stores to components of shared vectors", kernel.name);
        }
    }
}

#[test]
fn a_write_to_a_component_is_found() {
    for (at, stores) in [("[id.x]", 0), ("[0][id.x]", 1), ("[0].y", 1)] {
        let element = if stores == 0 { "f32" } else { "vec4<f32>" };
        let wgsl = format!(
            "var<workgroup> tile: array<{element}, 4>;\n\
             @compute @workgroup_size(4) fn main(@builtin(local_invocation_id) id: vec3<u32>) {{\n\
             if id.x > 1u {{ loop {{ tile{at} = 1.0; break; }} }}\n}}"
        );
        let module = wgsl::parse_str(&wgsl).unwrap();
        let info = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module);
        assert_eq!(component_stores(&module, &info.unwrap()), stores, "{at}");
    }
}
