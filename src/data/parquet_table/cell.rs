//! What the cells of a column say: its type as it is stored, and as it is meant.

use std::borrow::Cow;

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::data_type::{ByteArray, Int96};
use parquet::schema::types::ColumnDescriptor;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// `false` or `true`, which are words.
    Truth,
    /// Numbers, divided by this: 10^scale of decimals, else 1.
    Number { divisor: f64 },
    /// Whole numbers without a sign, in bytes of such with one.
    Unsigned,
    /// UTF-8.
    Text,
    /// Days since 1970, as text: what a net could make of a date is told where columns are fitted.
    Date,
    /// So many in a second, since midnight.
    Time { per_second: i64 },
    /// So many in a second, since 1970.
    Timestamp { per_second: i64 },
}

/// What a cell says.
#[derive(Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Number(f64),
    Text(Cow<'a, str>),
}

/// Seconds of a day.
const DAY: i64 = 86_400;

impl Kind {
    /// What a column's types mean; or why it isn't read.
    pub(super) fn of(column: &ColumnDescriptor) -> Result<Self, String> {
        let leave_out = |what: &str| {
            Err(format!(
                "holds {what}, which is not read; write the file without it, or with numbers"
            ))
        };
        let number = Self::Number { divisor: 1.0 };
        let decimal = |scale: i32| Self::Number { divisor: 10_f64.powi(scale) };
        let per_second = |unit: &TimeUnit| match unit {
            TimeUnit::MILLIS => 1_000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        };
        let by_logical = column.logical_type_ref().and_then(|logical| match logical {
            LogicalType::Decimal(decimals) => Some(decimal(decimals.scale)),
            LogicalType::Date => Some(Self::Date),
            LogicalType::Time(time) => Some(Self::Time { per_second: per_second(&time.unit) }),
            LogicalType::Timestamp(time) => {
                Some(Self::Timestamp { per_second: per_second(&time.unit) })
            }
            LogicalType::Integer(whole) if !whole.is_signed => Some(Self::Unsigned),
            _ => None,
        });
        // How older writers say it.
        let by_converted = || match column.converted_type() {
            ConvertedType::DECIMAL => Some(decimal(column.type_scale())),
            ConvertedType::DATE => Some(Self::Date),
            ConvertedType::TIME_MILLIS => Some(Self::Time { per_second: 1_000 }),
            ConvertedType::TIME_MICROS => Some(Self::Time { per_second: 1_000_000 }),
            ConvertedType::TIMESTAMP_MILLIS => Some(Self::Timestamp { per_second: 1_000 }),
            ConvertedType::TIMESTAMP_MICROS => Some(Self::Timestamp { per_second: 1_000_000 }),
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64 => Some(Self::Unsigned),
            _ => None,
        };
        let meant = by_logical.or_else(by_converted);
        match column.physical_type() {
            Type::BOOLEAN => Ok(Self::Truth),
            Type::FLOAT | Type::DOUBLE => Ok(number),
            Type::INT96 => Ok(Self::Timestamp { per_second: 1_000 }),
            Type::INT32 | Type::INT64 => Ok(meant.unwrap_or(number)),
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY
                if matches!(meant, Some(Self::Number { .. })) =>
            {
                Ok(meant.unwrap_or(number))
            }
            Type::BYTE_ARRAY => match column.logical_type_ref() {
                None | Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => {
                    Ok(Self::Text)
                }
                Some(_) => leave_out("data in a format of their own"),
            },
            Type::FIXED_LEN_BYTE_ARRAY => match column.logical_type_ref() {
                Some(LogicalType::Float16) => Err(
                    "holds numbers of 16 bits, which are not read; save them as 32 bits, as in \
                     pandas' astype(\"float32\")"
                        .into(),
                ),
                _ => leave_out("bytes"),
            },
        }
    }

    /// Whether the cells are words rather than numbers.
    pub(super) const fn is_text(self) -> bool {
        !matches!(self, Self::Number { .. } | Self::Unsigned)
    }

