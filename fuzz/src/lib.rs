//! What the targets share: bytes as a file, and metadata of a wgrad file around fixed tensors.

use std::io::Write;
use std::path::Path;

/// Lets `read` at the bytes as a file: in memory where there is such a folder.
pub fn with_file<R>(bytes: &[u8], read: impl FnOnce(&Path) -> R) -> R {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let mut file = tempfile::NamedTempFile::new_in(folder).expect("a temporary file");
    file.write_all(bytes).expect("written");
    read(file.path())
}

/// Reads a table of this content; whatever it is, no more than that may happen.
pub fn load_table(bytes: &[u8]) {
    with_file(bytes, |path| {
        let source = wgrad::data::Source {
            memory: 1 << 24,
            ..wgrad::data::Source::new(path.to_string_lossy())
        };
        if let Ok(table) = source.load() {
            assert!(table.rows() > 0 && !table.columns().is_empty());
            for column in table.columns() {
                assert_eq!(column.rows(), table.rows());
            }
            assert!(!table.place(table.rows() - 1).is_empty());
            fit(&table);
        }
    });
}

/// Fits a schema and encodes the table's rows: refused, or finite numbers of the sizes it says.
pub fn fit(table: &wgrad::data::Table) {
    use wgrad::data::{Schema, SchemaOptions};
    let rows = table.all_rows();
    let Ok(schema) = Schema::fit(table, &rows, &SchemaOptions::default()) else { return };
    if let Ok(data) = schema.encode(table, &rows) {
        assert_eq!(data.in_features(), schema.in_features());
        assert!(data.inputs().iter().all(|x| x.is_finite()));
    }
}

/// A safetensors file with these tensors of small numbers, and this metadata: descriptions change in
/// length, and their file's header with them.
pub fn safetensors(tensors: &[(&str, &[usize])], key: &str, text: &str) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut numbers = Vec::new();
    for (name, shape) in tensors {
        let (start, count) = (numbers.len(), shape.iter().product::<usize>());
        numbers.extend((0..count).flat_map(|i| (i as f32 / 8.0 - 1.0).to_le_bytes()));
        let end = numbers.len();
        entries.push(format!(
            r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
    }
    let header =
        format!(r#"{{"__metadata__":{{"{key}":{}}},{}}}"#, quoted(text), entries.join(","));
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &numbers].concat()
}

/// As a string of JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if u32::from(c) < 0x20 => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
