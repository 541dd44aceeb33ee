//! What nobody gave: values of a configuration that follow from others.

/// Keys, and the keys that their values follow from where they aren't given.
const SOURCES: [(&str, &[&str]); 7] = [
    ("header", &["source"]),
    ("task", &["target", "source"]),
    ("loss", &["task", "target", "source"]),
    ("lr", &["optimizer"]),
    ("momentum", &["optimizer"]),
    (
        "weight-decay",
        &["optimizer", "lr", "schedule", "epochs", "batch-size", "drop-last", "source"],
    ),
    ("label-smoothing", &["loss", "task", "target", "class-weights", "source"]),
];

/// Of derived keys those that another value may be derived for now, as something that they follow from has
/// `changed`.
pub(crate) fn outdated(derived: &[String], changed: impl Fn(&str) -> bool) -> Vec<String> {
    let is_outdated = |key: &&String| {
        let sources = SOURCES.iter().find(|(of, _)| of == key).map_or(&[][..], |(_, keys)| *keys);
        sources.iter().any(|&key| changed(key))
    };
    derived.iter().filter(is_outdated).cloned().collect()
}
