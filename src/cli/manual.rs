//! `wgrad man` and `wgrad completions`: what packages install beside the program.

use clap::CommandFactory as _;

use super::args::{Args, CompletionsArgs, ManArgs};
use super::failure::Failure;
use super::stdout;
use super::talk::Talk;

pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        // As in the folder's pages.
        clap_mangen::Man::new(Args::command().disable_help_subcommand(true))
            .render(&mut page)
            .map_err(Failure::write(stdout::NAME))?;
        return stdout::print(page);
    };
    std::fs::create_dir_all(folder).map_err(Failure::folder(folder))?;
    clap_mangen::generate_to(Args::command(), folder).map_err(Failure::write(folder.display()))?;
    Talk { quiet: false }.line(format_args!("the pages are in {}", folder.display()));
    Ok(())
}

pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    // Written to a buffer first, since clap panics where writing fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "wgrad", &mut script);
    stdout::print(script)
}
