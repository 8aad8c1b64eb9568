//! Results: collected per row and engine, printed as aligned tables, written as JSON.

use std::{collections::BTreeMap, fs, hint::black_box, path::Path, process::Command, time::Instant};

use serde_json::{Value, json};

use crate::{engines::FOLDB, store::Peer};

/// What the numbers of a row are, and which direction is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds per operation; less is better.
    Nanoseconds,
    /// Operations per second; more is better.
    PerSecond,
    /// Bytes per key; less is better.
    Bytes,
    /// A plain factor; more is better.
    Factor,
}

/// One line of the table of requirements.
pub struct Row {
    /// The name for `--rows`.
    pub id: &'static str,
    pub title: &'static str,
    pub unit: Unit,
    /// The peer that is the floor of this row.
    pub floor: Option<&'static str>,
}

#[derive(Default)]
struct Cell {
    samples: Vec<f64>,
    note: Option<String>,
}

impl Cell {
    fn median(&self) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            length if length % 2 == 0 => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
            _ => Some(sorted[middle]),
        }
    }
}

/// All results of one invocation.
#[derive(Default)]
pub struct Report {
    cells: BTreeMap<(&'static str, &'static str), Cell>,
}

impl Report {
    /// Adds one repetition's figure.
    pub fn sample(&mut self, row: &'static str, peer: &'static str, figure: f64) {
        self.cells.entry((row, peer)).or_default().samples.push(figure);
    }

    /// Says something about a figure, or why there is none.
    pub fn note(&mut self, row: &'static str, peer: &'static str, note: String) {
        self.cells.entry((row, peer)).or_default().note = Some(note);
    }

    /// The median of the row so far.
    pub fn median(&self, row: &'static str, peer: &'static str) -> Option<f64> {
        self.cells.get(&(row, peer))?.median()
    }

    /// One row: engines from best to worst, with the factor to the floor and to foldb.
    pub fn print_row(&self, row: &Row, peers: &[Peer]) {
        let mut lines: Vec<(&str, &Cell)> =
            peers.iter().filter_map(|peer| Some((peer.name, self.cells.get(&(row.id, peer.name))?))).collect();
        if lines.is_empty() {
            return;
        }
        let less_is_better = matches!(row.unit, Unit::Nanoseconds | Unit::Bytes);
        let worst = if less_is_better { f64::INFINITY } else { f64::NEG_INFINITY };
        lines.sort_by(|a, b| {
            let (a, b) = (a.1.median().unwrap_or(worst), b.1.median().unwrap_or(worst));
            if less_is_better { a.total_cmp(&b) } else { b.total_cmp(&a) }
        });
        println!("\n{}  [{}]", row.title, row.id);
        println!("  {:<22} {:>11} {:>9} {:>9}  {:>11} .. {:<11}", "", "median", "x floor", "x foldb", "least", "most");
        for (name, cell) in lines {
            self.print_line(row, name, cell);
        }
    }

