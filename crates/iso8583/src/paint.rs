//! Text for people: colours, widths and characters that a terminal must not act on.

use std::fmt;

use unicode_width::UnicodeWidthStr;

/// What a piece of text is, as far as its colour goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Strong,
    Faint,
    Hidden,
    Wrong,
    Added,
    Changed,
}

impl Style {
    /// The parameter of SGR (ECMA-48, 8.3.117) that begins the style.
    const fn sgr(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Hidden | Self::Changed => "33",
            Self::Wrong => "31",
            Self::Added => "32",
        }
    }
}

/// Writes text with colours or without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub(crate) colour: bool,
}

impl Paint {
    /// The text in a style.
    pub(crate) fn text(self, f: &mut fmt::Formatter<'_>, style: Style, text: &str) -> fmt::Result {
        if self.colour && style != Style::Plain && !text.is_empty() {
            write!(f, "\x1b[{}m{text}\x1b[0m", style.sgr())
        } else {
            f.write_str(text)
        }
    }

    /// The text in a style, filled with spaces to a width, and two more to the next column.
    pub(crate) fn cell(
        self,
        f: &mut fmt::Formatter<'_>,
        style: Style,
        text: &str,
        width: usize,
    ) -> fmt::Result {
        self.text(f, style, text)?;
        let fill = width.saturating_sub(text.width()) + 2;
        write!(f, "{:fill$}", "")
    }
}

/// The columns that the texts need on a terminal; Chinese characters need two each.
pub(crate) fn widest<'t>(texts: impl Iterator<Item = &'t str>) -> usize {
    texts.map(UnicodeWidthStr::width).max().unwrap_or_default()
}

/// Text from outside made safe to print: control characters, which could drive the person's
/// terminal, and those that change the direction of writing are escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        let invisible = matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}');
        if character.is_control() || invisible {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_directions_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}\u{202E}测试\n"), "a\\u{1b}[2Jb\\u{9b}\\u{202e}测试\\n");
    }
}
