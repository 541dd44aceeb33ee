//! An f64 in JSON, which has no infinities and no NaN: these are words there.

use serde::{Deserialize, Deserializer, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Number(f64),
    Word(String),
}

pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
    if number.is_finite() {
        to.serialize_f64(*number)
    } else {
        to.serialize_str(&number.to_string())
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    match Said::deserialize(from)? {
        Said::Number(number) => Ok(number),
        Said::Word(word) => word.parse().map_err(serde::de::Error::custom),
    }
}
