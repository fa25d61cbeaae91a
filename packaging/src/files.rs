//! The manual pages of the files: rolecall.yaml(5) and rolecall-rules(5), from the reference that is made of the types.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::Page;

const REFERENCE: &str = include_str!("../../config/REFERENCE.md");

/// The pages in the order of the reference's parts, with what each is about.
const PAGES: [(&str, &str); 2] = [
    ("rolecall.yaml", "the configuration of rolecall"),
    ("rolecall-rules", "rules.yaml, which says who has which role"),
];

/// A page for each of the two files.
pub(crate) fn pages() -> impl Iterator<Item = Page> {
    let parts = REFERENCE.split("# The keys of ").filter(|part| !part.is_empty());
    PAGES.into_iter().zip(parts).map(|((name, about), part)| {
        let source = concat!("rolecall ", env!("CARGO_PKG_VERSION"));
        let mut roff = Roff::new();
        roff.control("TH", [name, "5", "", source, "rolecall"]).control("nh", []);
        roff.control("SH", ["NAME"]).text([roman(format!("{name} - {about}"))]);
        roff.control("SH", ["DESCRIPTION"]);
        // The first line is the rest of the title.
        for block in blocks(part.lines().skip(1)) {
            block.write(&mut roff);
        }
        roff.control("SH", ["SEE ALSO"])
            .text([roman("rolecall(1), rolecall-check(1), rolecall-rules-test(1)")]);
        Page { file_name: format!("{name}.5"), text: roff.render().into_bytes() }
    })
}

/// What the reference is made of. It is generated, so it has no more than this of Markdown.
enum Block {
    Heading(String),
    Paragraph(String),
    /// A point of a list.
    Point(String),
    /// A key, and what is said of it.
    Key(String, String),
    /// A value that a key may have, and what it means.
    Value(String, String),
}

/// The blocks of a part: each begins at a mark and goes on to the next, or to an empty line.
fn blocks<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for line in lines {
        let begins = if let Some(heading) = line.strip_prefix("## ").or(line.strip_prefix("### ")) {
            Some(Block::Heading(heading.to_owned()))
        } else if let Some((key, text)) = line.strip_prefix("- `").and_then(|line| line.split_once('`')) {
            Some(Block::Key(key.to_owned(), text.trim_start().to_owned()))
        } else if let Some((value, text)) = line.strip_prefix("  - `").and_then(|line| line.split_once("`: "))
        {
            Some(Block::Value(value.to_owned(), text.to_owned()))
        } else if let Some(point) = line.strip_prefix("- ") {
            Some(Block::Point(point.to_owned()))
        } else {
            (!open && !line.is_empty()).then(|| Block::Paragraph(line.to_owned()))
        };
        match begins {
            Some(block) => blocks.push(block),
            None if open => blocks.last_mut().into_iter().for_each(|block| block.go_on(line)),
            None => {}
        }
        open = !line.is_empty();
    }
    blocks
}

impl Block {
    fn go_on(&mut self, line: &str) {
        let (Self::Heading(text)
        | Self::Paragraph(text)
        | Self::Point(text)
        | Self::Key(_, text)
        | Self::Value(_, text)) = self;
        if !line.is_empty() {
            text.push(' ');
            text.push_str(line.trim());
        }
    }

    fn write(&self, roff: &mut Roff) {
        match self {
            Self::Heading(text) => roff.control("SS", [text.replace('`', "").as_str()]),
            Self::Paragraph(text) => roff.control("PP", []).text(inlines(text)),
            Self::Point(text) => roff.control("IP", ["\\(bu", "2"]).text(inlines(text)),
            Self::Key(key, text) => roff.control("TP", []).text([bold(key)]).text(inlines(text)),
            Self::Value(value, text) => {
                roff.control("RS", []).control("TP", []).text([bold(value)]).text(inlines(text));
                roff.control("RE", [])
            }
        };
    }
}

/// Text in which `code` is bold and *what is defined* italic.
fn inlines(text: &str) -> Vec<Inline> {
    let mut inlines = Vec::new();
    for (at, piece) in text.split('`').enumerate() {
        if at % 2 == 1 {
            inlines.push(bold(piece));
            continue;
        }
        for (at, piece) in piece.split('*').enumerate().filter(|(_, piece)| !piece.is_empty()) {
            inlines.push(if at % 2 == 1 { italic(piece) } else { roman(piece) });
        }
    }
    inlines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_markdown_is_left() {
        for page in pages() {
            let text = String::from_utf8_lossy(&page.text).into_owned();
            for mark in ["`", "](", "\n\\- ", "\n# ", "\n##"] {
                assert!(!text.contains(mark), "{} has {mark:?}", page.file_name);
            }
        }
    }

    #[test]
    fn a_key_a_value_and_a_point_stand_each_by_itself() {
        let reference = "An introduction,\nin two lines.\n\n- A *secret* is\n  `{file: /path}`.\n\n## log\n\n\
                         - `log.format` (one of these): How.\n  - `text`: For people.\n";
        let mut roff = Roff::new();
        blocks(reference.lines()).iter().for_each(|block| block.write(&mut roff));
        let expected = ".PP\nAn introduction, in two lines.\n.IP \\(bu 2\nA \\fIsecret\\fR is \\fB{file: /path}\\fR.\n\
                        .SS log\n.TP\n\\fBlog.format\\fR\n(one of these): How.\n\
                        .RS\n.TP\n\\fBtext\\fR\nFor people.\n.RE\n";
        assert_eq!(roff.to_roff(), expected);
    }
}
