//! Fits an input column.

use std::collections::BTreeMap;

use super::{
    MAX_CATEGORIES, Missing, SchemaOptions, require_apart, require_names, require_numbers,
};
use crate::Result;
use crate::data::column::{Column, ColumnValues};
use crate::data::schema::encode::place_number;
use crate::data::schema::known::Known;
use crate::data::schema::{ColumnKind, InputColumn, InputKind};
use crate::data::statistics::{Statistics, narrow};
use crate::data::table::Table;
use crate::data::wording::{listed, shortened, signed_remedy};

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
                "column `{0}` has no value in any of the {1} training rows; leave it out with `--ignore {0}`",
                column.name,
                train_rows.len()
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
                let (offset, scale) = match white {
                    Some(white) => (0.0, white.recip()),
                    None => self.offset_and_scale(&statistics),
                };
                InputKind::Numeric { fill: fill.then(|| narrow(statistics.mean)), offset, scale }
            }
            (kind, ColumnValues::Text { codes, values }) => {
                require_names(table, column)?;
                if let Some(date) = dates(values).filter(|_| kind.is_none()) {
                    return Err(table.error(format!(
                        "column `{0}` holds dates (`{date}`), of which a net can make nothing as they \
                         are; put numbers in its place (the days since a start, the month, the day of \
                         the week), or leave it out with `--ignore {0}`",
                        column.name
                    )));
                }
                if values.len() > MAX_CATEGORIES {
                    let remedy = signed_remedy(values)
                        .unwrap_or_else(|| format!("leave it out with `--ignore {}`", column.name));
                    return Err(table.error(format!(
                        "column `{}` holds {} different values ({}), too many to tell apart \
                         (at most {MAX_CATEGORIES}); {remedy}",
                        column.name,
                        values.len(),
                        listed(values)
                    )));
                }
                let mut counts = BTreeMap::new();
                for &row in train_rows {
                    *counts.entry(codes[row as usize]).or_insert(0_u32) += 1;
                }
                let present = counts
                    .into_iter()
                    .filter_map(|(code, count)| Some((count, values.get(code as usize)?)));
                // Of equally frequent ones the first in order.
                let frequent = present.rev().max_by_key(|&(count, _)| count).ok_or_else(empty)?.1;
                InputKind::Categorical {
                    fill: fill.then(|| frequent.clone()),
                    values: values.clone(),
                }
            }
        };
        Ok(InputColumn { name: column.name.clone(), kind })
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
        let (offset, scale) = self.offset_and_scale(&statistics);
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
