//! Tokens to what a selector asks for, by recursive descent.

use jiff::Timestamp;
use jiff::civil::Date;

use super::ast::{Condition, Expr, Operator, Test, Value};
use super::error::SelectorError;
use super::field::{Class, Field};
use super::glob::Glob;
use super::lexer::{self, Placed, Token};
use super::{MAX_BYTES, MAX_DEPTH, MAX_TERMS};
use crate::group::GroupId;
use crate::tag::Tag;

type Result<T> = std::result::Result<T, SelectorError>;

pub(super) fn parse(text: &str) -> Result<Expr> {
    if text.len() > MAX_BYTES {
        return Err(SelectorError::too_long(text.len()));
    }
    let mut parser = Parser { text, tokens: lexer::tokens(text)?, next: 0, terms: 0 };
    let expr = parser.any_of(0)?;
    let end = parser.take();
    match end.token {
        Token::End => Ok(expr),
        ref token => {
            let error = parser.error(&end, "and, or, or the end");
            Err(match token {
                Token::Word(word) => error.nearest(word, ["and", "or"]),
                _ => error,
            })
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    next: usize,
    terms: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |placed| &placed.token)
    }

    fn take(&mut self) -> Placed {
        let end = Placed { token: Token::End, offset: self.text.len() };
        let placed = self.tokens.get(self.next).cloned().unwrap_or(end);
        self.next = self.next.saturating_add(1);
        placed
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_word(word);
        self.next = self.next.saturating_add(usize::from(found));
        found
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.next = self.next.saturating_add(usize::from(found));
        found
    }

    fn error(&self, at: &Placed, expected: impl Into<String>) -> SelectorError {
        SelectorError::at(self.text, at.offset, expected).found(at.token.found())
    }

    fn any_of(&mut self, depth: usize) -> Result<Expr> {
        let mut parts = Vec::new();
        loop {
            match self.all_of(depth)? {
                Expr::Or(inner) => parts.extend(inner),
                part => parts.push(part),
            }
            if !self.takes_word("or") {
                return Ok(one_or(parts, Expr::Or));
            }
        }
    }

    fn all_of(&mut self, depth: usize) -> Result<Expr> {
        let mut parts = Vec::new();
        loop {
            match self.single(depth)? {
                Expr::And(inner) => parts.extend(inner),
                part => parts.push(part),
            }
            if !self.takes_word("and") {
                return Ok(one_or(parts, Expr::And));
            }
        }
    }

    fn single(&mut self, depth: usize) -> Result<Expr> {
        let first = self.take();
        let deeper = depth.saturating_add(1);
        if deeper > MAX_DEPTH && (first.token.is_word("not") || first.token == Token::Sign("(")) {
            return Err(SelectorError::too_deep(self.text, first.offset));
        }
        if first.token.is_word("not") {
            return Ok(Expr::Not(Box::new(self.single(deeper)?)));
        }
        if first.token == Token::Sign("(") {
            let inner = self.any_of(deeper)?;
            let end = self.take();
            return match end.token {
                Token::Sign(")") => Ok(inner),
                _ => Err(self.error(&end, "and, or, or a closing parenthesis")),
            };
        }
        self.count(first.offset)?;
        if first.token.is_word("all") {
            return Ok(Expr::All);
        }
        let Token::Word(name) = &first.token else {
            return Err(self.error(&first, "a field, not, all or a parenthesis"));
        };
        let Some(field) = Field::find(name) else { return Err(self.no_field(&first, name)) };
        let condition = self.condition(&field)?;
        Ok(Expr::Test(Test { field, condition }))
    }

    fn no_field(&self, at: &Placed, name: &str) -> SelectorError {
        if name.starts_with("attr.") {
            let rule = "attr. and a name of at most 40 lower-case letters, digits, _ or -";
            return self.error(at, rule);
        }
        let error = self.error(at, "a field").nearest(name, Field::names());
        match name {
            _ if error.suggestion.is_some() => error,
            "location" | "store" | "merchant" | "branch" => error.suggest("group under"),
            _ => error,
        }
    }

    /// What follows a field.
    fn condition(&mut self, field: &Field) -> Result<Condition> {
        let class = field.class();
        let at = self.take();
        match (&at.token, class) {
            (Token::Sign(sign), _) => self.signed(field, sign, &at),
            (word, Class::Contact) if word.is_word("never") => Ok(Condition::Never),
            (word, Class::Contact) if word.is_word("older") => self.age().map(Condition::Older),
            (word, Class::Contact) if word.is_word("newer") => self.age().map(Condition::Newer),
            (word, Class::Moment) if word.is_word("before") => self.moment().map(Condition::Before),
            (word, Class::Moment) if word.is_word("after") => self.moment().map(Condition::After),
            (word, Class::Contact | Class::Moment | Class::Flag) => Err(self.no_test(&at, word, class)),
            (word, _) if word.is_word("in") => self.list(field),
            (word, Class::Group) if word.is_word("under") => {
                let at = self.take();
                self.text_value(field, &at)?
                    .parse::<GroupId>()
                    .map(Condition::Under)
                    .map_err(|error| self.error(&at, format!("a group id ({})", error.rule)))
            }
            (word, Class::Tag) => {
                let named = !word.is_word("has");
                let at = if named { at } else { self.take() };
                self.value(field, &at).map(|tag| Condition::Compare(Operator::Equal, tag))
            }
            (word, _) => Err(self.no_test(&at, word, class)),
        }
    }

    fn no_test(&self, at: &Placed, found: &Token, class: Class) -> SelectorError {
        let words: &[&str] = match class {
            Class::Contact => &["older", "newer", "never"],
            Class::Moment => &["before", "after"],
            Class::Group => &["under", "in"],
            _ => &["in"],
        };
        let error = self.error(at, class.tests());
        match found.found().to_ascii_lowercase().as_str() {
            "is" | "equals" | "eq" | "==" => error.suggest("="),
            "like" | "matches" => error.suggest("~"),
            word => error.nearest(word, words.iter().copied()),
        }
    }

    /// A test that begins with a sign.
    fn signed(&mut self, field: &Field, sign: &str, at: &Placed) -> Result<Condition> {
        let class = field.class();
        let operator = match sign {
            "=" => Operator::Equal,
            "!=" => Operator::Unequal,
            "<" => Operator::Less,
            "<=" => Operator::AtMost,
            ">" => Operator::Greater,
            ">=" => Operator::AtLeast,
            "~" if matches!(
                class,
                Class::Text | Class::Tag | Class::Attribute | Class::Version | Class::Said
            ) =>
            {
                let at = self.take();
                return self.text_value(field, &at).map(|pattern| Condition::Like(Glob::new(&pattern)));
            }
            _ => return Err(self.error(at, class.tests())),
        };
        match class {
            Class::Contact | Class::Moment => return Err(self.error(at, class.tests())),
            Class::Tag if operator == Operator::Unequal => {
                return Err(self.error(at, class.tests()).suggest("not tag …"));
            }
            Class::Word | Class::Group | Class::Tag | Class::Flag if operator.is_order() => {
                return Err(self.error(at, class.tests()));
            }
            _ => {}
        }
        let at = self.take();
        if let Token::Word(word) = &at.token
            && word.contains(['*', '?'])
            && matches!(class, Class::Text | Class::Tag | Class::Attribute | Class::Version | Class::Said)
        {
            return match operator {
                Operator::Equal => Ok(Condition::Like(Glob::new(word))),
                _ => {
                    let error = self.error(&at, "a value; a pattern stands after = or ~");
                    Err(error.suggest(format!("not {field} ~ \"{word}\"")))
                }
            };
        }
        if class == Class::Said && operator.is_order() {
            return self.integer(&at).map(|number| Condition::Compare(operator, Value::Integer(number)));
        }
        let value = self.value(field, &at)?;
        match value {
            Value::Flag(_) if operator.is_order() => Err(self.error(&at, "a number or text to compare with")),
            value => Ok(Condition::Compare(operator, value)),
        }
    }

    fn list(&mut self, field: &Field) -> Result<Condition> {
        let open = self.take();
        if open.token != Token::Sign("(") {
            return Err(self.error(&open, "a list in parentheses, as in (a, b)"));
        }
        let mut values = Vec::new();
        loop {
            let at = self.take();
            if let Token::Word(word) = &at.token
                && word.contains(['*', '?'])
            {
                return Err(self.error(&at, "a value; a list has no patterns"));
            }
            if !values.is_empty() {
                self.count(at.offset)?;
            }
            values.push(self.value(field, &at)?);
            if self.takes_sign(")") {
                return Ok(Condition::In(values));
            }
            if !self.takes_sign(",") {
                let at = self.take();
                return Err(self.error(&at, "a comma or a closing parenthesis"));
            }
        }
    }

    /// A value as a field takes it.
    fn value(&self, field: &Field, at: &Placed) -> Result<Value> {
        match field.class() {
            Class::Number => self.integer(at).map(Value::Integer),
            Class::Flag => match &at.token {
                word if word.is_word("true") || word.is_word("yes") => Ok(Value::Flag(true)),
                word if word.is_word("false") || word.is_word("no") => Ok(Value::Flag(false)),
                _ => Err(self.error(at, "true or false")),
            },
            Class::Word => {
                let word = self.text_value(field, at)?;
                let known = field.words();
                if known.contains(&word.as_str()) {
                    return Ok(Value::Text(word));
                }
                let error = self.error(at, format!("one of {}", known.join(", ")));
                Err(error.nearest(&word, known.iter().copied()))
            }
            Class::Tag => {
                let text = self.text_value(field, at)?;
                match text.parse::<Tag>() {
                    // Said bare, such a tag would be an operator; none needs to be called so.
                    Ok(_) if lexer::is_reserved(&text) || text == "has" => {
                        Err(self.error(at, "a tag that is no word of this language"))
                    }
                    Ok(_) => Ok(Value::Text(text)),
                    Err(error) => Err(self.error(at, format!("a tag ({})", error.rule))),
                }
            }
            Class::Group => {
                let text = self.text_value(field, at)?;
                match text.parse::<GroupId>() {
                    Ok(_) => Ok(Value::Text(text)),
                    Err(error) => Err(self.error(at, format!("a group id ({})", error.rule))),
                }
            }
            Class::Attribute => match &at.token {
                Token::Word(word) if word == "true" || word == "false" => Ok(Value::Flag(word == "true")),
                Token::Word(word) if word.parse::<i64>().is_ok() => self.integer(at).map(Value::Integer),
                _ => self.text_value(field, at).map(Value::Text),
            },
            Class::Text | Class::Version | Class::Said | Class::Contact | Class::Moment => {
                self.text_value(field, at).map(Value::Text)
            }
        }
    }

    fn text_value(&self, field: &Field, at: &Placed) -> Result<String> {
        match &at.token {
            Token::Quoted(text) => Ok(text.clone()),
            Token::Word(word) if !lexer::is_reserved(word) => Ok(word.clone()),
            Token::Word(word) => {
                let error = self.error(at, format!("a value for {field}"));
                Err(error.suggest(format!("\"{word}\"")))
            }
            _ => Err(self.error(at, format!("a value for {field}"))),
        }
    }

    fn integer(&self, at: &Placed) -> Result<i64> {
        let number = match &at.token {
            Token::Word(word) => word.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.error(at, "a whole number"))
    }

    /// `than 2h`
    fn age(&mut self) -> Result<u64> {
        if !self.takes_word("than") {
            let at = self.take();
            return Err(self.error(&at, "than and a length of time, as in older than 2h"));
        }
        let at = self.take();
        let seconds = match &at.token {
            Token::Word(word) => lexer::duration(word),
            _ => None,
        };
        seconds.ok_or_else(|| self.error(&at, "a length of time such as 90s, 15m, 2h, 1d12h or 4w"))
    }

    fn moment(&mut self) -> Result<Timestamp> {
        let at = self.take();
        let text = match &at.token {
            Token::Word(text) | Token::Quoted(text) => text.as_str(),
            _ => "",
        };
        let day = || {
            let date = text.parse::<Date>().ok().filter(|_| text.len() == 10)?;
            date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|day| day.timestamp())
        };
        let moment = day().or_else(|| text.parse().ok());
        moment.ok_or_else(|| {
            self.error(&at, "a day such as 2026-11-30, or a time such as 2026-11-30T08:00:00+08:00")
        })
    }

    fn count(&mut self, offset: usize) -> Result<()> {
        self.terms = self.terms.saturating_add(1);
        if self.terms <= MAX_TERMS { Ok(()) } else { Err(SelectorError::too_many(self.text, offset)) }
    }
}

fn one_or(mut parts: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.pop().unwrap_or(Expr::All),
        _ => many(parts),
    }
}
