//! What the documents say is what the program does.

use std::path::Path;

use super::{files, read, root};

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
        for command in ["cargo test --workspace", "cargo run --bin tms-server -- demo"] {
            assert!(text.contains(command), "{readme} does not show {command}");
            assert!(ci.contains(command), ".ci/run does not run {command}");
        }
    }
}
