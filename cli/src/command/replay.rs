//! `replay`: the history of a run, folded again from the log and from nothing else.

use clap::Args;
use foldb::Store;
use serde::Serialize;

use crate::{
    context::Context,
    failure::{Failure, Result},
    option,
    report::Contents,
    store, text,
};

/// Arguments of `foldb replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The run, by id, by the beginning of its id, or by name; without it, the default space
    run: Option<String>,
    /// Only up to the commit with this seq
    #[arg(long, value_name = "SEQ", requires = "run", value_parser = option::whole, allow_negative_numbers = true)]
    at: Option<u64>,
}

/// What a replay comes to.
#[derive(Debug, Serialize)]
struct Replayed {
    /// The run's id; `None` for the default space.
    run: Option<String>,
    transactions: u64,
    #[serde(flatten)]
    contents: Contents,
    digest: String,
    /// Whether the live state has the same content; `None` where a part of the history was replayed.
    equals_live: Option<bool>,
}

/// `foldb replay`
pub(crate) fn run(args: &ReplayArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let replayed = replay(args, &store)?;
    let contents = replayed.contents;
    if context.output.is_json() {
        context.output.record(&replayed)?;
    } else {
        context.output.fields(&[
            ("run", replayed.run.clone().unwrap_or_else(|| String::from("default space"))),
            ("transactions", text::count(replayed.transactions)),
            ("pairs", text::count(contents.pairs)),
            ("documents", text::count(contents.documents)),
            (
                "events",
                format!("{} in {}", text::count(contents.events), text::counted(contents.streams, "stream", "streams")),
            ),
            ("cells", text::count(contents.cells)),
            ("trace entries", text::count(contents.trace_entries)),
            ("digest", replayed.digest.clone()),
            (
                "live state",
                String::from(match replayed.equals_live {
                    Some(true) => "equal",
                    Some(false) => "different: `foldb verify` says where",
                    None => "not compared: only a part of the history was replayed",
                }),
            ),
        ])?;
    }
    if replayed.equals_live == Some(false) { Err(Failure::Negative) } else { Ok(()) }
}

fn replay(args: &ReplayArgs, store: &Store) -> Result<Replayed> {
    let id = args.run.as_deref().map(|run| store::find_run(store, run)).transpose()?.map(|run| run.id);
    let replay = match (id, args.at) {
        (None, _) => store.replay_default()?,
        (Some(id), None) => store.replay(id)?,
        (Some(id), Some(seq)) => store.replay_at(id, seq)?,
    };
    let digest = replay.digest()?;
    let view = store.view();
    let live = match id {
        None => view.default_space().digest()?,
        Some(id) => view.run(id)?.digest()?,
    };
    Ok(Replayed {
        run: id.map(|id| id.to_string()),
        transactions: replay.transactions(),
        contents: Contents::of(&replay.space())?,
        digest: digest.to_string(),
        equals_live: args.at.is_none().then_some(live == digest),
    })
}
