//! `get`, `put`, `delete`, `scan`: keys and values.

use std::ops::Bound;

use clap::Args;
use foldb::{
    KeyRange,
    primitive::{Pair, ScanOptions},
    value::Value,
};
use serde_json::json;

use crate::{
    context::{Context, InRun},
    failure::{Failure, Result},
    input,
    output::{Column, Listing},
    page::{self, PageArgs},
    store::{self, on_space},
    text, value,
};

/// A key on the command line.
#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The key
    key: String,
    /// KEY is hexadecimal digits, for keys that are not text
    #[arg(long)]
    hex_key: bool,
}

/// Arguments of `foldb get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    space: InRun,
}

/// Arguments of `foldb put`.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    key: Key,
    /// The value; `-` reads it from standard input, as text if it is UTF-8, else as bytes
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// VALUE is JSON rather than text
    #[arg(long)]
    json_value: bool,
    /// Refuse to replace a value that is there
    #[arg(long)]
    if_absent: bool,
    #[command(flatten)]
    space: InRun,
}

/// Arguments of `foldb delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    space: InRun,
}

/// Arguments of `foldb scan`.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Only keys that begin like this
    prefix: Option<String>,
    /// Only keys from this one on
    #[arg(long, value_name = "KEY", conflicts_with = "prefix")]
    from: Option<String>,
    /// Only keys before this one
    #[arg(long, value_name = "KEY", conflicts_with = "prefix")]
    to: Option<String>,
    /// From the last key to the first
    #[arg(long)]
    reverse: bool,
    #[command(flatten)]
    page: PageArgs,
    /// Only how many there are
    #[arg(long, conflicts_with_all = ["limit", "after", "reverse"])]
    count: bool,
    #[command(flatten)]
    space: InRun,
}

impl Key {
    fn bytes(&self) -> Result<Vec<u8>> {
        text::key(&self.key, self.hex_key)
    }
}

/// `foldb get`
pub(crate) fn get(args: &GetArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let space = store::space(&store, args.space.run.as_deref())?;
    let key = args.key.bytes()?;
    let found: Option<Value> = on_space!(&space, kv, |kv| kv.get(&key))?;
    let found = found.ok_or_else(|| {
        let hint = store::elsewhere(&store, args.space.run.as_deref(), "key", |space| space.kv().exists(&key));
        store::advise(absent(&key), hint)
    })?;
    let record = json!({ "key": value::key_to_json(&key), "value": value::to_json(&found) });
    context.output.answer(&record, value::to_text(&found))
}

/// `foldb put`
pub(crate) fn put(args: &PutArgs, context: &mut Context) -> Result<()> {
    let key = args.key.bytes()?;
    let new = new_value(args)?;
    let store = context.store.open_to_write(args.space.run.as_deref())?;
    let space = store::space(&store, args.space.run.as_deref())?;
    if args.if_absent {
        on_space!(&space, kv, |kv| kv.put_if_absent(&key, &new))?;
    } else {
        on_space!(&space, kv, |kv| kv.put(&key, &new))?;
    }
    store::close(store)?;
    context
        .output
        .answer(&json!({ "key": value::key_to_json(&key), "put": true }), format_args!("put {}", text::bytes(&key)))
}

/// `foldb delete`
pub(crate) fn delete(args: &DeleteArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_existing()?;
    let space = store::space(&store, args.space.run.as_deref())?;
    let key = args.key.bytes()?;
    let was_there: bool = on_space!(&space, kv, |kv| kv.delete(&key))?;
    store::close(store)?;
    if !was_there {
        return Err(absent(&key));
    }
    let record = json!({ "key": value::key_to_json(&key), "deleted": true });
    context.output.answer(&record, format_args!("deleted {}", text::bytes(&key)))
}

/// `foldb scan`
pub(crate) fn scan(args: &ScanArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let space = store::space(&store, args.space.run.as_deref())?;
    let range = range(args)?;
    if args.count {
        let count: u64 = on_space!(&space, kv, |kv| kv.count(&range))?;
        return context.output.answer(&json!({ "count": count }), count);
    }
    let mut listing = Listing::new(&[Column::Left("key"), Column::Left("value")]);
    let options = args.page.of(ScanOptions::range(range))?;
    let options = if args.reverse { options.reverse() } else { options };
    on_space!(&space, kv, |kv| for pair in kv.iter::<Value>(&options) {
        let Pair { key, value: found, .. } = pair?;
        let record = json!({ "key": value::key_to_json(&key), "value": value::to_json(&found) });
        listing.push_at(&mut context.output, page::key_cursor(&key), record, || {
            vec![text::bytes(&key), text::shortened(&value::to_text(&found), text::VALUE_WIDTH)]
        })?;
    });
    listing.finish_page(&mut context.output, "no keys", args.page.limit)
}

fn range(args: &ScanArgs) -> Result<KeyRange> {
    if let Some(prefix) = &args.prefix {
        return Ok(KeyRange::prefix(prefix.as_bytes()));
    }
    if let (Some(from), Some(to)) = (&args.from, &args.to)
        && from > to
    {
        return Err(Failure::usage(format!("--from {from:?} is behind --to {to:?}: nothing lies between")));
    }
    let key = |text: &String| text.clone().into_bytes();
    let start = args.from.as_ref().map_or(Bound::Unbounded, |from| Bound::Included(key(from)));
    let end = args.to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(key(to)));
    Ok(KeyRange::new(start, end))
}

/// The value to put: the argument, or standard input as text if it is UTF-8, else as bytes.
fn new_value(args: &PutArgs) -> Result<Value> {
    if args.value != "-" {
        return value::parse("VALUE", &args.value, args.json_value);
    }
    if args.json_value {
        return value::from_argument("VALUE", &args.value);
    }
    Ok(match String::from_utf8(input::standard_input()?) {
        Ok(text) => Value::Text(text),
        Err(not_text) => Value::Bytes(not_text.into_bytes()),
    })
}

fn absent(key: &[u8]) -> Failure {
    Failure::absent(format!("there is nothing under key {:?}", text::bytes(key)))
}
