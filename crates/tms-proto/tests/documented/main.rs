//! The wire documentation is made from the tables that the sessions use, and its examples by the
//! sessions themselves.
//!
//! `TMS_UPDATE_DOCS=1 cargo test -p tms-proto --test documented` writes the generated parts anew; a plain
//! run fails where they differ.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod annotate;
mod examples;
mod push;
mod tables;
mod words;

use std::fmt::Write;

use iso8583::Message;
use tms_proto::{Function, Profile, task::Command};

use words::Language;

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end of generated part -->";

fn path(name: &str) -> String {
    format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Compares a document with what it should be, or writes it.
fn settle(name: &str, wanted: &str) {
    if std::env::var_os("TMS_UPDATE_DOCS").is_some() {
        std::fs::write(path(name), wanted).unwrap();
        return;
    }
    let found = read(name);
    if let Some((line, (found, wanted))) =
        found.lines().zip(wanted.lines()).enumerate().find(|(_, (found, wanted))| found != wanted)
    {
        panic!(
            "docs/{name} line {}: is\n{found}\nshould be\n{wanted}\nrun TMS_UPDATE_DOCS=1 cargo test -p tms-proto --test documented",
            line + 1
        );
    }
    assert!(found == wanted, "docs/{name} has another length than it should");
}

/// A document with its generated parts made anew, and how many there are.
fn renewed(text: &str, language: Language) -> (String, usize) {
    let (mut out, mut parts, mut inside) = (String::new(), 0, false);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(BEGIN) {
            let name = name.strip_suffix(" -->").unwrap();
            writeln!(out, "{line}\n\n{}", tables::part(name, language)).unwrap();
            parts += 1;
            inside = true;
        }
        if line == END {
            inside = false;
        }
        if !inside {
            writeln!(out, "{line}").unwrap();
        }
    }
    assert!(!inside, "a generated part has no end");
    (out, parts)
}

/// The document of all examples.
fn examples_document(language: Language) -> String {
    let other = match language {
        Language::English => "[中文](protocol-examples.zh-CN.md)",
        Language::Chinese => "[English](protocol-examples.md)",
    };
    let mut out = match language {
        Language::English => format!(
            "# The wire: examples\n\n{other}\n\nOne exchange of every function of [the wire](protocol.md), made by the two \
             ends of a connection at 2026-11-22 00:00:00 UTC. Every byte of a frame is on the left, what it is on \
             the right. `cargo test -p tms-proto --test documented` makes this file and checks it.\n"
        ),
        Language::Chinese => format!(
            "# 报文示例\n\n{other}\n\n[报文规范](protocol.zh-CN.md)中每项功能的一次交互，由连接两端的真实代码在 2026-11-22 \
             00:00:00 UTC 产生。左边是帧的每个字节，右边是其含义。本文件由 `cargo test -p tms-proto --test documented` 生成并检查。\n"
        ),
    };
    for (name, title) in tables::PROFILES {
        let profile = tables::profile(name);
        writeln!(out, "\n## {title}").unwrap();
        for shown in examples::of(&profile) {
            writeln!(out, "\n### {title}: {}", words::function(shown.function, language)).unwrap();
            for (what, frame) in [("request", &shown.request), ("reply", &shown.reply)] {
                let key = format!("{name}-{}-{what}", shown.function.name());
                write!(out, "\n```hex {key}\n{}```\n", annotate::annotate(&profile, frame)).unwrap();
            }
        }
    }
    out
}

/// Name and frame of every example in a document.
fn examples_in(document: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```hex ") else { continue };
        let hex: String = lines
            .by_ref()
            .take_while(|line| *line != "```")
            .flat_map(|line| line.split('|').next().unwrap_or_default().split_whitespace().map(str::to_owned))
            .collect();
        found.push((name.to_owned(), hex::decode(hex).unwrap()));
    }
    found
}

#[test]
fn the_tables_of_the_documents_are_those_of_the_profiles() {
    for language in Language::ALL {
        let name = language.file("protocol");
        let (wanted, parts) = renewed(&read(&name), language);
        assert_eq!(parts, 10, "{name} has all generated parts");
        settle(&name, &wanted);
    }
}

#[test]
fn the_examples_are_what_the_sessions_say() {
    for language in Language::ALL {
        settle(&language.file("protocol-examples"), &examples_document(language));
    }
}

#[test]
fn every_function_of_every_profile_has_an_example_that_reads_as_it() {
    let found = examples_in(&examples_document(Language::English));
    let functions: usize =
        tables::PROFILES.iter().map(|(name, _)| tables::profile(name).rules().count()).sum();
    assert_eq!(found.len(), 2 * functions);
    for (name, frame) in &found {
        let (profile, what) = name.split_once('-').unwrap();
        let profile = Profile::builtin(profile).unwrap();
        let (split, used) = profile.framing().split(frame, 8192).unwrap().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(used, frame.len(), "{name}");
        let message = Message::parse(profile.dialect(), split.body).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (function, side) = what.split_once('-').unwrap();
        let function = *Function::ALL.iter().find(|f| f.name() == function).unwrap();
        let rule = profile.rule(function).unwrap();
        let fields = if side == "request" {
            assert_eq!(profile.classify(&message).unwrap().function, function, "{name}");
            &rule.request
        } else {
            let code = message.text("39");
            assert_eq!(profile.outcome(function, code.as_deref()), None, "{name}");
            &rule.reply
        };
        for n in &fields.mandatory {
            assert!(message.has(*n), "{name} lacks mandatory DE{n}");
        }
        for field in message.fields() {
            assert!(
                fields.lists(field.number()),
                "{name} has DE{}, which its table does not list",
                field.number()
            );
        }
    }
}

#[test]
fn every_command_and_element_is_in_the_tables() {
    let commands = tables::all_commands();
    for (index, command) in commands.iter().enumerate() {
        assert_eq!(usize::from(command.code()), index + 1);
    }
    let next = u8::try_from(commands.len() + 1).unwrap();
    let body =
        [&hex::decode("DF4110").unwrap()[..], &[0; 16], &hex::decode("DF420101DF4301").unwrap(), &[next]];
    let task = tms_proto::task::Task::decode(&body.concat()).unwrap();
    assert_eq!(task.command, Command::Unknown(next), "a command is not in the documents");

    let source = [include_str!("../../src/body.rs"), include_str!("../../src/transactions/mod.rs")].concat();
    let mut tags = 0;
    for tag in source.lines().filter_map(|line| line.split_once(": u32 = 0x")) {
        let tag = u32::from_str_radix(tag.1.trim_end_matches(';'), 16).unwrap();
        assert!(words::ELEMENTS.iter().any(|(known, ..)| *known == tag), "{tag:X} is not in the documents");
        tags += 1;
    }
    assert_eq!(tags, words::ELEMENTS.len());
}