    /// A cell stored as a whole number of 32 bits.
    pub(super) fn of_i32(self, stored: i32) -> Cell<'static> {
        match self {
            Self::Unsigned => Cell::Number(f64::from(stored.cast_unsigned())),
            _ => self.of_i64(stored.into()),
        }
    }

    /// A cell stored as a whole number of 64 bits.
    #[expect(clippy::cast_precision_loss, reason = "f32 keeps fewer digits")]
    pub(super) fn of_i64(self, stored: i64) -> Cell<'static> {
        let text = |text| Cell::Text(Cow::Owned(text));
        match self {
            Self::Unsigned => Cell::Number(stored.cast_unsigned() as f64),
            Self::Date => text(date(stored)),
            Self::Time { per_second } => text(time(stored.div_euclid(per_second))),
            Self::Timestamp { per_second } => text(timestamp(stored.div_euclid(per_second))),
            Self::Number { divisor } => Cell::Number(stored as f64 / divisor),
            Self::Truth | Self::Text => text(stored.to_string()),
        }
    }

    /// A cell stored as bytes: UTF-8, or a decimal with the highest byte first, in two's complement.
    pub(super) fn of_bytes(self, stored: &ByteArray) -> Result<Cell<'_>, String> {
        let bytes = stored.data();
        let Self::Number { divisor } = self else {
            let text = std::str::from_utf8(bytes).map_err(|_| "bytes that are no UTF-8 text")?;
            return Ok(Cell::Text(Cow::Borrowed(text)));
        };
        let Some((&highest, rest)) = bytes.split_first() else {
            return Err("a decimal without digits".into());
        };
        let highest = f64::from(highest.cast_signed());
        let whole = rest.iter().fold(highest, |n, &byte| n * 256.0 + f64::from(byte));
        Ok(Cell::Number(whole / divisor))
    }

    /// A cell stored as nanoseconds of a day and the Julian day, as Impala and Spark did.
    pub(super) fn of_int96(stored: &Int96) -> Cell<'static> {
        Cell::Text(Cow::Owned(timestamp(stored.to_millis().div_euclid(1_000))))
    }
}

fn timestamp(seconds: i64) -> String {
    format!("{}T{}", date(seconds.div_euclid(DAY)), time(seconds.rem_euclid(DAY)))
}

fn time(seconds: i64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The date so many days after 1970-01-01 in the Gregorian calendar (Hinnant 2013, `civil_from_days`). Years
/// are counted from March, so that the leap day comes last.
fn date(days: i64) -> String {
    /// Days of 400 years, and those from 0000-03-01 to 1970-01-01.
    const ERA: i64 = 146_097;
    const BEFORE: i64 = 719_468;
    let days = days.saturating_add(BEFORE);
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    // Of the era: every fourth year has one more day, every hundredth doesn't, the last does.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months have 153 days, whichever they are.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (400 * era + year, month + 3),
        _ => (400 * era + year + 1, month - 9),
    };
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_782, "2024-02-29"),
            (-25_509, "1900-02-28"),
            (-25_508, "1900-03-01"),
            (47_540, "2100-02-28"),
            (-719_528, "0000-01-01"),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59");
        assert_eq!(timestamp(951_827_696), "2000-02-29T12:34:56");
        // Whatever a damaged file says.
        for days in [i64::MIN, i64::MAX] {
            assert!(!date(days).is_empty() && !timestamp(days).is_empty());
        }
    }

    #[test]
    fn numbers_keep_their_sign_and_their_places() {
        fn number(cell: Cell) -> f64 {
            match cell {
                Cell::Number(number) => number,
                Cell::Text(text) => panic!("{text}"),
            }
        }
        let hundredths = Kind::Number { divisor: 100.0 };
        assert_eq!(number(hundredths.of_i32(-250)), -2.5);
        assert_eq!(number(Kind::Unsigned.of_i32(-1)), 4_294_967_295.0);
        assert_eq!(number(Kind::Unsigned.of_i64(-1)), 18_446_744_073_709_551_615.0);
        let bytes = |bytes: &[u8]| number(hundredths.of_bytes(&bytes.to_vec().into()).unwrap());
        assert_eq!(bytes(&[0xff, 0x06]), -2.5);
        assert_eq!(bytes(&[0xff; 16]), -0.01);
        assert_eq!(bytes(&[0, 1, 0]), 2.56);
        assert!(hundredths.of_bytes(&vec![].into()).is_err());
        assert!(Kind::Text.of_bytes(&vec![0xff].into()).is_err());
    }
}
