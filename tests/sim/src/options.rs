//! What a run is: everything that happens in it follows from these.

use std::{collections::BTreeSet, fmt, str::FromStr};

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Everything random follows from it.
    pub seed: u64,
    /// How many terminals there are.
    pub terminals: u32,
    /// How long things go wrong, in minutes of virtual time. Then the faults stop.
    pub minutes: u32,
    /// Only this terminal of them is there; it does what it does among the others.
    pub only: Option<u32>,
    /// What goes wrong.
    pub faults: BTreeSet<Fault>,
    /// What people have done.
    pub work: BTreeSet<Work>,
    /// What is broken on purpose, to see that it is noticed.
    pub sabotage: Option<Sabotage>,
    /// Whether frames are kept with the trace, to be shown.
    pub keep_frames: bool,
}

impl Options {
    /// A run with every fault and every kind of work.
    #[must_use]
    pub fn new(seed: u64, terminals: u32, minutes: u32) -> Self {
        Self {
            seed,
            terminals,
            minutes,
            only: None,
            faults: Fault::ALL.iter().copied().collect(),
            work: Work::ALL.iter().copied().collect(),
            sabotage: None,
            keep_frames: false,
        }
    }

    /// The same run with something broken on purpose.
    #[must_use]
    pub fn broken(mut self, sabotage: Sabotage) -> Self {
        self.sabotage = Some(sabotage);
        self
    }

    /// What to type to see this run again.
    #[must_use]
    pub fn command(&self) -> String {
        let mut command = format!(
            "cargo run --release -p tms-sim -- --seed {} --terminals {} --hours {}",
            self.seed,
            self.terminals,
            f64::from(self.minutes) / 60.0
        );
        if let Some(only) = self.only {
            command += &format!(" --only {only}");
        }
        let without = names(Fault::ALL.iter().filter(|fault| !self.faults.contains(fault)));
        if !without.is_empty() {
            command += &format!(" --without {without}");
        }
        let without = names(Work::ALL.iter().filter(|work| !self.work.contains(work)));
        if !without.is_empty() {
            command += &format!(" --without-work {without}");
        }
        if let Some(sabotage) = self.sabotage {
            command += &format!(" --break {sabotage}");
        }
        command
    }
}

fn names(all: impl Iterator<Item = impl fmt::Display>) -> String {
    all.map(|name| name.to_string()).collect::<Vec<_>>().join(",")
}

/// An enumeration whose values have names on the command line.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$each])* $value,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// Its name on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().copied().find(|value| value.name() == text);
                found.ok_or_else(|| format!("there is no {text:?}; there are {}", names(Self::ALL.iter())))
            }
        }
    };
}

named! {
    /// What goes wrong.
    Fault {
        /// A frame is lost; under TLS the direction stands still.
        Lose = "lose",
        /// A frame comes late.
        Delay = "delay",
        /// A frame comes after later ones; under TLS the connection breaks.
        Reorder = "reorder",
        /// A frame comes twice; under TLS the connection breaks.
        Duplicate = "duplicate",
        /// A frame is cut; under TLS the connection breaks.
        Truncate = "truncate",
        /// A frame is changed; under TLS the connection breaks.
        Corrupt = "corrupt",
        /// One end says nothing more.
        HalfClose = "half-close",
        /// The connection breaks.
        Break = "break",
        /// A terminal cannot be reached, for minutes or hours.
        Partition = "partition",
        /// A terminal loses power in the middle of a write, or between two, with what was not safe.
        PowerCut = "power-cut",
        /// A terminal's storage refuses writes.
        FullDisk = "full-disk",
        /// The host dies and starts again on its store.
        HostCrash = "host-crash",
        /// Calls of the host's store fail, or succeed and are reported to have failed.
        Store = "store",
        /// A terminal's clock jumps, by minutes to years.
        TerminalClock = "terminal-clock",
        /// The host's clock jumps.
        HostClock = "host-clock",
        /// The host offers firmware that no terminal may run.
        LyingHost = "lying-host",
    }
}

