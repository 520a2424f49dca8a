//! `alf man`: the manual pages, made of what `--help` says.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::args::Cli;
use super::error::{CliError, Exit};
use super::session::Session;
use super::text::escaped;

/// What `man` takes.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page of each verb into this directory, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Writes the page of `alf` itself, or all pages into a directory.
pub(super) fn run(args: &ManArgs, session: &mut Session) -> Result<Exit, CliError> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    match &args.dir {
        None => {
            let mut text = Vec::new();
            page(&man_of(&command), &command, &mut text)?;
            session.output.data(&text)?;
        }
        Some(dir) => {
            let fault = |error: io::Error| {
                CliError::Failed(format!("{} cannot be written: {error}", escaped(&dir.to_string_lossy())))
            };
            std::fs::create_dir_all(dir).map_err(fault)?;
            let pages = pages(&command, dir).map_err(fault)?;
            session.output.note(&format!("{pages} pages written; `man -l {}/alf.1` shows the first", dir.display()));
        }
    }
    Ok(Exit::Ok)
}

/// Writes the pages of a command and of all below it; answers how many.
fn pages(command: &Command, dir: &Path) -> io::Result<usize> {
    let man = man_of(command);
    let mut text = Vec::new();
    page(&man, command, &mut text)?;
    std::fs::write(dir.join(man.get_filename()), text)?;
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
        .try_fold(1, |all, below| Ok(all + pages(below, dir)?))
}

fn man_of(command: &Command) -> Man {
    Man::new(command.clone()).source(format!("alf {}", env!("CARGO_PKG_VERSION"))).manual("Alf")
}

fn page(man: &Man, command: &Command, to: &mut dyn Write) -> io::Result<()> {
    man.render_title(to)?;
    man.render_name_section(to)?;
    man.render_synopsis_section(to)?;
    man.render_description_section(to)?;
    man.render_options_section(to)?;
    if command.has_subcommands() {
        man.render_subcommands_section(to)?;
    }
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    more.split("\n\n").filter(|part| !part.is_empty()).try_for_each(|part| section(part).to_writer(to))
}

/// A part of what stands below the help, such as `Examples:` and lines of them, as a section.
fn section(part: &str) -> Roff {
    let (title, text) = part.split_once(':').unwrap_or(("Notes", part));
    let title = match title {
        "Example" => "EXAMPLES".to_owned(),
        "Exit codes" => "EXIT STATUS".to_owned(),
        title => title.to_uppercase(),
    };
    let mut roff = Roff::new();
    roff.control("SH", [title.as_str()]);
    match text.strip_prefix('\n') {
        // Lines to be typed stay lines.
        Some(lines) => {
            roff.control("nf", []);
            lines.lines().for_each(|line| {
                roff.text([roman(line.trim_start())]);
            });
            roff.control("fi", []);
        }
        None => {
            roff.text([roman(text.trim())]);
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_the_help_becomes_sections() {
        let examples = section("Example:\n  alf run web1 load\n  .x").render();
        assert!(examples.ends_with(".SH EXAMPLES\n.nf\nalf run web1 load\n\\&.x\n.fi\n"), "{examples}");
        let codes = section("Exit codes: 0 ok").render();
        assert!(codes.ends_with(".SH \"EXIT STATUS\"\n0 ok\n"), "{codes}");
    }
}
