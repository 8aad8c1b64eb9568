//! `runs`: what runs there are, and their life: begin, end, fail, cancel, resume.

use clap::{Args, Subcommand, ValueEnum};
use foldb::{Run, RunFilter, RunInfo, RunOptions, RunStatus};
use serde_json::json;

use crate::{
    context::Context,
    failure::Result,
    output::{Column, Listing},
    page::PageArgs,
    store, text, value,
};

/// Arguments of `foldb runs`.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    filter: Filter,
}

/// Which runs are listed.
#[derive(Debug, Args)]
struct Filter {
    /// Only runs that stand like this
    #[arg(long)]
    status: Option<StatusArg>,
    /// Only runs of this name
    #[arg(long)]
    name: Option<String>,
    /// Only runs with this label
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatusArg {
    Active,
    Orphaned,
    Completed,
    Failed,
    Cancelled,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Begin a run and print its id
    Begin {
        /// Its name
        name: String,
        /// A label to find it by
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        /// The run that it belongs to
        #[arg(long, value_name = "RUN")]
        parent: Option<String>,
    },
    /// Show all that is known of a run
    Show {
        /// Id, beginning of the id, or name
        run: String,
    },
    /// End a run as completed
    End {
        /// Id, beginning of the id, or name
        run: String,
    },
    /// End a run as failed
    Fail {
        /// Id, beginning of the id, or name
        run: String,
        /// What went wrong
        message: String,
    },
    /// End a run as cancelled
    Cancel {
        /// Id, beginning of the id, or name
        run: String,
        /// Why
        #[arg(default_value = "cancelled by hand")]
        message: String,
    },
    /// Make a run writable again that was interrupted or has ended
    Resume {
        /// Id, beginning of the id, or name
        run: String,
    },
}

/// `foldb runs`
pub(crate) fn run(args: &RunsArgs, context: &mut Context) -> Result<()> {
    match &args.action {
        None => list(&args.filter, context),
        Some(Action::Begin { name, labels, parent }) => begin(name, labels, parent.as_deref(), context),
        Some(Action::Show { run }) => show(run, context),
        Some(Action::End { run }) => change(run, context, |run| run.end().map(drop)),
        Some(Action::Fail { run, message }) => change(run, context, |run| run.fail(message).map(drop)),
        Some(Action::Cancel { run, message }) => change(run, context, |run| run.cancel(message).map(drop)),
        Some(Action::Resume { run }) => change(run, context, |run| run.resume().map(drop)),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label has the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn list(filter: &Filter, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let mut wanted = filter.wanted();
    if let Some(number) = filter.page.after_as("a run")? {
        wanted = wanted.after(number);
    }
    let runs = store.runs().list(&wanted)?;
    let mut listing = Listing::new(&[
        Column::Left("id"),
        Column::Left("name"),
        Column::Left("status"),
        Column::Left("began"),
        Column::Right("commits"),
        Column::Left("message"),
    ]);
    for run in &runs {
        listing.push_at(&mut context.output, run.number.to_string(), record(run), || {
            vec![
                run.id.to_string(),
                text::shortened(&run.name, 40),
                run.status.name().to_owned(),
                text::time(run.began_micros),
                text::count(run.commits),
                text::shortened(run.message.as_deref().unwrap_or_default(), 60),
            ]
        })?;
    }
    listing.finish_page(&mut context.output, "no runs", filter.page.limit)
}

impl Filter {
    fn wanted(&self) -> RunFilter {
        let mut wanted = RunFilter::all().newest_first();
        if let Some(status) = self.status {
            wanted = wanted.status(status.status());
        }
        if let Some(name) = &self.name {
            wanted = wanted.name(name);
        }
        if let Some(limit) = self.page.limit {
            wanted = wanted.limit(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        self.labels.iter().fold(wanted, |wanted, (key, value)| wanted.label(key, value))
    }
}

impl StatusArg {
    fn status(self) -> RunStatus {
        match self {
            StatusArg::Active => RunStatus::Active,
            StatusArg::Orphaned => RunStatus::Orphaned,
            StatusArg::Completed => RunStatus::Completed,
            StatusArg::Failed => RunStatus::Failed,
            StatusArg::Cancelled => RunStatus::Cancelled,
        }
    }
}

fn begin(name: &str, labels: &[(String, String)], parent: Option<&str>, context: &mut Context) -> Result<()> {
    let store = context.store.open_or_create()?;
    let mut options = RunOptions::named(name);
    for (key, value) in labels {
        options = options.label(key, value);
    }
    if let Some(parent) = parent {
        options = options.parent(store::find_run(&store, parent)?.id);
    }
    let id = store.runs().begin(options)?.id();
    store::close(store)?;
    context.output.answer(&json!({ "id": id.to_string(), "name": name }), id)
}

fn show(run: &str, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let run = store::find_run(&store, run)?;
    if context.output.is_json() {
        return context.output.record(&record(&run));
    }
    let labels: Vec<String> = run.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut fields = vec![
        ("id", run.id.to_string()),
        ("name", run.name.clone()),
        ("status", run.status.name().to_owned()),
        ("began", text::time(run.began_micros)),
        ("ended", run.ended_micros.map(text::time).unwrap_or_default()),
        ("message", run.message.clone().unwrap_or_default()),
        ("resumed", text::counted(u64::from(run.resumed), "time", "times")),
        ("parent", run.parent.map(|parent| parent.to_string()).unwrap_or_default()),
        ("labels", labels.join(" ")),
        ("metadata", value::to_text(&run.metadata)),
        ("commits", format!("{}, seq {} to {}", text::count(run.commits), run.first_seq, run.last_seq)),
    ];
    fields.retain(|(_, value)| !value.is_empty());
    context.output.fields(&fields)
}

/// Changes how a run stands, and shows how it stands then.
fn change(run: &str, context: &mut Context, change: impl FnOnce(&Run<'_>) -> foldb::Result<()>) -> Result<()> {
    let store = context.store.open_existing()?;
    let id = store::find_run(&store, run)?.id;
    let run = store.runs().get(id)?;
    change(&run)?;
    let info = run.info()?;
    store::close(store)?;
    context.output.answer(&record(&info), format_args!("{} is {}", info.id, info.status.name()))
}

/// All that is known of a run, for a program.
pub(crate) fn record(run: &RunInfo) -> serde_json::Value {
    json!({
        "id": run.id.to_string(),
        "number": run.number,
        "name": run.name,
        "status": run.status.name(),
        "parent": run.parent.map(|parent| parent.to_string()),
        "labels": run.labels,
        "metadata": value::to_json(&run.metadata),
        "began_micros": run.began_micros,
        "ended_micros": run.ended_micros,
        "message": run.message,
        "resumed": run.resumed,
        "first_seq": run.first_seq,
        "last_seq": run.last_seq,
        "commits": run.commits,
    })
}
