//! [`ImagePath`]: the name of an image.
//!
//! Invariant: the same path names the same image for ever, whoever looks and whatever was looked at before.

use std::{fmt, str::FromStr};

/// In the place of the number of an image: no power failed.
pub(super) const KILLED: u64 = u64::MAX;

/// How it comes to an image: the crash after so many operations of the workload and the number of the image there, then
/// the same for the crash of its recovery, and for that of the recovery from that. Written `17.203/4.9`; `17.killed` where the
/// process alone died, and the page cache lives on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePath {
    crashes: Vec<(usize, u64)>,
}

impl ImagePath {
    pub(super) fn new(crashes: &[(usize, u64)]) -> Self {
        Self { crashes: crashes.to_vec() }
    }

    /// The crash at a depth: 0 for that of the workload.
    pub(super) fn crash(&self, depth: usize) -> Option<usize> {
        self.crashes.get(depth).map(|(operations, _)| *operations)
    }

    /// The number of the image at a depth.
    pub(super) fn image(&self, depth: usize) -> Option<u64> {
        self.crashes.get(depth).map(|(_, image)| *image)
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, (operations, image)) in self.crashes.iter().enumerate() {
            write!(f, "{}{operations}.", if depth == 0 { "" } else { "/" })?;
            match *image {
                KILLED => f.write_str("killed")?,
                image => write!(f, "{image}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for ImagePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let crash = |part: &str| {
            let (operations, image) = part.split_once('.')?;
            let image = if image == "killed" { KILLED } else { image.parse().ok()? };
            Some((operations.parse().ok()?, image))
        };
        let crashes: Option<Vec<_>> = text.split('/').map(crash).collect();
        crashes.map(|crashes| Self { crashes }).ok_or_else(|| format!("{text} is no image; one looks like 17.203/4.9"))
    }
}
