//! Which arrays of an NPZ archive are inputs and targets, to train and to test.

use super::stack::Roles;
use super::wording::listed;
use super::zip::Entry;

/// What inputs and targets are called: in NumPy and Keras, in scikit-learn, and for images.
const NAMES: [(&[&str], &[&str]); 3] =
    [(&["x", "X"], &["y", "Y"]), (&["data"], &["target"]), (&["images"], &["labels"])];

/// Finds the arrays by their names; or tells what is missing.
pub(super) fn roles(entries: &[Entry]) -> Result<Roles, String> {
    let position = |name: &str| {
        let is_array = |entry: &Entry| entry.name.strip_suffix(".npy") == Some(name);
        entries.iter().position(is_array)
    };
    let find = |names: &[&str], part: &str| {
        names.iter().find_map(|name| position(&format!("{name}{part}")))
    };
    let arrays: Vec<&str> =
        entries.iter().filter_map(|entry| entry.name.strip_suffix(".npy")).collect();
    if arrays.is_empty() {
        return Err(
            "the archive holds no arrays; save them with numpy.savez, and other tables (those of \
                    spreadsheets are archives too) as CSV"
                .into(),
        );
    }
    let has = |name: &&str| arrays.contains(name);
    if ["indices", "indptr"].iter().all(has) || ["row", "col", "shape"].iter().all(has) {
        return Err("this is a sparse matrix (of scipy.sparse.save_npz); save it dense, as in \
                    numpy.save(\"x.npy\", matrix.toarray())"
            .into());
    }
    for part in ["_train", ""] {
        for (inputs, targets) in NAMES {
            let Some(x) = find(inputs, part) else { continue };
            let y = find(targets, part);
            let test = match (find(inputs, "_test"), find(targets, "_test")) {
                (Some(x), Some(y)) if part == "_train" => Some((x, y)),
                _ => None,
            };
            return Ok(Roles { inputs: x, targets: y, test: test.filter(|_| y.is_some()) });
        }
    }
    if let [only] = arrays[..] {
        let inputs = position(only).unwrap_or(0);
        return Ok(Roles { inputs, targets: None, test: None });
    }
    Err(format!(
        "the archive's arrays are {}, but inputs and targets are looked for as x and y, X and Y, \
         x_train and y_train (with x_test and y_test), data and target, images and labels; save them \
         by such names, as in numpy.savez(\"data.npz\", x=x, y=y)",
        listed(&arrays)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::zip::tests::named;

    fn found(names: &[&str]) -> Result<Roles, String> {
        let entries: Vec<Entry> = names.iter().map(|name| named(&format!("{name}.npy"))).collect();
        roles(&entries)
    }

    #[test]
    fn arrays_are_found_in_their_usual_spellings() {
        for (names, inputs, targets, test) in [
            (&["y", "x"][..], 1, Some(0), None),
            (&["X", "y"], 0, Some(1), None),
            (&["x_test", "x_train", "y_train", "y_test"], 1, Some(2), Some((0, 3))),
            (&["X_train", "Y_train"], 0, Some(1), None),
            (&["feature_names", "data", "target"], 1, Some(2), None),
            (&["x"], 0, None, None),
            (&["arr_0"], 0, None, None),
        ] {
            assert_eq!(found(names), Ok(Roles { inputs, targets, test }), "{names:?}");
        }
        let message = found(&["arr_0", "arr_1"]).unwrap_err();
        assert!(message.starts_with("the archive's arrays are arr_0, arr_1, but"), "{message}");
        for names in [
            &["indices", "indptr", "format", "shape", "data"][..],
            &["row", "col", "shape", "data"],
        ] {
            assert!(found(names).unwrap_err().contains("sparse matrix"), "{names:?}");
        }
        assert!(roles(&[named("xl/workbook.xml")]).unwrap_err().contains("no arrays"));
    }
}
