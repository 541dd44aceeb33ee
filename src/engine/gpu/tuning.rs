//! Which variant of each product a net uses: what a rule says, or what was measured to be faster.

use serde::{Deserialize, Serialize};

use super::forms::{Abilities, BUSY};
use super::program::word;
use crate::ops::product::Form;
use crate::plan::{Plan, StageOp};

/// Measured choices among the variants of a net's kernels, for one device. Where it says nothing, a rule
/// chooses by the device's kind and the shape. [`GpuEngine::tune`](super::GpuEngine::tune) finds it, and
/// [`GpuOptions::tuning`](super::GpuOptions::tuning) takes it; as serde sees it, it can be kept in a file.
///
/// Variants sum in different orders, so a training with another tuning has other bits. A
/// [`Checkpoint`](crate::Checkpoint) therefore remembers it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    products: Vec<(Product, Variant)>,
    /// Whether steps are fused where the net suits and that is left to the engine.
    fused: Option<bool>,
}

/// One of a linear layer's three products: rows × columns, summed over the depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Product {
    pub orientation: Orientation,
    pub rows: u32,
    pub columns: u32,
    pub depth: u32,
}

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Orientation {
    /// X·Wᵀ
    Forward,
    /// dZ·W
    BackwardInput,
    /// dZᵀ·\[X | 1\]
    BackwardWeight,
}

/// How it is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variant {
    pub form: Form,
    /// Parts of the depth that are summed side by side.
    pub slices: u32,
}

impl Product {
    /// That of a layer with so many inputs and outputs, for a batch of so many rows.
    pub(crate) const fn of(
        orientation: Orientation,
        batch: u32,
        inputs: u32,
        outputs: u32,
    ) -> Self {
        let (rows, columns, depth) = match orientation {
            Orientation::Forward => (batch, outputs, inputs),
            Orientation::BackwardInput => (batch, inputs, outputs),
            Orientation::BackwardWeight => (outputs, inputs + 1, batch),
        };
        Self { orientation, rows, columns, depth }
    }
}

impl Tuning {
    /// Whether it leaves everything to the rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn set(&mut self, product: Product, variant: Variant) {
        self.products.retain(|(other, _)| *other != product);
        self.products.push((product, variant));
    }

    /// One form for all of a plan's products.
    pub(crate) fn of_form(plan: &Plan, form: Form) -> Self {
        let products = products(plan).into_iter();
        let variant = Variant { form, slices: 1 };
        Self { products: products.map(|(_, product)| (product, variant)).collect(), fused: None }
    }

    pub(crate) fn set_fused(&mut self, fused: bool) {
        self.fused = Some(fused);
    }

    pub(crate) fn fused(&self) -> Option<bool> {
        self.fused
    }

    fn get(&self, product: Product) -> Option<Variant> {
        self.products.iter().find(|(other, _)| *other == product).map(|(_, variant)| *variant)
    }
}

/// The products of a plan's linear layers, each shape once, with a stage that has it.
pub(crate) fn products(plan: &Plan) -> Vec<(usize, Product)> {
    let batch = word(plan.options().rows_at_once());
    let mut products: Vec<(usize, Product)> = Vec::new();
    for (index, stage) in plan.stages().iter().enumerate() {
        if !matches!(stage.op, StageOp::Linear { .. }) {
            continue;
        }
        let (inputs, outputs) = (word(stage.in_features), word(stage.out_features));
        let of = |orientation| Product::of(orientation, batch, inputs, outputs);
        let back = (index > plan.first_trained()).then(|| of(Orientation::BackwardInput));
        for product in
            [of(Orientation::Forward), of(Orientation::BackwardWeight)].into_iter().chain(back)
        {
            if products.iter().all(|(_, other)| *other != product) {
                products.push((index, product));
            }
        }
    }
    products
}

/// The rule and the tuning of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Variants {
    pub abilities: Abilities,
    pub tuning: Tuning,
}

impl Variants {
    /// The variant of a product.
    pub(crate) fn of(&self, product: Product) -> Variant {
        let tuned = self.tuning.get(product);
        // A tuning from elsewhere may ask for what this device lacks, or for what no search tries.
        let most = match product.orientation {
            Orientation::BackwardWeight => product.depth.clamp(1, BUSY),
            _ => 1,
        };
        let tuned = tuned.filter(|variant| {
            self.abilities.allow(variant.form) && (1..=most).contains(&variant.slices)
        });
        tuned.unwrap_or_else(|| self.by_rule(product, None))
    }

