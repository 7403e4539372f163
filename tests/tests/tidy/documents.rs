//! What the documents say is what the program does.

use std::{fmt::Write, path::Path};

use toml::{Table, Value};

use super::{files, read, root, toml};

const DOCUMENTS: [&str; 2] = ["docs/protocol.md", "docs/protocol.zh-CN.md"];

fn profile(name: &str) -> Table {
    toml(&format!("crates/tms-proto/profiles/{name}.toml"))
}

/// The cells of every row of every table of a document.
fn rows(document: &str) -> Vec<Vec<String>> {
    read(document)
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// The text of a value that may be a number.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list(value: &Value) -> String {
    value.as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_function_of_a_profile_is_documented_with_its_codes_and_fields() {
    for document in DOCUMENTS {
        let rows = rows(document);
        for name in ["unionpay", "iso87"] {
            for (function, rule) in profile(name)["function"].as_table().unwrap() {
                let codes: Vec<_> = rule["codes"].as_array().unwrap().iter().map(text).collect();
                let mut selector = format!("{} = {}", text(&rule["select"]), codes.join(" / "));
                if let Some(file) = rule.get("file_name") {
                    write!(selector, ", 101 = `{}`", text(file)).unwrap();
                }
                let expected = [text(&rule["mti"]), selector, list(&rule["request"]), list(&rule["reply"])];
                assert!(
                    rows.iter().any(|row| row.ends_with(&expected)),
                    "{document} lacks {function} of {name}: {expected:?}"
                );
            }
        }
    }
}

#[test]
fn every_response_code_of_the_profiles_is_documented() {
    let (unionpay, iso87) = (profile("unionpay"), profile("iso87"));
    for document in DOCUMENTS {
        let rows = rows(document);
        for (meaning, code) in unionpay["response"].as_table().unwrap() {
            let expected = [text(code), text(&iso87["response"][meaning])];
            assert!(
                rows.iter().any(|row| row.starts_with(&expected)),
                "{document} lacks the response {meaning}: {expected:?}"
            );
        }
    }
}

#[test]
fn every_digit_that_announces_work_is_documented() {
    let (unionpay, iso87) = (profile("unionpay"), profile("iso87"));
    for document in DOCUMENTS {
        let rows = rows(document);
        for (work, digit) in unionpay["pending"].as_table().unwrap() {
            let (Some(digit), Some(other)) = (digit.as_integer(), iso87["pending"][work].as_integer()) else {
                continue;
            };
            let digit = if digit > 9 { format!("{digit:X} ({digit})") } else { digit.to_string() };
            let expected = [digit, format!("{other:02}")];
            assert!(
                rows.iter().any(|row| row.ends_with(&expected)),
                "{document} lacks the digit of {work}: {expected:?}"
            );
        }
    }
}

#[test]
fn every_tag_of_a_profile_is_documented_with_its_length_and_place() {
    for document in DOCUMENTS {
        let rows = rows(document);
        for tag in profile("unionpay")["tag"].as_array().unwrap() {
            let places: Vec<_> = tag["in"]
                .as_array()
                .unwrap()
                .iter()
                .map(|place| if place.as_str() == Some("parameters") { "360" } else { "362" })
                .collect();
            let expected = [
                text(&tag["tag"]),
                text(&tag["length"]),
                format!("`{}`", text(&tag["name"])),
                places.join(", "),
                text(&tag["pad"]),
            ];
            assert!(rows.iter().any(|row| row[..] == expected), "{document} lacks tag {expected:?}");
        }
    }
}

#[test]
fn every_private_tag_of_bodies_is_documented() {
    let source = read("crates/tms-proto/src/body.rs");
    let tags: Vec<_> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub(crate) const ")?.split("= 0x").nth(1))
        .map(|tag| tag.trim_end_matches(';').to_owned())
        .collect();
    assert!(tags.len() > 20, "{tags:?}");
    for document in DOCUMENTS {
        let rows = rows(document);
        for tag in &tags {
            assert!(rows.iter().any(|row| row[0] == *tag), "{document} lacks tag {tag}");
        }
    }
}

/// Targets of the links of a Markdown text that are not on the web.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let mut rest = if fenced { "" } else { line };
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let target = &rest[..rest.find(')').unwrap()];
            let target = target.split(['#', ' ']).next().unwrap();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push(target.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_link_in_a_document_leads_somewhere() {
    let mut documents = files("docs", ".md");
    for name in ["README.md", "README.zh-CN.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"] {
        documents.push(name.to_owned());
    }
    let mut followed = 0;
    for document in documents {
        let folder = Path::new(&document).parent().unwrap().to_owned();
        for link in links(&read(&document)) {
            let target = root().join(&folder).join(&link);
            assert!(target.exists(), "{document} links to {link}, which is not there");
            followed += 1;
        }
    }
    assert!(followed > 10, "{followed}");
}

#[test]
fn every_document_for_users_is_there_in_both_languages() {
    let mut english = vec!["README.md".to_owned()];
    english.extend(files("docs", ".md").into_iter().filter(|name| !name.ends_with(".zh-CN.md")));
    for name in english {
        let chinese = name.replace(".md", ".zh-CN.md");
        assert!(root().join(&chinese).is_file(), "{chinese} is missing");
        for (one, other) in [(&name, &chinese), (&chinese, &name)] {
            let file = Path::new(other).file_name().unwrap().to_str().unwrap();
            assert!(links(&read(one)).iter().any(|link| link == file), "{one} does not link to {other}");
        }
    }
}

#[test]
fn every_crate_is_in_the_map() {
    let map = read("ARCHITECTURE.md");
    for folder in super::crates() {
        let name = folder.trim_start_matches("crates/").replace("tests/sim", "tms-sim");
        if name != "tests" {
            assert!(map.contains(&format!("`{name}`")), "ARCHITECTURE.md does not name {name}");
        }
    }
}

#[test]
fn what_the_readme_has_one_type_is_what_the_continuous_integration_runs() {
    let ci = read(".ci/run");
    for readme in ["README.md", "README.zh-CN.md"] {
        let text = read(readme);
        for command in ["cargo test --workspace", "cargo run --release --bin tms-server -- demo"] {
            assert!(text.contains(command), "{readme} does not show {command}");
            assert!(ci.contains(command), ".ci/run does not run {command}");
        }
    }
}
