//! Tables without borders, as kubectl shows them.

use std::io;

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Width};

use super::output::Output;
use super::text::escaped;

/// Words with a colour of their own, and that colour (ECMA-48 "select graphic rendition").
const COLOURS: [(&str, &str); 11] = [
    ("OK", "32"),
    ("UP", "32"),
    ("WARNING", "33"),
    ("CRITICAL", "31"),
    ("PROBLEM", "31"),
    ("DOWN", "31"),
    ("UNREACHABLE", "31"),
    ("UNKNOWN", "35"),
    ("PENDING", "36"),
    ("SKIPPED", "36"),
    ("RUNNING", "34"),
];
/// Characters of no width that `escaped` lets no cell hold: they mark where a colour begins and ends until the columns
/// are laid out, because escape sequences would be counted as width.
const BEGIN: char = '\u{2061}';
const END: char = '\u{2062}';

/// A table; its cells are escaped.
pub(super) struct Table {
    table: comfy_table::Table,
}

impl Table {
    /// With titles.
    pub(super) fn new<'a>(titles: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = Self::plain();
        table.table.set_header(titles.into_iter().map(str::to_owned).collect::<Vec<_>>());
        table
    }

    /// Without titles: for the fields of one thing.
    pub(super) fn plain() -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        Self { table }
    }

    /// Adds a row; an empty cell is shown as `-`, so that columns can be counted.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| match escaped(&cell) {
            shown if shown.is_empty() => "-".to_owned(),
            shown if colour_of(&shown).is_some() => format!("{BEGIN}{shown}{END}"),
            shown => shown,
        });
        self.table.add_row(cells.collect::<Vec<_>>());
    }

    /// Writes it to stdout.
    pub(super) fn print(self, output: &mut Output) -> io::Result<()> {
        self.print_on(&mut None, output)
    }

    /// Writes it to stdout as the next part of a table whose columns have at least these widths; only the first part
    /// shows the titles. The widths grow where this part needs more.
    pub(super) fn print_on(mut self, widths: &mut Option<Vec<u16>>, output: &mut Output) -> io::Result<()> {
        self.table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 2));
        });
        let own = self.table.column_max_content_widths();
        let widest: Vec<u16> = match widths.as_deref() {
            Some(before) => own.iter().zip(before).map(|(own, before)| *own.max(before)).collect(),
            None => own,
        };
        let padded = widest.iter().map(|width| ColumnConstraint::LowerBoundary(Width::Fixed(width.saturating_add(2))));
        self.table.set_constraints(padded);
        let titles = usize::from(widths.is_some() && self.table.header().is_some());
        *widths = Some(widest);
        let colour = output.colour();
        self.table.lines().skip(titles).try_for_each(|line| output.line(&coloured(line.trim_end(), colour)))
    }
}

fn colour_of(word: &str) -> Option<&'static str> {
    COLOURS.iter().find(|(known, _)| *known == word).map(|(_, colour)| *colour)
}

fn coloured(line: &str, colour: bool) -> String {
    line.split(BEGIN)
        .enumerate()
        .map(|(index, part)| match part.split_once(END) {
            Some((word, rest)) if index > 0 => match colour_of(word).filter(|_| colour) {
                Some(colour) => format!("\x1b[{colour}m{word}\x1b[0m{rest}"),
                None => format!("{word}{rest}"),
            },
            _ => part.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Captured, captured};

    fn print(colour: bool, rows: &[[&str; 3]]) -> String {
        let stdout = Captured::default();
        let mut output = Output::new(captured(&stdout), Box::new(io::sink()), colour);
        let mut table = Table::new(["NAME", "STATE", "MESSAGE"]);
        rows.iter().for_each(|row| table.row(row.map(str::to_owned)));
        table.print(&mut output).unwrap();
        stdout.text()
    }

    #[test]
    fn columns_stand_under_each_other_and_nothing_steers_the_terminal() {
        let shown = print(
            false,
            &[["web1", "OK", "fine"], ["漢字", "CRITICAL", "a\x1b[2Jb\nc\u{2061}OK\u{2062}"], ["x", "", ""]],
        );
        assert_eq!(
            shown,
            "NAME  STATE     MESSAGE\n\
             web1  OK        fine\n\
             漢字  CRITICAL  a\\u{1b}[2Jb\\nc\\u{2061}OK\\u{2062}\n\
             x     -         -\n"
        );
    }

    #[test]
    fn states_are_coloured_without_moving_columns() {
        let rows = [["web1", "CRITICAL", "OK"], ["web2", "OK", "two words"]];
        let shown = print(true, &rows);
        assert!(shown.contains("\x1b[31mCRITICAL\x1b[0m  \x1b[32mOK\x1b[0m\n"), "{shown:?}");
        let bare = ["31", "32"].iter().fold(shown, |text, colour| text.replace(&format!("\x1b[{colour}m"), ""));
        assert_eq!(bare.replace("\x1b[0m", ""), print(false, &rows));
    }
}
