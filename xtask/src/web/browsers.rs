//! The browsers and their drivers.
//!
//! Invariant: nothing is installed but by root on Debian, from Debian's own packages. Everywhere else the error says what
//! to install.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use super::find;
use crate::tools::run;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Browser {
    Chromium,
    Firefox,
}

const CHROMIUM: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const CHROMEDRIVER: [&str; 1] = ["chromedriver"];
const FIREFOX: [&str; 2] = ["firefox", "firefox-esr"];

/// What must be on the search path, and the package of Debian that brings it.
const NEEDED: [(&[&str], &str); 3] =
    [(&CHROMIUM, "chromium"), (&CHROMEDRIVER, "chromium-driver"), (&FIREFOX, "firefox-esr")];

/// Another program that drives Firefox, for who has one and no Node in the place that the script names.
const GECKODRIVER_VARIABLE: &str = "GECKODRIVER";

impl Browser {
    /// The variable by which the test runner knows it, and the program that drives it.
    pub(super) fn driver(self, root: &Path) -> Result<(&'static str, PathBuf), String> {
        match self {
            Browser::Chromium => {
                let driver = find(&CHROMEDRIVER).ok_or_else(|| advice(&["chromium-driver"]))?;
                Ok(("CHROMEDRIVER", driver))
            }
            // No package of Debian has geckodriver, and building it takes longer than most steps.
            Browser::Firefox => {
                let ours = || root.join("xtask/src/web/firefox-driver.mjs");
                Ok((GECKODRIVER_VARIABLE, env::var_os(GECKODRIVER_VARIABLE).map_or_else(ours, PathBuf::from)))
            }
        }
    }
}

/// Installs the browsers that are missing, where that is ours to do.
pub(super) fn install() -> Result<(), String> {
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(programs, _)| find(programs).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || find(&["apt-get"]).is_none() {
        return Err(advice(&missing));
    }
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(&missing);
    run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn advice(packages: &[&str]) -> String {
    format!(
        "the tests in browsers need Chromium with its chromedriver, and Firefox, on the search path; on Debian: \
         sudo apt-get install {}",
        packages.join(" ")
    )
}

fn is_root() -> bool {
    // Without unsafe code of ours; where there is no such program there is no apt-get either.
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == "0")
}