    fn print_line(&self, row: &Row, name: &str, cell: &Cell) {
        let note = cell.note.as_deref().map(|note| format!("  ({note})")).unwrap_or_default();
        let Some(median) = cell.median() else {
            println!("  {name:<22} {:>11}{note}", "-");
            return;
        };
        let factor = |to: Option<&'static str>| {
            let base = to.and_then(|to| self.median(row.id, to));
            base.filter(|base| *base > 0.0).map_or(String::from("-"), |base| format!("{:.2}", median / base))
        };
        let least = cell.samples.iter().copied().fold(f64::INFINITY, f64::min);
        let most = cell.samples.iter().copied().fold(0.0, f64::max);
        println!(
            "  {name:<22} {:>11} {:>9} {:>9}  {:>11} .. {:<11}{note}",
            show(row.unit, median),
            factor(row.floor),
            factor(Some(FOLDB)),
            show(row.unit, least),
            show(row.unit, most),
        );
    }

    /// The whole table, one line per row, as Markdown that is also aligned for a terminal.
    pub fn print_summary(&self, rows: &[Row], peers: &[Peer]) {
        let peers: Vec<&Peer> = peers.iter().filter(|peer| self.cells.keys().any(|key| key.1 == peer.name)).collect();
        let mut table = vec![vec![String::from("work")]];
        table[0].extend(peers.iter().map(|peer| peer.name.into()));
        for row in rows.iter().filter(|row| self.cells.keys().any(|key| key.0 == row.id)) {
            let mut line = vec![row.title.into()];
            line.extend(
                peers.iter().map(|peer| {
                    self.median(row.id, peer.name).map_or(String::from("-"), |median| show(row.unit, median))
                }),
            );
            table.push(line);
        }
        let width =
            |column: usize| table.iter().map(|line: &Vec<String>| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..=peers.len()).map(width).collect();
        println!();
        for (number, line) in table.iter().enumerate() {
            let cells = line.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                0 => format!(" {cell:<width$} |"),
                _ => format!(" {cell:>width$} |"),
            });
            println!("|{}", cells.collect::<String>());
            if number == 0 {
                let rules = widths.iter().enumerate();
                let rules = rules.map(|(column, width)| match column {
                    0 => format!("{}|", "-".repeat(width + 2)),
                    _ => format!("{}:|", "-".repeat(width + 1)),
                });
                println!("|{}", rules.collect::<String>());
            }
        }
    }

    /// Everything, with every repetition's figure.
    pub fn write_json(&self, path: &Path, setup: Value, rows: &[Row], peers: &[Peer]) -> anyhow::Result<()> {
        let engines =
            peers.iter().map(|peer| json!({ "name": peer.name, "version": peer.version, "about": peer.about }));
        let rows = rows.iter().map(|row| {
            let results = peers.iter().filter_map(|peer| {
                let cell = self.cells.get(&(row.id, peer.name))?;
                let factor = |to: Option<&'static str>| Some(cell.median()? / self.median(row.id, to?)?);
                Some(json!({
                    "engine": peer.name, "median": cell.median(), "to_floor": factor(row.floor),
                    "to_foldb": factor(Some(FOLDB)), "samples": cell.samples, "note": cell.note,
                }))
            });
            let results: Vec<Value> = results.collect();
            json!({ "id": row.id, "title": row.title, "unit": format!("{:?}", row.unit), "floor": row.floor, "results": results })
        });
        let all = json!({
            "machine": machine(), "setup": setup,
            "engines": engines.collect::<Vec<_>>(), "rows": rows.collect::<Vec<_>>(),
        });
        Ok(fs::write(path, serde_json::to_string_pretty(&all)?)?)
    }
}

/// A figure with its unit and three digits.
pub fn show(unit: Unit, figure: f64) -> String {
    let digits = |figure: f64| match figure {
        figure if figure < 10.0 => format!("{figure:.2}"),
        figure if figure < 100.0 => format!("{figure:.1}"),
        figure => format!("{figure:.0}"),
    };
    let scaled = |steps: &[(f64, &str)]| {
        let (scale, name) = steps.iter().rev().find(|step| figure >= step.0).unwrap_or(&steps[0]);
        format!("{} {name}", digits(figure / scale))
    };
    match unit {
        Unit::Nanoseconds => scaled(&[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")]),
        Unit::PerSecond => scaled(&[(1.0, "/s"), (1e3, "K/s"), (1e6, "M/s")]),
        Unit::Bytes => format!("{} B", digits(figure)),
        Unit::Factor => format!("{figure:.2}"),
    }
}

/// The machine in one line per fact, as far as it tells.
pub fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let memory = read("/proc/meminfo");
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or("");
    let compiler = Command::new("rustc").arg("--version").output().ok();
    let compiler = compiler.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    json!({
        "processor": model.trim_start_matches(['\t', ' ', ':']),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": total.trim(),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "compiler": compiler,
        "clock_ns": clock_nanoseconds(),
    })
}

/// What reading the clock twice costs: it is in every operation that is timed by itself.
fn clock_nanoseconds() -> f64 {
    const READS: u32 = 100_000;
    let started = Instant::now();
    for _ in 0..READS {
        black_box(Instant::now());
    }
    (started.elapsed() / READS).as_nanos() as f64
}
