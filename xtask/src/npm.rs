//! The npm package `foldb`: how it is built, and how it is tested as a user gets it.
//!
//! Invariant: what is tested is what `npm pack` packs, installed into a folder of its own; nothing is taken from the sources.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    tools::{cargo, run, target},
    web,
};

/// What the package takes from what wasm-bindgen makes.
const GENERATED: [&str; 2] = ["foldb_wasm.js", "foldb_wasm_bg.wasm"];

/// Builds the package into `bindings/dist` and prints the size of its parts.
pub(crate) fn build(root: &Path) -> Result<(), String> {
    let package = root.join("bindings");
    // A folder that was installed before a tool was added lacks it.
    if !package.join("node_modules/.package-lock.json").is_file() || !local(&package, "esbuild").exists() {
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&package))?;
    }
    for folder in ["pkg", "dist"] {
        let folder = package.join(folder);
        if folder.is_dir() {
            fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
    }
    web::module(root, INLINE, &package.join("pkg"))?;
    // Comments stay in the types, where editors show them, and go from what an app ships.
    let compiler = local(&package, "tsc");
    run(Command::new(&compiler).args(["--project", ".", "--emitDeclarationOnly"]).current_dir(&package))?;
    let arguments = ["--project", ".", "--declaration", "false", "--removeComments", "true", "--outDir", "pkg/js"];
    run(Command::new(&compiler).args(arguments).current_dir(&package))?;
    let [glue, module] = GENERATED;
    copy(&package.join("pkg").join(glue), &package.join("pkg/js").join(glue))?;
    for entries in BUNDLES {
        let mut command = Command::new(local(&package, "esbuild"));
        command.args(entries).args(["--bundle", "--format=esm", "--target=es2022", "--minify"]);
        command.args(["--outdir=dist", "--log-level=warning"]);
        run(command.current_dir(&package))?;
    }
    copy(&package.join("ts/foldb_wasm.d.ts"), &package.join("dist/foldb_wasm.d.ts"))?;
    // What panics would say goes first, so that wasm-opt can remove what is there for it alone.
    let silent = package.join("pkg/silent.wasm");
    run(Command::new("node")
        .arg("shrink.mjs")
        .arg(package.join("pkg").join(module))
        .arg(&silent)
        .current_dir(&package))?;
    let mut command = Command::new(local(&package, "wasm-opt"));
    command.arg(&silent).args(OPTIMIZE).arg("-o").arg(package.join("dist").join(module));
    run(command.current_dir(&package))?;
    run(Command::new("node").arg("sizes.mjs").current_dir(&package))
}

/// Optimized for size, but with calls of small functions inlined up to the size that "s" allows and not that of "z": decision 9 of
/// `docs/decisions` has what that costs and brings.
const INLINE: &str = "-Cllvm-args=-inline-threshold=45";

/// Few files, because each level of imports is a way to the server and back before anything can begin: the page's entry, with
/// what is asked for later in files of their own; the worker as one file; and what Node loads, whose entries share their
/// classes.
const BUNDLES: [&[&str]; 3] = [
    &["pkg/js/index.js", "--splitting"],
    &["pkg/js/worker.js"],
    &[
        "pkg/js/index-node.js",
        "pkg/js/node.js",
        "pkg/js/internal.js",
        "--splitting",
        "--platform=node",
        "--chunk-names=node-[hash]",
    ],
];

/// With the instructions that every browser with OPFS has. Arguments that are the same in every call, or that nobody reads
/// any more, are removed between two rounds. Not more: what `-Os` and `-Oz` take from the module they give back, and
/// more, once it is compressed (352 KB by brotli after `-Oz`, 332 KB after this).
const OPTIMIZE: [&str; 12] = [
    "-O1",
    "--dae-optimizing",
    "-O1",
    "--strip-debug",
    "--strip-producers",
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Builds and packs the package, installs it into a fresh folder, and tests it there: in Node, Deno and Bun, and in pages of
/// the system's Chromium and Firefox.
pub(crate) fn test(root: &Path) -> Result<(), String> {
    build(root)?;
    run(cargo(root).args(["build", "--package", "foldb-cli", "--bins", "--examples"]))?;
    let folder = root.join("target/web-package");
    let packed = pack(root, &folder)?;
    let mut tests = Vec::new();
    for file in files(&root.join("tests/web"))? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        copy(&file, &folder.join(&name))?;
        if name.ends_with(".test.mjs") {
            tests.push(name);
        }
    }
    tests.sort();
    // The store that all backends share, written natively.
    let mut command = cargo(root);
    command.args(["run", "--quiet", "--package", "foldb-archive", "--example", "same_store", "--"]);
    run(command.arg(&folder))?;
    let mut command = Command::new("npm");
    command.args(["install", "--no-audit", "--no-fund", "--no-save", "--no-package-lock"]).arg(&packed);
    run(command.current_dir(&folder))?;
    let program = |name: &str| target(root).join("debug").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    let mut command = Command::new("node");
    command.args(["--test", "--test-concurrency=1"]).args(tests).env("FOLDB_PROGRAM", program("foldb"));
    command.env("FOLDB_JOBS", program("examples/jobs"));
    command.env("FOLDB_GECKODRIVER", web::firefox_driver(root)?);
    command.env("FOLDB_REPOSITORY", root);
    run(command.current_dir(&folder))
}

/// Packs the package into `folder`, without a trace of the one that was there before.
fn pack(root: &Path, folder: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for file in files(folder)?.into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "tgz")) {
        fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let installed = folder.join("node_modules/foldb");
    if installed.is_dir() {
        fs::remove_dir_all(&installed).map_err(|error| format!("{}: {error}", installed.display()))?;
    }
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&root.join(licence), &root.join("bindings").join(licence))?;
    }
    let mut command = Command::new("npm");
    command.args(["pack", "--silent", "--pack-destination"]).arg(folder).current_dir(root.join("bindings"));
    run(&mut command)?;
    let packed = files(folder)?.into_iter().find(|file| file.extension().is_some_and(|ending| ending == "tgz"));
    packed.ok_or_else(|| format!("npm pack left no package in {}", folder.display()))
}

/// A program that the package's own lock file names.
fn local(package: &Path, name: &str) -> PathBuf {
    package.join("node_modules/.bin").join(name)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    Ok(paths.into_iter().filter(|path| path.is_file()).collect())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(|_| ()).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}
