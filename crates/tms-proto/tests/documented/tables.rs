//! The generated parts of the documents.

use std::{fmt::Write, sync::Arc};

use jiff::Timestamp;
use tms_proto::{
    PendingWork, Profile, Refusal,
    alarm::AlarmKind,
    plan::{Plan, PlanSource},
    profile::{Fields, MacRule, TagPad, TagPlace},
    task::{Command, Outcome, Repeat, Task},
};
use uuid::Uuid;

use super::words::{self, Language};

pub(crate) const PROFILES: [(&str, &str); 3] =
    [("unionpay", "UnionPay"), ("iso87", "ISO 8583:1987"), ("iso93", "ISO 8583:1993")];

pub(crate) fn profile(name: &str) -> Arc<Profile> {
    Arc::new(Profile::builtin(name).unwrap())
}

/// The text of one generated part.
pub(crate) fn part(name: &str, language: Language) -> String {
    match name.split_once(' ') {
        Some(("functions", name)) => functions(&profile(name), language),
        None if name == "responses" => responses(language),
        None if name == "work" => work(language),
        None if name == "tags" => tags(language),
        None if name == "elements" => elements(language),
        None if name == "commands" => commands(language),
        None if name == "outcomes" => outcomes(language),
        None if name == "alarms" => alarms(),
        _ => panic!("nothing makes the part {name}"),
    }
}

fn row(out: &mut String, cells: &[String]) {
    writeln!(out, "| {} |", cells.join(" | ")).unwrap();
}

fn head(cells: &[&str]) -> String {
    let mut out = String::new();
    row(&mut out, &cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    writeln!(out, "|{}", "---|".repeat(cells.len())).unwrap();
    out
}

/// `11, 41, 42`, and `120–124` for three or more in a row.
fn list(of: &[u8]) -> String {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|one, next| one + 1 == *next);
    let mut parts = Vec::new();
    for run in runs {
        match run {
            [first, .., last] if run.len() > 2 => parts.push(format!("{first}–{last}")),
            _ => parts.extend(run.iter().map(u8::to_string)),
        }
    }
    parts.join(", ")
}

/// `11, 41, 42, 60; C 62; O 63`.
fn fields(fields: &Fields) -> String {
    let mut parts = vec![list(&fields.mandatory)];
    for (letter, of) in [("C", &fields.conditional), ("O", &fields.optional)] {
        if !of.is_empty() {
            parts.push(format!("{letter} {}", list(of)));
        }
    }
    parts.join("; ")
}

fn functions(profile: &Profile, language: Language) -> String {
    let mut out = head(match language {
        Language::English => &["function", "from", "MTI", "selector", "request", "reply", "MAC", "approved"],
        Language::Chinese => &["功能", "方向", "MTI", "选择值", "请求域", "应答域", "MAC", "成功码"],
    });
    for rule in profile.rules() {
        let mut selector = format!("{} = {}", rule.select, rule.codes.join(" / "));
        if !rule.files.is_empty() {
            let files: Vec<_> = rule.files.iter().map(|file| format!("`{file}`")).collect();
            write!(selector, ", 101 = {}", files.join(" / ")).unwrap();
        }
        let mac = match profile.mac().map(|mac| mac.request(rule.function)) {
            None | Some(MacRule::None) => language.pick("none", "无"),
            Some(MacRule::Optional) => language.pick("optional", "可选"),
            Some(MacRule::Required) => language.pick("required", "必需"),
        };
        let approved = if rule.reply.lists(39) { profile.approval(rule.function) } else { "—" };
        row(
            &mut out,
            &[
                words::function(rule.function, language),
                words::direction(rule.from, language).to_owned(),
                std::iter::once(&rule.mti)
                    .chain(&rule.also)
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" / "),
                selector,
                fields(&rule.request),
                fields(&rule.reply),
                mac.to_owned(),
                approved.to_owned(),
            ],
        );
    }
    out
}