named! {
    /// What people have done.
    Work {
        /// Parameters are set and unset.
        Parameters = "parameters",
        /// Firmware is assigned.
        Firmware = "firmware",
        /// A terminal is restarted.
        Reboot = "reboot",
        /// A credential is rotated.
        Rotation = "rotation",
        /// A log is collected.
        Logs = "logs",
        /// An open operation is cancelled.
        Cancel = "cancel",
        /// A command: lock, unlock, print a slip, show a message, self-test, another address and so on.
        Command = "command",
        /// A plan of several actions.
        Plan = "plan",
        /// Somebody at the terminal: sells, takes the paper out, starts an action of a plan.
        Hands = "hands",
        /// Somebody sells at the terminal, and settles the batch.
        Settle = "settle",
        /// Sets for all terminals are published: keys, applications, blocked cards, TMS parameters.
        Sets = "sets",
        /// Parts of the terminal break and are mended, and somebody guesses secrets: it raises alarms.
        Alarms = "alarms",
        /// New working keys are ordered.
        Keys = "keys",
    }
}

named! {
    /// What is broken on purpose. Each must be noticed by the invariant that guards against it.
    Sabotage {
        /// The host's store forgets operations that it had acknowledged.
        ForgetfulStore = "forgetful-store",
        /// A terminal's storage goes back to an older state when the power goes.
        ForgetfulTerminal = "forgetful-terminal",
        /// Effects happen twice.
        TwoEffects = "two-effects",
        /// Terminals say that they did what they did not do.
        NoEffect = "no-effect",
        /// Terminals trust a key that is not the estate's.
        StrangersKey = "strangers-key",
        /// A slot changes after its image was verified.
        RottenSlot = "rotten-slot",
        /// The host forgets which credential is in force.
        ForgottenCredential = "forgotten-credential",
        /// Desired state changes without an operation.
        SilentChange = "silent-change",
        /// An operation that has ended is opened again.
        Reopened = "reopened",
        /// An operation is for a terminal that nobody has seen.
        StuckOperation = "stuck-operation",
        /// A power cut damages a terminal's state.
        DamagedState = "damaged-state",
        /// Terminals may say next to nothing, and say more.
        Chatter = "chatter",
        /// A session panics.
        Panic = "panic",
        /// A link holds more than it may.
        Hoard = "hoard",
        /// The host's ledger loses a sale.
        LostSale = "lost-sale",
        /// The sales of a batch are counted in the next one, too.
        SettledTwice = "settled-twice",
        /// The host gives out half of a set.
        HalfSet = "half-set",
        /// A set changes and nobody is told.
        SilentSet = "silent-set",
        /// The host forgets alarms that it had acknowledged.
        ForgottenAlarms = "forgotten-alarms",
        /// Terminals make MACs under other keys than the host has.
        OtherKeys = "other-keys",
        /// The host forgets how actions of plans ended.
        UnheardAction = "unheard-action",
        /// Actions of plans run that nobody asked for.
        UnaskedAction = "unasked-action",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_a_wrong_one_is_told_the_right_ones() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(*fault));
        }
        for work in Work::ALL {
            assert_eq!(work.name().parse(), Ok(*work));
        }
        let error = "rain".parse::<Fault>().unwrap_err();
        assert!(error.contains("lying-host"), "{error}");
    }

    #[test]
    fn the_command_of_a_run_names_what_is_not_as_usual() {
        let mut options = Options::new(7, 3, 90);
        assert_eq!(options.command(), "cargo run --release -p tms-sim -- --seed 7 --terminals 3 --hours 1.5");
        options.only = Some(2);
        options.faults.remove(&Fault::Break);
        assert!(options.command().ends_with("--only 2 --without break"), "{}", options.command());
    }
}
