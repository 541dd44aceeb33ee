//! From the words that were typed to a command.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{CommandFactory as _, Parser as _};

use super::args::{Args, Command, TrainArgs};
use super::config_file::{self, Expanded};
use super::failure::Failure;

/// Reads the command line, with the file that its `--config` names; ends the program where it asks for
/// help or can't be understood.
///
/// Without a command it is training's: `wgrad` and `wgrad --epochs 5` train.
pub(crate) fn read(mut typed: Vec<OsString>) -> Result<Command, Failure> {
    let own = ["-h", "--help", "-V", "--version"];
    let is_flag = |arg: &OsString| {
        arg.to_string_lossy().starts_with('-') && !own.iter().any(|own| arg == own)
    };
    if typed.get(1).is_none_or(is_flag) {
        typed.insert(1.min(typed.len()), "train".into());
    }
    let Expanded { words, file, fingerprint, derived, moved } = config_file::expand(typed)?;
    match Args::try_parse_from(&words) {
        Ok(Args { command: Command::Train(train) }) => {
            Ok(Command::Train(Box::new(TrainArgs { fingerprint, derived, moved, ..*train })))
        }
        Ok(args) => Ok(args.command),
        Err(mut error) => {
            match error.kind() {
                ErrorKind::InvalidUtf8 => {
                    if let Some(word) = words.iter().find(|word| word.to_str().is_none()) {
                        return Err(Failure::input(format!(
                            "{}: names that aren't UTF-8 can't be kept in a run's files; rename it, or hand a \
                             table in by standard input (`-`)",
                            word.to_string_lossy()
                        )));
                    }
                }
                ErrorKind::ArgumentConflict => name_typed(&mut error, &words),
                ErrorKind::InvalidSubcommand
                    if error.get(ContextKind::SuggestedSubcommand).is_none() =>
                {
                    let tip = "to train on a table, put `train` before its name".into();
                    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
                }
                _ => {}
            }
            if let Some(file) = file {
                config_file::blame(&mut error, &file);
            }
            error.exit()
        }
    }
}

/// Leaves flags out of a conflict that weren't typed: clap names all of a group.
fn name_typed(error: &mut clap::Error, words: &[OsString]) {
    let Some(ContextValue::Strings(all)) = error.get(ContextKind::PriorArg) else { return };
    let mut command = Args::command();
    // Before that, arguments can't be shown.
    command.build();
    let Ok(matches) = command.clone().ignore_errors(true).try_get_matches_from(words) else {
        return;
    };
    let Some((name, matches)) = matches.subcommand() else { return };
    let Some(command) = command.find_subcommand(name) else { return };
    let is_typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let typed: Vec<String> = command
        .get_arguments()
        .filter(|arg| is_typed(arg.get_id().as_str()))
        .map(ToString::to_string)
        .filter(|arg| all.contains(arg))
        .collect();
    if !typed.is_empty() {
        error.insert(ContextKind::PriorArg, ContextValue::Strings(typed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_command_it_trains() {
        let read = |typed: &[&str]| read(typed.iter().map(Into::into).collect()).unwrap();
        assert!(matches!(read(&["wgrad"]), Command::Train(_)));
        let Command::Train(args) = read(&["wgrad", "--epochs", "5"]) else { panic!("not train") };
        assert_eq!(args.training.epochs, Some(5));
        assert!(matches!(read(&["wgrad", "adapters"]), Command::Adapters(_)));
    }
}
