//! Fits an input column.

use super::{
    MANY_CATEGORIES, MAX_CATEGORIES, Missing, SchemaOptions, require_apart, require_names,
    require_numbers,
};
use crate::Result;
use crate::data::column::{Column, ColumnValues};
use crate::data::schema::encode::place_number;
use crate::data::schema::known::Known;
use crate::data::schema::{ColumnKind, InputColumn, InputKind};
use crate::data::statistics::{Statistics, narrow};
use crate::data::table::Table;
use crate::data::wording::{listed, shortened, typed_list};

impl SchemaOptions {
    pub(super) fn fit_input(
        &self,
        table: &Table,
        column: &Column,
        kind: Option<&ColumnKind>,
        train_rows: &[u32],
        white: Option<f32>,
    ) -> Result<InputColumn> {
        let fill = self.missing == Missing::Fill;
        let empty = || {
            table.error(format!(
                "column `{}` has no value in any of the {} training rows; leave it out with `--ignore {}`",
                column.name,
                train_rows.len(),
                typed_list([&column.name[..]])
            ))
        };
        let as_names = !matches!(kind, None | Some(ColumnKind::Number));
        if !as_names {
            require_numbers(table, column)?;
        }
        require_apart(table, column, as_names, ", or leave the column out with `--ignore`")?;
        let numbers_as_words;
        let column = match (kind, &column.values) {
            (Some(ColumnKind::Category), ColumnValues::Numeric(_)) => {
                require_names(table, column)?;
                numbers_as_words = column.to_text();
                &numbers_as_words
            }
            _ => column,
        };
        let kind = match (kind, &column.values) {
            (Some(ColumnKind::Ordinal(order)), _) => {
                self.fit_ordinal(table, column, order, train_rows)?.ok_or_else(empty)?
            }
            (Some(ColumnKind::Number), ColumnValues::Text { values, .. }) => {
                return Err(table.error(format!(
                    "column `{}` holds text ({}), so it can't be a number; take it for a category or \
                     an order of its values",
                    column.name,
                    listed(values)
                )));
            }
            (_, ColumnValues::Numeric(values)) => {
                let values = train_rows.iter().map(|&row| values[row as usize]);
                let statistics = Statistics::of(values).ok_or_else(empty)?;
                let (offset, scale) = self.input_offset_and_scale(&statistics, white);
                InputKind::Numeric { fill: fill.then(|| narrow(statistics.mean)), offset, scale }
            }
            (kind, ColumnValues::Text { codes, values }) => {
                require_names(table, column)?;
                if let Some(date) = dates(values).filter(|_| kind.is_none()) {
                    return Err(table.error(format!(
                        "column `{}` holds dates (`{date}`), of which a net can make nothing as they \
                         are; put numbers in its place (the days since a start, the month, the day of \
                         the week), or leave it out with `--ignore {}`",
                        column.name,
                        typed_list([&column.name[..]])
                    )));
                }
                self.fit_categories(codes, values, train_rows).ok_or_else(empty)?
            }
        };
        Ok(InputColumn { name: column.name.clone(), kind })
    }

    /// Words with an input each, and rare ones with one for all; `None` if no training row has a value.
    fn fit_categories(
        &self,
        codes: &[u32],
        values: &[String],
        train_rows: &[u32],
    ) -> Option<InputKind> {
        let mut counts = vec![0_usize; values.len()];
        for &row in train_rows {
            // A missing cell has no entry.
            if let Some(count) = counts.get_mut(codes[row as usize] as usize) {
                *count += 1;
            }
        }
        let mut by_count: Vec<usize> = (0..values.len()).filter(|&i| counts[i] > 0).collect();
        // Of equally frequent ones the first in order.
        by_count.sort_by_key(|&i| std::cmp::Reverse(counts[i]));
        let most_frequent = *by_count.first()?;
        let are_names = values.len() > MANY_CATEGORIES && 2 * values.len() > codes.len();
        let rare_below = self.rare_below.unwrap_or(if are_names { 2 } else { 1 });
        let most =
            if by_count.len() > MAX_CATEGORIES { MAX_CATEGORIES - 1 } else { MAX_CATEGORIES };
        let own = by_count.iter().take(most).filter(|&&i| counts[i] >= rare_below).count();
        let mut has_own = vec![false; values.len()];
        by_count[..own].iter().for_each(|&i| has_own[i] = true);
        let those = |fits: &dyn Fn(usize) -> bool| -> Vec<String> {
            (0..values.len()).filter(|&i| fits(i)).map(|i| values[i].clone()).collect()
        };
        Some(InputKind::Categorical {
            fill: (self.missing == Missing::Fill).then(|| values[most_frequent].clone()),
            values: those(&|i| has_own[i]),
            gathered: those(&|i| counts[i] > 0 && !has_own[i]),
            unlearnt: those(&|i| counts[i] == 0),
        })
    }

    /// Places in an order as numbers; `None` if no training row has a value.
    fn fit_ordinal(
        &self,
        table: &Table,
        column: &Column,
        order: &[String],
        train_rows: &[u32],
    ) -> Result<Option<InputKind>> {
        let known = Known::new(order, None);
        // A cell that isn't in the order is an error wherever it stands.
        let places = (0..table.rows()).map(|row| {
            let Some(word) = column.word(row) else { return Ok(None) };
            known.find(column, row).map(Some).ok_or_else(|| {
                let problem =
                    format!("`{}` is not in the order given, {}", shortened(&word), listed(order));
                table.cell_error(row, &column.name, problem)
            })
        });
        let places: Vec<Option<usize>> = places.collect::<Result<_>>()?;
        let trained = train_rows.iter().filter_map(|&row| places[row as usize]);
        let mut counts = vec![0_u32; order.len()];
        trained.clone().for_each(|place| counts[place] += 1);
        let statistics = Statistics::of(trained.map(place_number));
        let Some(statistics) = statistics else { return Ok(None) };
        let (offset, scale) = self.input_offset_and_scale(&statistics, None);
        // Of equally frequent ones the first in order.
        let frequent = (0..order.len()).rev().max_by_key(|&place| counts[place]);
        let fill = frequent.filter(|_| self.missing == Missing::Fill);
        let fill = fill.map(|place| order[place].clone());
        Ok(Some(InputKind::Ordinal { fill, values: order.to_vec(), offset, scale }))
    }
}

/// One of the texts, if all are dates: three numbers, a year among them, between `-`, `/` or `.`, and
/// maybe a time.
fn dates(values: &[String]) -> Option<&str> {
    let is_date = |text: &String| {
        let date = text.split(['T', ' ']).next().unwrap_or_default();
        let Some(mark) = date.chars().find(|c| !c.is_ascii_digit()) else { return false };
        let parts: Vec<&str> = date.split(mark).collect();
        let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        "-/.".contains(mark)
            && parts.iter().all(digits)
            && matches!(lengths[..], [4, 1 | 2, 1 | 2] | [1 | 2, 1 | 2, 2 | 4])
    };
    values.iter().all(is_date).then(|| values.first().map(String::as_str)).flatten()
}
