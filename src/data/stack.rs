//! Arrays side by side (inputs, targets) and below each other (training, test) as one table.

use super::array::{Format, Layout, sizes};
use super::column::Column;
use super::input::{Input, Watch, Watched};
use super::load::check_memory;
use super::numbers::Numbers;
use super::places::Places;
use super::table::Table;
use super::zip::{Archive, Entry};
use super::{idx, npy};
use crate::Result;

/// Arrays by number, each to be read twice: its header, then all of it.
pub(super) trait Arrays {
    fn layout(&mut self, index: usize) -> Result<Layout>;
    fn read(&mut self, index: usize, layout: &Layout, columns: &mut [Numbers]) -> Result<()>;
}

/// Which array is what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) inputs: usize,
    pub(super) targets: Option<usize>,
    /// Inputs and targets to test on.
    pub(super) test: Option<(usize, usize)>,
}

/// The table of arrays that belong together, of up to `memory` bytes.
pub(super) fn table(
    name: &str,
    arrays: &mut dyn Arrays,
    roles: Roles,
    memory: u64,
) -> Result<Table> {
    let inputs = arrays.layout(roles.inputs)?;
    let targets = roles.targets.map(|index| arrays.layout(index)).transpose()?;
    let test = match roles.test {
        Some((x, y)) => Some((arrays.layout(x)?, arrays.layout(y)?)),
        None => None,
    };
    if let Some(targets) = &targets {
        same_rows(&inputs, targets)?;
    }
    if let Some((x, y)) = &test {
        same_rows(x, y)?;
        same_columns(&inputs, x)?;
        if let Some(targets) = &targets {
            same_columns(targets, y)?;
        }
    }
    let test_rows = test.as_ref().map_or(0, |(x, _)| x.rows);
    let rows = inputs.rows + test_rows;
    let width = inputs.columns + targets.as_ref().map_or(0, |targets| targets.columns);
    check_memory(name, rows as u64, width as u64, memory)?;

    // No more is set aside than what the headers, checked against the files, come to.
    let mut read = |index, layout: &Layout, below: Option<(usize, &Layout)>| -> Result<_> {
        let mut columns: Vec<_> =
            (0..layout.columns).map(|_| Numbers::with_capacity(rows)).collect();
        arrays.read(index, layout, &mut columns)?;
        if let Some((index, layout)) = below {
            arrays.read(index, layout, &mut columns)?;
        }
        Ok(columns)
    };
    let test = roles.test.zip(test.as_ref());
    let below = test.map(|((index, _), (layout, _))| (index, layout));
    let mut columns = input_columns(&inputs, read(roles.inputs, &inputs, below)?);
    if let Some((index, layout)) = roles.targets.zip(targets.as_ref()) {
        let below = test.map(|((_, index), (_, layout))| (index, layout));
        columns.extend(target_columns(layout, read(index, layout, below)?));
    }
    let last = match targets {
        Some(targets) => targets.columns,
        // A matrix may hold its target in the last column; stacks of matrices don't.
        None => usize::from(inputs.shape.len() == 2 && inputs.columns > 1),
    };
    let table = Table::with_places(name.to_owned(), columns, Places::of_array(rows), false)?;
    Ok(table.with_parts(last, test_rows))
}

fn same_rows(inputs: &Layout, targets: &Layout) -> Result<()> {
    if inputs.rows == targets.rows {
        return Ok(());
    }
    Err(targets.error(format!(
        "{} rows of targets, but {} has {} rows; save as many of both",
        targets.rows, inputs.name, inputs.rows
    )))
}

fn same_columns(train: &Layout, test: &Layout) -> Result<()> {
    if train.shape[1..] == test.shape[1..] {
        return Ok(());
    }
    Err(test.error(format!(
        "an array of {}, but {} is one of {}; all sizes but the first must be the same",
        sizes(&test.shape),
        train.name,
        sizes(&train.shape)
    )))
}

/// `pixel_0_0` (row, column) and so on for images, else `x0`, `x1`, ….
fn input_columns(layout: &Layout, columns: Vec<Numbers>) -> Vec<Column> {
    let name = |i: usize| match (layout.format, &layout.shape[..]) {
        (Format::Idx, &[_, _, width]) => format!("pixel_{}_{}", i / width, i % width),
        _ => format!("x{i}"),
    };
    columns.into_iter().enumerate().map(|(i, numbers)| numbers.into_column(name(i))).collect()
}

