//! Patterns of `*` and `?`.

/// A pattern for the whole of a text: `*` stands for any characters or none, `?` for one, everything else for
/// itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Takes a pattern; runs of `*` become one, so that matching takes no longer than text times pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        let mut text = String::with_capacity(pattern.len());
        for c in pattern.chars() {
            if c != '*' || !text.ends_with('*') {
                text.push(c);
            }
        }
        Self(text)
    }

    /// The pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text is as the pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        // Where to go on when what follows the last star does not fit.
        let mut star: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
        loop {
            let here = pattern.clone();
            match (pattern.next(), rest.clone().next()) {
                (Some('*'), _) => {
                    star = Some((here, rest.clone()));
                    continue;
                }
                (None, None) => return true,
                (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                    rest.next();
                    continue;
                }
                _ => {}
            }
            let Some((after, mut skipped)) = star.take() else { return false };
            if skipped.next().is_none() {
                return false;
            }
            (pattern, rest) = (after.clone(), skipped.clone());
            pattern.next();
            star = Some((after, skipped));
        }
    }
}
