//! Progress bars on a terminal, one line a step elsewhere. All of it goes to standard error.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// All steps of a demo.
#[derive(Debug)]
pub(super) struct Progress {
    bars: MultiProgress,
}

/// One step.
#[derive(Debug)]
pub(super) struct Step {
    bars: MultiProgress,
    bar: ProgressBar,
    name: &'static str,
    began: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()) }
    }

    /// Begins a step whose length is told later, or never.
    pub(super) fn step(&self, name: &'static str, what: &str) -> Step {
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {prefix:<13} {spinner} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name);
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Step { bars: self.bars.clone(), bar, name, began: Instant::now() }
    }

    pub(super) fn finish(&self) {
        // A terminal that went away need not be drawn on.
        let _ = self.bars.clear();
    }
}

impl Step {
    /// Says how many things the step consists of.
    pub(super) fn length(&self, length: u64) {
        self.bar.set_length(length);
        let template = "  {prefix:<13} [{bar:30}] {pos}/{len} {elapsed} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_message("");
    }

    pub(super) fn advance(&self) {
        self.bar.inc(1);
    }

    pub(super) fn position(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// Says something beside the bar.
    pub(super) fn note(&self, note: String) {
        self.bar.set_message(note);
    }

    /// Ends the step with a line that stays.
    pub(super) fn done(self, result: String) {
        self.bar.finish_and_clear();
        let line = format!("  {:<13} {result}  ({:.1} s)", self.name, self.began.elapsed().as_secs_f64());
        if self.bars.is_hidden() {
            eprintln!("{line}");
        } else {
            // As above.
            let _ = self.bars.println(line);
        }
    }
}
