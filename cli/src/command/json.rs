//! `json`: documents, whole or at a path.

use clap::{Args, Subcommand};
use foldb::primitive::{DocumentEntry, ScanOptions};
use serde_json::{Value, json};

use crate::{
    context::{Context, InRun},
    failure::{Failure, Result},
    output::{Column, Listing},
    page::{self, PageArgs},
    store::{self, on_space},
    text, value,
};

/// Arguments of `foldb json`.
#[derive(Debug, Args)]
pub(crate) struct JsonArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a document, or what is at a path in it
    Get {
        /// The document's key
        key: String,
        /// A JSON Pointer (/a/b/0) or a path ($.a.b[0])
        #[arg(long)]
        path: Option<String>,
        #[command(flatten)]
        space: InRun,
    },
    /// Set a document, or what is at a path in it
    Set {
        /// The document's key
        key: String,
        /// JSON; `-` reads standard input, `@FILE` a file
        #[arg(value_name = "JSON", allow_hyphen_values = true)]
        document: String,
        /// A JSON Pointer (/a/b/0) or a path ($.a.b[0])
        #[arg(long)]
        path: Option<String>,
        #[command(flatten)]
        space: InRun,
    },
    /// Delete a document, or what is at a path in it
    Delete {
        /// The document's key
        key: String,
        /// A JSON Pointer (/a/b/0) or a path ($.a.b[0])
        #[arg(long)]
        path: Option<String>,
        #[command(flatten)]
        space: InRun,
    },
    /// List documents in order of their keys
    List {
        /// Only keys that begin like this
        prefix: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        space: InRun,
    },
    /// Apply a JSON Merge Patch (RFC 7396) to a document
    Merge {
        /// The document's key
        key: String,
        /// JSON; `-` reads standard input, `@FILE` a file
        #[arg(allow_hyphen_values = true)]
        patch: String,
        /// Merge at this path: a JSON Pointer (/a/b/0) or a path ($.a.b[0])
        #[arg(long)]
        path: Option<String>,
        #[command(flatten)]
        space: InRun,
    },
    /// Apply a JSON Patch (RFC 6902) to a document: all of it or nothing
    Patch {
        /// The document's key
        key: String,
        /// JSON; `-` reads standard input, `@FILE` a file
        #[arg(allow_hyphen_values = true)]
        operations: String,
        #[command(flatten)]
        space: InRun,
    },
}

/// `foldb json`
pub(crate) fn run(args: &JsonArgs, context: &mut Context) -> Result<()> {
    match &args.action {
        Action::Get { key, path, space } => get(key, path.as_deref(), space, context),
        Action::Set { key, document, path, space } => set(key, document, path.as_deref(), space, context),
        Action::Delete { key, path, space } => delete(key, path.as_deref(), space, context),
        Action::List { prefix, page, space } => list(prefix.as_deref().unwrap_or_default(), page, space, context),
        Action::Merge { key, patch, path, space } => merge(key, patch, path.as_deref(), space, context),
        Action::Patch { key, operations, space } => patch(key, operations, space, context),
    }
}

fn get(key: &str, path: Option<&str>, space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let run = space.run.as_deref();
    let space = store::space(&store, run)?;
    let found: Option<Value> = match path {
        None => on_space!(&space, json, |documents| documents.get(key))?,
        Some(path) => there(on_space!(&space, json, |documents| documents.get_at(key, path)))?,
    };
    let found = found.ok_or_else(|| {
        let hint = || store::elsewhere(&store, run, "document", |space| space.json().exists(key));
        store::advise(absent(key, path), if path.is_none() { hint() } else { None })
    })?;
    if context.output.is_json() {
        return context.output.record(&json!({ "key": key, "value": found }));
    }
    context.output.line(format_args!("{found:#}"))
}

fn set(key: &str, document: &str, path: Option<&str>, space: &InRun, context: &mut Context) -> Result<()> {
    let new = value::json_argument("JSON", document)?;
    let store = context.store.open_to_write(space.run.as_deref())?;
    let space = store::space(&store, space.run.as_deref())?;
    match path {
        None => on_space!(&space, json, |documents| documents.set(key, &new).map(drop))?,
        Some(path) => on_space!(&space, json, |documents| documents.set_at(key, path, &new).map(drop))?,
    }
    store::close(store)?;
    context.output.answer(&json!({ "key": key, "set": true }), format_args!("set {}", shown(key, path)))
}

fn delete(key: &str, path: Option<&str>, space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_existing()?;
    let space = store::space(&store, space.run.as_deref())?;
    let was_there = match path {
        None => on_space!(&space, json, |documents| documents.delete(key))?,
        Some(path) => there(on_space!(&space, json, |documents| documents.delete_at(key, path)))?.is_some(),
    };
    store::close(store)?;
    if !was_there {
        return Err(absent(key, path));
    }
    context.output.answer(&json!({ "key": key, "deleted": true }), format_args!("deleted {}", shown(key, path)))
}

fn list(prefix: &str, page_args: &PageArgs, space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let space = store::space(&store, space.run.as_deref())?;
    let mut listing = Listing::new(&[Column::Left("key"), Column::Left("document")]);
    let options = page_args.of(ScanOptions::prefix(prefix))?;
    on_space!(&space, json, |documents| for entry in documents.iter(&options) {
        let DocumentEntry { key, document, .. } = entry?;
        let record = json!({ "key": value::key_to_json(&key), "value": document });
        listing.push_at(&mut context.output, page::key_cursor(&key), record, || {
            vec![text::bytes(&key), text::shortened(&document.to_string(), text::VALUE_WIDTH)]
        })?;
    });
    listing.finish_page(&mut context.output, "no documents", page_args.limit)
}

fn merge(key: &str, patch: &str, path: Option<&str>, space: &InRun, context: &mut Context) -> Result<()> {
    let patch = value::json_argument("PATCH", patch)?;
    let store = context.store.open_existing()?;
    let space = store::space(&store, space.run.as_deref())?;
    on_space!(&space, json, |documents| documents.merge_at(key, path.unwrap_or_default(), &patch))?;
    store::close(store)?;
    context.output.answer(&json!({ "key": key, "merged": true }), format_args!("merged into {}", shown(key, path)))
}

fn patch(key: &str, operations: &str, space: &InRun, context: &mut Context) -> Result<()> {
    let operations = value::json_argument("OPERATIONS", operations)?;
    let store = context.store.open_existing()?;
    let space = store::space(&store, space.run.as_deref())?;
    on_space!(&space, json, |documents| documents.patch(key, &operations))?;
    store::close(store)?;
    context.output.answer(&json!({ "key": key, "patched": true }), format_args!("patched {key}"))
}

/// A document that is not there has nothing at any path: an answer, not an error.
fn there(result: foldb::Result<Option<Value>>) -> foldb::Result<Option<Value>> {
    match result {
        Err(foldb::Error::NotFound { .. }) => Ok(None),
        other => other,
    }
}

fn absent(key: &str, path: Option<&str>) -> Failure {
    match path {
        None => Failure::absent(format!("there is no document {key:?}")),
        Some(path) => Failure::absent(format!("there is nothing at {path} in document {key:?}")),
    }
}

fn shown(key: &str, path: Option<&str>) -> String {
    path.map_or_else(|| key.to_owned(), |path| format!("{key} at {path}"))
}