    /// What the rule chooses, for a given form perhaps.
    pub(crate) fn by_rule(&self, product: Product, form: Option<Form>) -> Variant {
        let Product { orientation, rows, columns, depth } = product;
        let form = form.unwrap_or_else(|| self.abilities.form(rows, columns, depth));
        let slices = match orientation {
            Orientation::BackwardWeight => {
                let [block_rows, block_columns] = form.block();
                let blocks = rows.div_ceil(block_rows) * columns.div_ceil(block_columns);
                self.abilities.slices(blocks, depth)
            }
            _ => 1,
        };
        Variant { form, slices }
    }

    /// The variants that are worth measuring, that of the rule first.
    pub(crate) fn candidates(&self, product: Product) -> Vec<Variant> {
        let mut candidates = vec![self.by_rule(product, None)];
        let mut add = |variant: Variant| {
            if variant.slices > 0 && !candidates.contains(&variant) {
                candidates.push(variant);
            }
        };
        for form in self.abilities.forms().iter().copied().chain(self.abilities.cooperative) {
            let by_rule = self.by_rule(product, Some(form));
            add(by_rule);
            if by_rule.slices > 1 {
                add(Variant { slices: by_rule.slices / 2, ..by_rule });
                add(Variant { slices: 1, ..by_rule });
            }
        }
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPU: Abilities = Abilities { software: false, subgroups: true, cooperative: None };
    const SOFTWARE: Abilities = Abilities { software: true, subgroups: true, cooperative: None };
    const WEIGHT: Product =
        Product { orientation: Orientation::BackwardWeight, rows: 64, columns: 65, depth: 16_384 };

    fn variants(abilities: Abilities) -> Variants {
        Variants { abilities, tuning: Tuning::default() }
    }

    #[test]
    fn what_was_measured_comes_before_the_rule() {
        let mut variants = variants(GPU);
        let rule = variants.of(WEIGHT);
        let measured = Variant { form: Form::Tiled4, slices: 3 };
        assert_ne!(rule, measured);
        variants.tuning.set(WEIGHT, Variant { slices: 7, ..measured });
        variants.tuning.set(WEIGHT, measured);
        assert_eq!(variants.of(WEIGHT), measured);
        let other = Product { depth: 64, ..WEIGHT };
        assert_eq!(variants.of(other), variants.by_rule(other, None));
    }

    #[test]
    fn a_form_that_a_device_lacks_is_left_to_the_rule() {
        let mut variants = variants(Abilities { subgroups: false, ..SOFTWARE });
        variants.tuning.set(WEIGHT, Variant { form: Form::Broadcast, slices: 1 });
        assert_eq!(variants.of(WEIGHT).form, Form::Direct);
    }

    #[test]
    fn slices_that_no_product_has_are_left_to_the_rule() {
        let forward = Product { orientation: Orientation::Forward, ..WEIGHT };
        let short = Product { depth: 8, ..WEIGHT };
        for (product, slices) in [(WEIGHT, 0), (WEIGHT, BUSY + 1), (short, 9), (forward, 2)] {
            let mut variants = variants(GPU);
            variants.tuning.set(product, Variant { form: Form::Tiled4, slices });
            assert_eq!(variants.of(product), variants.by_rule(product, None), "{slices} slices");
        }
    }

    #[test]
    fn candidates_begin_with_the_rule_and_suit_the_device() {
        for abilities in [GPU, SOFTWARE, Abilities { subgroups: false, ..SOFTWARE }] {
            let variants = variants(abilities);
            let candidates = variants.candidates(WEIGHT);
            assert_eq!(candidates[0], variants.of(WEIGHT));
            assert!(candidates.iter().all(|variant| abilities.allow(variant.form)));
            let tiled = |variant: &Variant| {
                matches!(variant.form, Form::Tiled4 | Form::Tiled8) != abilities.software
            };
            assert!(candidates.iter().all(tiled), "{candidates:?}");
        }
        assert!(variants(GPU).candidates(WEIGHT).len() >= 5);
    }

    #[test]
    fn a_tuning_survives_its_file() {
        let mut tuning = Tuning::default();
        assert!(tuning.is_empty());
        tuning.set(WEIGHT, Variant { form: Form::Tiled8, slices: 4 });
        tuning.set_fused(true);
        let text = serde_json::to_string(&tuning).unwrap();
        assert!(text.contains("backward_weight") && text.contains("tiled8"), "{text}");
        assert_eq!(serde_json::from_str::<Tuning>(&text).unwrap(), tuning);
        assert!(serde_json::from_str::<Tuning>(&text.replace("tiled8", "tiled9")).is_err());
    }
}
