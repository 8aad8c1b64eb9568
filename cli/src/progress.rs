//! Progress of long work, for a person who watches.
//!
//! Invariant: nothing is drawn unless standard error is a terminal, so logs and pipes stay clean.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar, a counter when the end is not known, or nothing.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Progress in units of `what` (as in "records") towards `total`, or just upwards.
    pub(crate) fn new(what: &str, total: Option<u64>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = match total {
            Some(_) => "{msg:>12} {bar:32} {human_pos}/{human_len} ({per_sec}, {eta} left)",
            None => "{msg:>12} {spinner} {human_pos} ({per_sec})",
        };
        // The templates are constants: if one were malformed, the plain style would be shown.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(String::from(what));
        Self { bar }
    }

    /// Progress in bytes of work in several phases: see [`Progress::show`].
    pub(crate) fn bytes(what: &str) -> Self {
        let progress = Self::new(what, Some(0));
        let template = "{msg:>12} {bar:32} {bytes}/{total_bytes} ({bytes_per_sec}, {eta} left)";
        if let Ok(style) = ProgressStyle::with_template(template) {
            progress.bar.set_style(style);
        }
        progress
    }

    /// Sets how much is done.
    pub(crate) fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Shows what the store says about its own long work.
    pub(crate) fn show(&self, progress: &foldb::Progress) {
        if self.bar.message() != progress.phase {
            self.bar.set_message(progress.phase);
        }
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.done);
    }
}

impl Drop for Progress {
    /// The bar goes away: what it stood for is told in the result.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
