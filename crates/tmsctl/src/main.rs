//! The operator's command line; everything is in the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    tmsctl::run()
}
