//! The manual pages of the commands: rolecall(1), rolecall-serve(1), …

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::Page;

/// A page for the command and for each of its subcommands.
pub(crate) fn pages(mut command: Command) -> io::Result<Vec<Page>> {
    command.build();
    let source = format!("rolecall {}", command.get_version().unwrap_or_default());
    let mut pages = Vec::new();
    collect(&command, &source, &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, source: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    let man = Man::new(command.clone()).source(source).manual("rolecall");
    let mut text = Vec::new();
    render(&man, command, &mut text)?;
    pages.push(Page { file_name: man.get_filename(), text });
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .try_for_each(|command| collect(command, source, pages))
}

fn render(man: &Man, command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(text)?;
    // What is typed must not be hyphenated.
    Roff::new().control("nh", []).to_writer(text)?;
    man.render_name_section(text)?;
    man.render_synopsis_section(text)?;
    man.render_description_section(text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(text)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(text)?;
    }
    closing(command).to_writer(text)
}

/// What stands below the options in the help, as a section of its own and line by line (examples, exit codes), and
/// where to read on.
fn closing(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let help = command.get_after_long_help().or_else(|| command.get_after_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let mut lines = help.lines();
    if let Some(heading) = lines.next() {
        let heading = heading.trim_end_matches(':').to_uppercase();
        let heading = if heading == "EXIT CODES" { "EXIT STATUS" } else { &heading };
        roff.control("SH", [heading]).control("nf", []);
        for line in lines {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        roff.control("fi", []);
    }
    let above = command.get_name() != "rolecall";
    let pages = if above { "rolecall(1), rolecall.yaml(5)" } else { "rolecall.yaml(5), rolecall-rules(5)" };
    roff.control("SH", ["SEE ALSO"]).text([roman(pages)]);
    roff
}
