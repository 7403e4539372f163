//! What source files may and may not say.

use super::{files, read};

/// Crates without input and output: they are given bytes and times, and give bytes and events.
pub(super) const WITHOUT_IO: [&str; 3] = ["crates/iso8583", "crates/tms-proto", "crates/tms-core"];

/// A file longer than this wants to be a folder.
const MAX_LINES: usize = 500;

/// Files that may be longer, and why.
const LONGER: &[(&str, &str)] = &[
    ("crates/tms-server/src/api/tests.rs", "one test for each answer of the interface"),
    ("crates/testkit/src/store/promises.rs", "every method of one trait, a line or two each"),
    ("crates/tms-store/src/store.rs", "one trait, with what each of its methods promises"),
    ("crates/tms-store/src/sql/store.rs", "every method of that trait, and which writer it goes to"),
    (
        "crates/tms-store/src/sql/operations.rs",
        "the statements of operations; attempts and many at once want a file",
    ),
];

/// The code of a file without comments and without its tests.
fn code(file: &str) -> String {
    if file.ends_with("/tests.rs") || file.contains("/tests/") {
        return String::new();
    }
    let text = read(file);
    // By convention tests are the last thing in a file.
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_protocol_and_what_is_below_it_name_no_socket_file_thread_or_clock() {
    for folder in WITHOUT_IO {
        for file in files(&format!("{folder}/src"), ".rs") {
            // Its traits are about buffers; who implements them does no input or output.
            let code = code(&file).replace("tokio_util::codec", "");
            for named in [
                "tokio",
                "std::net",
                "std::fs",
                "std::thread",
                "std::env",
                "SystemTime",
                "Instant",
                "Timestamp::now",
                "Zoned::now",
            ] {
                assert!(!code.contains(named), "{file} names {named}");
            }
        }
    }
}

#[test]
fn nothing_is_unsafe_and_nothing_says_that_it_may_be() {
    for folder in ["crates", "examples", "tests"] {
        for file in files(folder, ".rs") {
            let code = code(&file);
            for said in ["allow(unsafe", "unsafe {", "unsafe fn", "unsafe impl"] {
                // This file says it to look for it.
                assert!(!code.contains(said) || file.ends_with("tidy/sources.rs"), "{file} says {said}");
            }
        }
    }
}

#[test]
fn no_source_file_is_longer_than_can_be_read_at_once() {
    for file in files("crates", ".rs").iter().filter(|file| file.contains("/src/")) {
        let lines = read(file).lines().count();
        let allowed = LONGER.iter().any(|(longer, _)| longer == file);
        assert!(lines <= MAX_LINES || allowed, "{file} has {lines} lines; split it by noun");
    }
    for (file, reason) in LONGER {
        let lines = read(file).lines().count();
        assert!(
            lines > MAX_LINES,
            "{file} has {lines} lines and need not be an exception any more ({reason})"
        );
    }
}

#[test]
fn nothing_is_left_to_be_done_later() {
    for folder in ["crates", "examples", "tests"] {
        for file in files(folder, ".rs") {
            let text = read(&file);
            for mark in ["TODO", "FIXME", "XXX", "HACK"] {
                let marked = text.lines().any(|line| line.contains("//") && line.contains(mark));
                assert!(!marked, "{file} has a {mark}");
            }
        }
    }
}

#[test]
fn every_test_has_a_name_that_reads_as_a_sentence() {
    for folder in ["crates", "examples", "tests"] {
        for file in files(folder, ".rs") {
            let text = read(&file);
            let mut lines = text.lines().map(str::trim);
            while let Some(line) = lines.next() {
                if !matches!(line, "#[test]" | "#[tokio::test]") {
                    continue;
                }
                let name = lines.find(|line| line.contains("fn ")).unwrap();
                let name = name.split("fn ").nth(1).unwrap().split('(').next().unwrap();
                // A macro gives the name.
                let given = name.starts_with('$');
                assert!(given || name.matches('_').count() >= 2, "{file}: {name} says too little");
            }
        }
    }
}
