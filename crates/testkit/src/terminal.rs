//! An enrolled terminal: its folder, to be run by a simulated terminal or shown by a [`Wire`](crate::Wire).

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use tms_core::TerminalId;
use tms_proto::Profile;
use tms_server::enrol::Enrolled;
use tms_terminal::Scenario;

use crate::Certificate;

/// Which protocol a terminal speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// UnionPay POS: the terminal asks.
    UnionPay,
    /// ISO 8583:1987: the host pushes.
    Iso87,
}

impl Speaks {
    /// Both.
    pub const ALL: [Self; 2] = [Self::UnionPay, Self::Iso87];

    /// The profile's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnionPay => "unionpay",
            Self::Iso87 => "iso87",
        }
    }

    /// The profile.
    #[must_use]
    pub fn profile(self) -> Arc<Profile> {
        Arc::new(Profile::builtin(self.name()).unwrap())
    }

    /// Place of its listener in the configuration.
    pub(crate) fn listener(self) -> usize {
        match self {
            Self::UnionPay => 0,
            Self::Iso87 => 1,
        }
    }
}

/// A terminal that was enrolled.
#[derive(Debug)]
pub struct Terminal {
    /// Its number.
    pub id: TerminalId,
    /// Its protocol.
    pub speaks: Speaks,
    /// Its folder, as enrolment made it.
    pub folder: PathBuf,
    secrets: Vec<(String, String)>,
}

impl Terminal {
    pub(crate) fn new(id: TerminalId, speaks: Speaks, enrolled: Enrolled) -> Self {
        let secrets = enrolled
            .credentials
            .iter()
            .map(|(role, secret)| (role.to_string(), secret.as_str().to_owned()))
            .collect();
        Self { id, speaks, folder: enrolled.folder, secrets }
    }

    /// What was typed for a role when the terminal was delivered.
    #[must_use]
    pub fn delivered_secret(&self, role: &str) -> &str {
        &self.secrets.iter().find(|(known, _)| known == role).unwrap().1
    }

    /// The certificate that it was enrolled with.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        Certificate::load(&self.folder.join("terminal.pem"), &self.folder.join("terminal.key"))
    }

    /// Has it show another certificate from its next start on.
    pub fn show(&self, certificate: &Certificate) {
        certificate.replace(&self.folder.join("terminal.pem"), &self.folder.join("terminal.key"));
    }

    /// What a simulated terminal of it is, with habits for the impatient.
    #[must_use]
    pub fn scenario(&self) -> Scenario {
        let mut scenario = Scenario::load(&self.folder.join("terminal.toml")).unwrap();
        scenario.behaviour.poll_interval_ms = 50;
        scenario.behaviour.reconnect_min_ms = 10;
        scenario.behaviour.reconnect_max_ms = 200;
        scenario.hardware.boot_delay_ms = 10;
        scenario.behaviour.log_interval_ms = 0;
        scenario
    }

    /// The same, with its host at another address.
    #[must_use]
    pub fn scenario_at(&self, address: SocketAddr) -> Scenario {
        let mut scenario = self.scenario();
        scenario.host.address = address.to_string();
        scenario
    }
}
