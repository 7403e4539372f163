//! What the help says, as snapshots: a change to the command line shows in review.

mod common;

use common::tmsctl;

#[test]
fn the_help_of_every_command() {
    for command in [
        "",
        "login",
        "whoami",
        "terminal",
        "terminal list",
        "terminal show",
        "terminal edit",
        "terminal bulk",
        "terminal replace",
        "group",
        "group list",
        "group show",
        "group create",
        "group rename",
        "group move",
        "group edit",
        "group delete",
        "selector",
        "selector list",
        "selector save",
        "selector delete",
        "selector check",
        "estate",
        "estate import",
        "estate export",
        "parameter set",
        "firmware",
        "firmware keygen",
        "firmware build",
        "firmware publish",
        "firmware assign",
        "reset",
        "command",
        "command factory-reset",
        "command lock",
        "command sync-clock",
        "command change-tms-address",
        "plan install",
        "plan withdraw",
        "alarm list",
        "emv put",
        "credential rotate",
        "logs",
        "logs fetch",
        "operation",
        "operation show",
        "operation cancel",
        "rollout",
        "rollout create",
        "rollout show",
        "rollout approve",
        "run",
        "batch",
        "message",
        "message decode",
        "message describe",
        "message diff",
        "message doctor",
        "message encode",
        "dialect",
        "dialect list",
        "dialect check",
        "dialect show",
        "dialect schema",
        "dialect import",
    ] {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = tmsctl(&args);
        assert_eq!(help.code, 0, "{command}: {}", help.err);
        let name = format!("help {command}").trim_end().replace(' ', "-");
        insta::assert_snapshot!(name, help.out);
    }
}