/// `label`, as words, for those of images; else `y`, or `y0`, `y1`, ….
fn target_columns(layout: &Layout, mut columns: Vec<Numbers>) -> Vec<Column> {
    match (layout.format, columns.len()) {
        (Format::Idx, 1) => {
            vec![columns.remove(0).into_text("label")]
        }
        (_, 1) => vec![columns.remove(0).into_column("y")],
        _ => {
            let column = |(i, numbers): (_, Numbers)| numbers.into_column(format!("y{i}"));
            columns.into_iter().enumerate().map(column).collect()
        }
    }
}

/// Arrays in files of their own.
pub(super) struct Files<'a, 'w> {
    pub(super) inputs: Vec<Input<'a>>,
    pub(super) watch: &'w mut Watch<'w>,
}

impl Arrays for Files<'_, '_> {
    fn layout(&mut self, index: usize) -> Result<Layout> {
        let input = &mut self.inputs[index];
        let (name, most) = (input.name().to_owned(), input.most_bytes());
        let is_npy = input.head(npy::MAGIC.len())?.starts_with(npy::MAGIC);
        let mut silent = |_| {};
        let head = input.open("reading", &mut silent)?;
        let header = if is_npy { npy::header(head, &name) } else { idx::header(head, &name) };
        header?.layout(most)
    }

    fn read(&mut self, index: usize, layout: &Layout, columns: &mut [Numbers]) -> Result<()> {
        layout.read(self.inputs[index].open("reading", &mut *self.watch)?, columns)
    }
}

/// Entries of an NPZ archive.
pub(super) struct Entries<'a, 'w> {
    pub(super) archive: Archive<'a>,
    pub(super) watch: &'w mut Watch<'w>,
}

impl Entries<'_, '_> {
    fn entry(&self, index: usize) -> (Entry, String) {
        let entry = self.archive.entries[index].clone();
        let name = format!("{} in {}", entry.name, self.archive.name);
        (entry, name)
    }
}

impl Arrays for Entries<'_, '_> {
    fn layout(&mut self, index: usize) -> Result<Layout> {
        let (entry, name) = self.entry(index);
        npy::header(self.archive.read(&entry)?, &name)?.layout(entry.size)
    }

    fn read(&mut self, index: usize, layout: &Layout, columns: &mut [Numbers]) -> Result<()> {
        let (entry, _) = self.entry(index);
        let from = Watched::new(self.archive.read(&entry)?, entry.size, &mut *self.watch);
        layout.read(from, columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::idx::tests::file as idx_file;
    use crate::data::input::tests::gzipped;
    use crate::data::npy::tests::file as npy_file;
    use crate::rng::{Purpose, Stream};

    /// Damaged files, packed and not, give errors, or tables no larger than the bytes allow.
    #[test]
    fn no_bytes_make_it_panic() {
        let mut random = Stream::new(1, Purpose::Synthetic, 0);
        let sound = [
            npy_file("<f4", "(3, 2)", &[63; 24]),
            npy_file(">i2", "(2, 1, 3)", &[1; 12]),
            idx_file(&[3, 2, 2], &[7; 12]),
        ];
        let mut refused = 0;
        for _ in 0..20_000 {
            let mut bytes = sound[random.below(3) as usize].clone();
            for _ in 0..=random.below(2) {
                let at = random.below(u32::try_from(bytes.len()).unwrap()) as usize;
                let digit = b'0' + u8::try_from(random.below(10)).unwrap();
                bytes[at] = [0, 1, 0xff, b',', b')', digit][random.below(6) as usize];
            }
            bytes.truncate(bytes.len() - random.below(2) as usize);
            let stored = if random.below(2) == 0 { gzipped(&bytes) } else { bytes.clone() };
            let inputs = vec![Input::piped("t", &stored[..], &mut |_| {}).unwrap()];
            let roles = Roles { inputs: 0, targets: None, test: None };
            match table("t", &mut Files { inputs, watch: &mut |_| {} }, roles, u64::MAX) {
                Ok(table) => assert!(table.rows() * table.columns().len() <= bytes.len()),
                Err(_) => refused += 1,
            }
        }
        assert!((5_000..19_000).contains(&refused), "{refused}");
    }
}
