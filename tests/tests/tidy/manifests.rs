//! What crates may depend on, and what they must say.

use std::process::Command;

use toml::{Table, Value};

use super::{crates, read, root, sources::WITHOUT_IO, toml};

/// Every table of dependencies of a crate: its name and what is in it.
fn dependencies(manifest: &Table) -> Vec<(&'static str, Table)> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .filter_map(|kind| Some((kind, manifest.get(kind)?.as_table()?.clone())))
        .collect()
}

fn manifest(folder: &str) -> Table {
    toml(&format!("{folder}/Cargo.toml"))
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    for folder in crates() {
        let lints = manifest(&folder).get("lints").and_then(|lints| lints.get("workspace")).cloned();
        assert_eq!(lints, Some(Value::Boolean(true)), "{folder}/Cargo.toml needs [lints] workspace = true");
    }
    let workspace = toml("Cargo.toml");
    assert_eq!(workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
}

#[test]
fn every_version_of_a_dependency_stands_in_the_workspace() {
    for folder in crates() {
        for (kind, table) in dependencies(&manifest(&folder)) {
            for (name, value) in table {
                let shared = value.get("workspace").and_then(Value::as_bool) == Some(true);
                // A crate's own tests may ask for one of its features.
                let own = value.get("path").and_then(Value::as_str) == Some(".");
                assert!(shared || own, "{folder}/Cargo.toml: {name} in [{kind}] has a version of its own");
            }
        }
    }
}

#[test]
fn crates_without_input_and_output_depend_on_none() {
    for folder in WITHOUT_IO {
        let manifest = manifest(folder);
        let default = manifest.get("features").and_then(|features| features.get("default"));
        assert_eq!(default, None, "{folder} has features that nobody asked for");
        let mut table = manifest["dependencies"].as_table().unwrap().clone();
        // What only a feature brings is the choice of who embeds the crate.
        table.retain(|_, value| value.get("optional").and_then(Value::as_bool) != Some(true));
        for banned in
            ["tokio", "tokio-util", "futures", "sqlx", "axum", "rustls", "ureq", "tempfile", "tracing"]
        {
            assert!(!table.contains_key(banned), "{folder} depends on {banned}");
        }
    }
}

#[test]
fn arrows_between_crates_point_one_way() {
    // In the order of the map in ARCHITECTURE.md: a crate depends only on those before it.
    let order = [
        "iso8583",
        "tms-crypto",
        "tms-proto",
        "tms-firmware",
        "tms-config",
        "tms-core",
        "tms-store",
        "tms-terminal",
        "tms-server",
        "tmsctl",
        "testkit",
        "tms-sim",
        "tms-examples",
        "tms-tests",
    ];
    let place = |name: &str| order.iter().position(|known| *known == name);
    for folder in crates() {
        let manifest = manifest(&folder);
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        let own = place(&name).unwrap_or_else(|| panic!("{name} has no place in the map"));
        let Some(table) = manifest.get("dependencies").and_then(Value::as_table) else { continue };
        for dependency in table.keys().filter_map(|name| place(name)) {
            assert!(dependency < own, "{name} must not depend on {}", order[dependency]);
            let on_the_server = order[dependency] == "tms-server";
            assert!(
                !on_the_server || ["testkit", "tms-sim"].contains(&name.as_str()),
                "{name} must not depend on the server"
            );
        }
    }
}

#[test]
fn banned_libraries_are_not_in_the_tree() {
    let deny = read("deny.toml");
    for banned in ["ring", "openssl-sys"] {
        assert!(deny.contains(&format!("\"{banned}\"")), "deny.toml does not ban {banned}");
        // The lock file also names what nobody has asked for; the tree does not.
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "--workspace", "--invert", banned])
            .current_dir(root())
            .output()
            .unwrap();
        let found = String::from_utf8(tree.stdout).unwrap();
        assert_eq!(found, "", "{banned} is in the tree");
        let said = String::from_utf8(tree.stderr).unwrap();
        let absent = said.contains("nothing to print") || said.contains("did not match any packages");
        assert!(absent, "{said}");
    }
}
