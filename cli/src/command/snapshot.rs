//! `snapshot`: writes one now.

use std::ops::ControlFlow;

use clap::Args;
use serde_json::json;

use crate::{context::Context, failure::Result, progress::Progress, store, text};

/// Arguments of `foldb snapshot`.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {}

/// `foldb snapshot`
pub(crate) fn run(_: &SnapshotArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_existing()?;
    let bar = Progress::new("snapshot", Some(0));
    let info = store.snapshot_with(&mut |done, total| {
        bar.show(&foldb::Progress { phase: "snapshot", done, total });
        ControlFlow::Continue(())
    })?;
    drop(bar);
    store::close(store)?;
    let record = json!({ "generation": info.generation, "seq": info.seq, "bytes": info.bytes });
    context.output.answer(
        &record,
        format_args!("wrote snapshot {} of seq {}: {}", info.generation, info.seq, text::size(info.bytes)),
    )
}
