//! Which columns change places together while their importance is measured: each by itself, but the pixels
//! of larger images in patches. One of many pixels says next to nothing, and all take long.

use wgrad::data::{ImageOptions, Schema};

/// Patches along the side of an image, at most.
const MOST_PATCHES: usize = 16;

/// What changes places together.
#[derive(Debug)]
pub(super) struct Group {
    pub name: String,
    /// The inputs of the net that it fills.
    pub features: Vec<usize>,
}

/// In the table's order, or patches of so many pixels along their sides row by row.
pub(super) fn groups(schema: &Schema) -> (usize, Vec<Group>) {
    match square_image(schema) {
        Some(side) if side > MOST_PATCHES => {
            let edge = side.div_ceil(MOST_PATCHES);
            (edge, patches(schema, side, edge))
        }
        _ => (1, columns(schema)),
    }
}

/// The side of a square image whose pixels the columns are, by what they hold or by their names.
pub(super) fn square_image(schema: &Schema) -> Option<usize> {
    let count = schema.inputs.len();
    let side = count.isqrt();
    let named = || schema.inputs.iter().all(|input| input.name.starts_with("pixel"));
    let is_one = side >= 4
        && side * side == count
        && schema.in_features() == count
        && (schema.pixels || named());
    // Names may tell of another shape.
    let ImageOptions { size, colour } = ImageOptions::of(schema);
    let is_other = size.is_some_and(|(width, height)| width != height || colour == Some(true));
    (is_one && !is_other).then_some(side)
}

fn columns(schema: &Schema) -> Vec<Group> {
    let inputs = schema.inputs.iter().scan(0, |end, input| {
        let start = *end;
        *end += input.width();
        Some(Group { name: input.name.clone(), features: (start..*end).collect() })
    });
    inputs.collect()
}

fn patches(schema: &Schema, side: usize, edge: usize) -> Vec<Group> {
    let starts = || (0..side).step_by(edge);
    let patch = |(top, left): (usize, usize)| {
        let (rows, columns) = (top..side.min(top + edge), left..side.min(left + edge));
        let first = &schema.inputs[top * side + left].name;
        let name = format!("{first}, {} × {}", rows.len(), columns.len());
        let features = rows.flat_map(|row| columns.clone().map(move |column| row * side + column));
        Group { name, features: features.collect() }
    };
    starts().flat_map(|top| starts().map(move |left| (top, left))).map(patch).collect()
}

#[cfg(test)]
mod tests {
    use wgrad::data::{SchemaOptions, Table};

    use super::*;

    #[test]
    fn an_image_is_square_by_its_names() {
        let side = |name: &dyn Fn(usize) -> String| {
            let names: Vec<String> = (0..1024).map(name).chain(["y".into()]).collect();
            let cells: Vec<f32> =
                (0..u16::try_from(2 * names.len()).unwrap()).map(f32::from).collect();
            let table = Table::from_rows("t", &names, &cells).unwrap();
            let options = SchemaOptions::default();
            square_image(&Schema::fit(&table, &table.all_rows(), &options).unwrap())
        };
        assert_eq!(side(&|i| format!("pixel_{}_{}", i / 32, i % 32)), Some(32));
        assert_eq!(side(&|i| format!("pixel{i}")), Some(32));
        assert_eq!(side(&|i| format!("pixel_{}_{}", i / 64, i % 64)), None);
        assert_eq!(side(&|i| format!("pixel_{}_{}_red", i / 32, i % 32)), None);
    }

    #[test]
    fn patches_divide_an_image() {
        // The last patches of a side are narrower.
        let names: Vec<String> = (0..19 * 19)
            .map(|i| format!("pixel_{}_{}", i / 19, i % 19))
            .chain(["y".into()])
            .collect();
        let cells: Vec<f32> = (0..u16::try_from(2 * names.len()).unwrap()).map(f32::from).collect();
        let table = Table::from_rows("t", &names, &cells).unwrap();
        let schema = Schema::fit(&table, &table.all_rows(), &SchemaOptions::default()).unwrap();
        assert_eq!(square_image(&schema), Some(19));
        let (edge, groups) = groups(&schema);
        assert_eq!((edge, groups.len()), (2, 100));
        assert_eq!(
            (&*groups[0].name, &groups[0].features[..]),
            ("pixel_0_0, 2 × 2", &[0, 1, 19, 20][..])
        );
        assert_eq!(groups[99].name, "pixel_18_18, 1 × 1");
        let mut all: Vec<usize> = groups.into_iter().flat_map(|group| group.features).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..19 * 19));
    }
}