fn responses(language: Language) -> String {
    let profiles: Vec<_> = PROFILES.iter().map(|(name, title)| (profile(name), *title)).collect();
    let mut titles =
        vec![language.pick("meaning", "含义").to_owned(), language.pick("what helps", "处理").to_owned()];
    let mut columns = Vec::new();
    for (profile, title) in &profiles {
        for (set, codes) in profile.response_codes() {
            titles.push(if set.is_empty() { (*title).to_owned() } else { format!("{title}, {set}") });
            let codes: Vec<_> = codes.map(|(refusal, codes)| (refusal, codes.to_vec())).collect();
            columns.push(codes);
        }
    }
    let mut out = head(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    let meanings = std::iter::once(None).chain(Refusal::ALL.iter().copied().map(Some));
    for meaning in meanings.filter(|meaning| *meaning != Some(Refusal::Other)) {
        let mut cells = vec![words::refusal(meaning, language), words::remedy(meaning, language).to_owned()];
        for column in &columns {
            let codes = column.iter().find(|(refusal, _)| *refusal == meaning);
            cells.push(codes.map(|(_, codes)| codes.join(", ")).unwrap_or_default());
        }
        row(&mut out, &cells);
    }
    out
}

fn work(language: Language) -> String {
    let profiles: Vec<_> = PROFILES.iter().map(|(name, _)| profile(name)).collect();
    let mut out = head(match language {
        Language::English => &["work", "UnionPay (header, 处理要求)", ":1987 (DE63)", ":1993 (DE63)"],
        Language::Chinese => &["事项", "银联（报文头处理要求）", ":1987 (DE63)", ":1993 (DE63)"],
    });
    for kind in PendingWork::ALL {
        let mut cells = vec![words::work(*kind, language)];
        for (index, profile) in profiles.iter().enumerate() {
            let digit = profile.pending_digit(*kind);
            cells.push(digit.map_or("—".to_owned(), |digit| {
                if index == 0 { format!("{digit:X}") } else { format!("{digit:02}") }
            }));
        }
        row(&mut out, &cells);
    }
    out
}

fn tags(language: Language) -> String {
    let profile = profile("unionpay");
    let mut out = head(match language {
        Language::English => &["tag", "length", "name", "stands in", "fill"],
        Language::Chinese => &["标签", "长度", "名称", "出现于", "填充"],
    });
    let mut rules: Vec<_> =
        profile.tags(TagPlace::Parameters).chain(profile.tags(TagPlace::Status)).collect();
    rules.sort_by(|one, other| one.tag.cmp(&other.tag));
    rules.dedup_by(|one, other| one.tag == other.tag);
    for rule in rules {
        let places: Vec<_> = rule
            .place
            .iter()
            .map(|place| if *place == TagPlace::Parameters { "360" } else { "362" })
            .collect();
        let pad = match rule.pad {
            TagPad::Zeros => language.pick("zeros, left", "左补零"),
            TagPad::Spaces => language.pick("spaces, right", "右补空格"),
            TagPad::Gbk => language.pick("GBK, spaces, right", "GBK，右补空格"),
            TagPad::Hex => {
                language.pick("bytes; the value is written in hexadecimal", "字节；值写作十六进制")
            }
        };
        row(
            &mut out,
            &[
                rule.tag.clone(),
                rule.length.to_string(),
                format!("`{}`", rule.name),
                places.join(", "),
                pad.to_owned(),
            ],
        );
    }
    out
}

fn elements(language: Language) -> String {
    let mut out = head(match language {
        Language::English => &["tag", "bytes", "meaning"],
        Language::Chinese => &["标签", "字节", "含义"],
    });
    for (tag, bytes, english, chinese) in words::ELEMENTS {
        let cells = [format!("{tag:X}"), (*bytes).to_owned(), language.pick(english, chinese).to_owned()];
        row(&mut out, &cells);
    }
    out
}

/// One command of every code.
pub(crate) fn all_commands() -> Vec<Command> {
    let (role, generation) = (String::from("99"), 2);
    let time = Timestamp::UNIX_EPOCH;
    let plan = Plan { id: Uuid::nil(), version: 1, actions: Vec::new() };
    vec![
        Command::Reboot,
        Command::InstallFirmware { file: "f".into(), size_bytes: 1, sha256: [0; 32] },
        Command::CredentialPrepare { role: role.clone(), generation, base: 1, sealed: vec![0] },
        Command::CredentialCommit { role: role.clone(), generation },
        Command::CredentialVerify { role: role.clone(), generation, challenge: [0; 16] },
        Command::CredentialConfirm { role: role.clone(), generation },
        Command::CredentialAbandon { role, generation },
        Command::CollectLogs { max_bytes: 1 },
        Command::RestartApplication,
        Command::FactoryReset,
        Command::Lock { message: "m".into() },
        Command::Unlock,
        Command::ClearReversal,
        Command::ClearBatch,
        Command::PrintTestSlip { text: Some("t".into()) },
        Command::SelfTest,
        Command::Diagnose,
        Command::CollectJournal { from_batch: Some(1), max_bytes: 1 },
        Command::SyncClock { time, utc_offset_s: 0, force: false },
        Command::ShowMessage { text: "t".into(), until: Some(time), seconds: 1 },
        Command::ChangeTmsAddress { addresses: vec!["h:1".into()], attempts: 1 },
        Command::InstallPlan(PlanSource::Inline(Box::new(plan))),
        Command::CancelOperation { target: Uuid::nil() },
    ]
}

fn commands(language: Language) -> String {
    let mut out = head(match language {
        Language::English => &["DF43", "command", "with", "after a restart in its midst", "in a plan"],
        Language::Chinese => &["DF43", "命令", "元素", "执行中途重启后", "可入计划"],
    });
    for command in all_commands() {
        let body = Task { operation: Uuid::nil(), step: 1, command: command.clone() }.encode();
        let mut with: Vec<String> = iso8583::tlv::read(&body)
            .map(|element| format!("{:X}", element.unwrap().tag))
            .filter(|tag| !["DF41", "DF42", "DF43"].contains(&tag.as_str()))
            .collect();
        if matches!(command, Command::InstallPlan(_)) {
            with.push(language.pick("or DF8152, DF46, DF48, DF4B", "或 DF8152, DF46, DF48, DF4B").into());
        }
        let code = command.code();
        let chinese = words::COMMANDS.iter().find(|(known, _)| *known == code).unwrap().1;
        let again = match command.repeat() {
            Repeat::Safe => language.pick("goes on", "继续"),
            Repeat::Once => language.pick("outcome 13, never again", "报结果 13，不再执行"),
        };
        row(
            &mut out,
            &[
                code.to_string(),
                language.pick(command.name(), &format!("{chinese} `{}`", command.name())).to_owned(),
                if with.is_empty() { "—".to_owned() } else { with.join(", ") },
                again.to_owned(),
                language
                    .pick(
                        if command.may_be_planned() { "yes" } else { "no" },
                        if command.may_be_planned() { "是" } else { "否" },
                    )
                    .to_owned(),
            ],
        );
    }
    out
}

fn outcomes(language: Language) -> String {
    let mut out = head(match language {
        Language::English => &["DF44", "meaning"],
        Language::Chinese => &["DF44", "含义"],
    });
    for code in 0..=u8::MAX {
        let english = Outcome(code).to_string();
        if english == format!("outcome {code}") {
            continue;
        }
        let chinese = words::OUTCOMES.iter().find(|(known, _)| *known == code);
        let chinese = chinese.unwrap_or_else(|| panic!("outcome {code} has no Chinese name")).1;
        row(&mut out, &[code.to_string(), language.pick(&english, chinese).to_owned()]);
    }
    out
}

fn alarms() -> String {
    let mut out = head(&["DF8163", "kind"]);
    for code in 0..=u8::MAX {
        let kind = AlarmKind(code).to_string();
        if kind != format!("alarm-{code}") {
            row(&mut out, &[code.to_string(), format!("`{kind}`")]);
        }
    }
    out
}
