//! How images become rows.

use std::ffi::OsStr;
use std::path::Path;

use super::schema::Schema;

/// How to read images. The default takes them as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// Width and height in pixels that each image is resized to, whatever its proportions (Lanczos'
    /// filter). Default `None`: they have one size, which is kept.
    pub size: Option<(u32, u32)>,
    /// Whether each pixel has three numbers (red, green, blue) or one (grey). Default `None`: one, if all
    /// images are stored in grey.
    pub colour: Option<bool>,
}

impl ImageOptions {
    /// The images that a net reads: the size and colours that its columns `pixel_0_0`, `pixel_0_1_red` and
    /// so on tell; the default where it reads something else.
    #[must_use]
    pub fn of(schema: &Schema) -> Self {
        let mut size = (0, 0);
        let mut colour = false;
        for input in &schema.inputs {
            let mut parts = input.name.split('_');
            if parts.next() != Some("pixel") {
                return Self::default();
            }
            let mut number = || parts.next()?.parse::<u32>().ok()?.checked_add(1);
            let (Some(height), Some(width)) = (number(), number()) else { return Self::default() };
            size = (size.0.max(width), size.1.max(height));
            colour |= parts.next().is_some();
        }
        Self { size: (size != (0, 0)).then_some(size), colour: Some(colour) }
    }
}

/// Whether a file is an image by its name.
pub(super) fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Whether a folder has images, or folders that may.
pub(super) fn are_in(folder: &Path) -> bool {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| is_image(&path) || path.is_dir() && !path.file_name().is_some_and(is_hidden))
}

/// Whether systems and programs put it there for themselves.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') || matches!(&*name, "Thumbs.db" | "desktop.ini")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Column, SchemaOptions, Table};

    #[test]
    fn a_net_tells_its_images_by_its_columns() {
        let options = |names: &[&str]| {
            let mut columns: Vec<Column> =
                names.iter().map(|&name| Column::numeric(name, vec![0.0, 1.0])).collect();
            columns.push(Column::text("label", [Some("a"), Some("b")]));
            let table = Table::new("t", columns).unwrap();
            ImageOptions::of(&Schema::fit(&table, &[0, 1], &SchemaOptions::default()).unwrap())
        };
        let grey = ImageOptions { size: Some((3, 2)), colour: Some(false) };
        assert_eq!(options(&["pixel_0_0", "pixel_1_2", "pixel_0_1"]), grey);
        let colour = ImageOptions { size: Some((1, 1)), colour: Some(true) };
        assert_eq!(options(&["pixel_0_0_red", "pixel_0_0_green"]), colour);
        for names in [&["x0"][..], &["pixel_0_0", "y"], &["pixel_a_0"], &["pixel_4294967295_0"]] {
            assert_eq!(options(names), ImageOptions::default(), "{names:?}");
        }
    }
}
