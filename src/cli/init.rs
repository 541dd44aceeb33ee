//! `wgrad init`: a configuration file with everything that `wgrad train` can be told.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use super::args::InitArgs;
use super::config::Config;
use super::failure::Failure;
use super::options::{self, Kind, Setting};
use super::stdout;
use super::talk::{Talk, wrapped};

const HEAD: &str = "\
# What `wgrad train --config FILE` does. Keys are the flags of `wgrad train`; flags that are typed win,
# and `--without KEY` leaves out what is set here. A key behind a `#` is off, or its default depends on the
# data: take the `#` away to set it. Paths are relative to the folder in which wgrad is started.
";

pub(crate) fn init(args: &InitArgs) -> Result<(), Failure> {
    let text = text()?;
    if args.path == Path::new("-") {
        return stdout::print(text);
    }
    let path = args.path.display();
    let mut file = File::create_new(&args.path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::input(format!("{path} is there already (name another file, or delete it)"))
        }
        io::ErrorKind::NotFound => {
            Failure::input(format!("{path}: its folder isn't there (make it, or name another)"))
        }
        _ => Failure::input(format!("{path}: {error}")),
    })?;
    file.write_all(text.as_bytes()).map_err(Failure::write(&path))?;
    let told = format_args!("{path} written; to train as it says: wgrad train --config {path}");
    Talk { quiet: false }.line(told);
    Ok(())
}

/// The file.
pub(super) fn text() -> Result<String, Failure> {
    let train = options::train();
    // What flags without a default come to on tables in general.
    let general: toml::Table = toml::from_str(&Config::new(&options::defaults())?.to_toml()?)
        .map_err(|error| Failure::run(error.message()))?;
    let mut text = HEAD.to_owned();
    for section in options::sections(&train) {
        text += &format!("\n[{section}]\n");
        for setting in options::settings(&train).filter(|setting| setting.section() == section) {
            let help = setting.arg.get_help().map(ToString::to_string).unwrap_or_default();
            let values = setting.arg.get_possible_values();
            let words: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
            let choice = match setting.kind {
                Kind::Text if !words.is_empty() => format!(": one of {}", words.join(", ")),
                _ => String::new(),
            };
            for line in wrapped(&format!("{help}{choice}")).lines() {
                text += &format!("# {line}\n");
            }
            let key = setting.key();
            let general = general.get(&section).and_then(|keys| keys.get(key));
            text += &match (default(setting), general) {
                (Some(value), _) => format!("{key} = {value}\n"),
                (None, Some(value)) => format!("#{key} = {value}\n"),
                (None, None) => format!("#{key} = {}\n", placeholder(setting)),
            };
        }
    }
    Ok(text)
}

/// The default as TOML, where it is the same for all data.
fn default(setting: Setting) -> Option<String> {
    let value = setting.arg.get_default_values().first().map(|value| value.to_string_lossy());
    match setting.kind {
        Kind::Switch => Some("false".into()),
        Kind::Whole | Kind::Number => value.map(Into::into),
        Kind::Text | Kind::Numbers | Kind::Columns | Kind::Kinds => {
            value.map(|value| quoted(&value))
        }
    }
}

/// What stands for a value that has no default.
fn placeholder(setting: Setting) -> String {
    let names = setting.arg.get_value_names().unwrap_or_default();
    let name = names.first().map_or("", |name| name.as_str());
    match setting.kind {
        Kind::Text | Kind::Numbers => quoted(name),
        Kind::Columns => format!("[{}]", quoted(name)),
        Kind::Kinds => "{ COL = \"KIND\" }".into(),
        Kind::Switch | Kind::Whole | Kind::Number => name.into(),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
