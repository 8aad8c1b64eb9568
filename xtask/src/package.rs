//! What is published of the crates: whether each has what a registry and its readers want, and builds from the files that it packs.
//!
//! Invariant: which crates are published is what their manifests say (`publish`), so that a new one is either looked at here or says
//! that it stays at home.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::tools::{self, cargo, line, succeeds, target};

/// What every package has beside its sources: a licence that asks to be passed on, and the page that a registry shows.
const FILES: [&str; 4] = ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// What a registry shows, finds and warns by.
const FIELDS: [&str; 5] = ["description", "license", "repository", "readme", "rust_version"];
/// A registry takes no more of each.
const WORDS_MAX: usize = 5;

/// `cargo xtask package`: what a registry does with each package before it takes it. Minutes, because each crate is built by itself.
pub(crate) fn run(root: &Path, _: &[OsString]) -> bool {
    crate::done(Published::of(root).and_then(|published| published.pack(root, &[])))
}

/// The step: looks at the manifests, packs every crate that is published, and compiles what was packed, and nothing else, as a workspace
/// of its own. It shares what was compiled of the dependencies.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let published = Published::of(root)?;
    let mut problems: Vec<String> = published.packages.iter().flat_map(lacks).collect();
    for package in &published.packages {
        let listed = output(root, &["package", "--list", "--allow-dirty", "--package", name(package)])?;
        problems.extend(wrong_files(&listed).into_iter().map(|what| format!("{}: {what}", name(package))));
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    published.pack(root, &["--no-verify", "--quiet"])?;
    let manifest = published.unpack(root)?;
    let manifest = manifest.to_str().ok_or("the path of the repository is no text")?;
    // With all features, as the documentation is built.
    let target = target(root);
    let target = target.to_str().ok_or("the path of the build is no text")?;
    let check = ["check", "--all-features", "--target-dir", target, "--manifest-path", manifest];
    tools::run(cargo(root).args([&check[..], &["--workspace"]].concat()))?;
    // The backend of browsers has most of its code there.
    tools::run(
        cargo(root).args([&check[..], &["--package", "foldb-web", "--target", "wasm32-unknown-unknown"]].concat()),
    )
}

/// The crates that are published, as `cargo metadata` describes them.
struct Published {
    packages: Vec<Value>,
    at_home: Vec<Value>,
}

impl Published {
    fn of(root: &Path) -> Result<Self, String> {
        let metadata = output(root, &["metadata", "--no-deps", "--format-version=1"])?;
        let metadata: Value = serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
        let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?.clone();
        let (at_home, packages) = packages.into_iter().partition(stays_at_home);
        Ok(Self { packages, at_home })
    }

    fn pack(&self, root: &Path, options: &[&str]) -> Result<(), String> {
        let mut arguments = vec!["package", "--workspace", "--allow-dirty"];
        arguments.extend(self.at_home.iter().flat_map(|package| ["--exclude", name(package)]));
        arguments.extend(options);
        tools::run(cargo(root).args(&arguments))
    }

    /// Unpacks what was packed into a workspace in which the crates depend on each other as on those of a registry. Returns its manifest.
    fn unpack(&self, root: &Path) -> Result<PathBuf, String> {
        let packed = target(root).join("package");
        let folder = target(root).join("unpacked");
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(failed)?;
        }
        fs::create_dir_all(&folder).map_err(failed)?;
        // The profile of the repository, so that what it has compiled of the dependencies is used again.
        let mut manifest = String::from(
            "[workspace]\nresolver = \"3\"\nmembers = [\"foldb*\"]\n\n[profile.dev]\ndebug = \"line-tables-only\"\n\n[patch.crates-io]\n",
        );
        for package in &self.packages {
            let (name, version) = (name(package), package["version"].as_str().unwrap_or_default());
            let mut command = Command::new("tar");
            // With the time of now: all that is packed has the same one, by which cargo would take a changed file for the one it knows.
            command.arg("xzmf").arg(packed.join(format!("{name}-{version}.crate"))).arg("-C").arg(&folder);
            if !succeeds(&mut command) {
                return Err(line(&command));
            }
            manifest += &format!("{name} = {{ path = \"{name}-{version}\" }}\n");
        }
        fs::write(folder.join("Cargo.toml"), manifest).map_err(failed)?;
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).map_err(failed)?;
        Ok(folder.join("Cargo.toml"))
    }
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap_or_default()
}

/// Whether the manifest says that the crate is not published.
fn stays_at_home(package: &Value) -> bool {
    package["publish"].as_array().is_some_and(Vec::is_empty)
}

/// What the manifest of a crate that is published lacks.
fn lacks(package: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for field in FIELDS {
        if package[field].as_str().is_none_or(str::is_empty) {
            problems.push(format!("{}: its manifest has no {field}", name(package)));
        }
    }
    for field in ["keywords", "categories"] {
        let count = package[field].as_array().map_or(0, Vec::len);
        if !(1..=WORDS_MAX).contains(&count) {
            problems.push(format!(
                "{}: its manifest has {count} {field}, a registry takes 1 to {WORDS_MAX}",
                name(package)
            ));
        }
    }
    problems
}

/// What is missing among the files of a package, and what is there that a program does not compile.
fn wrong_files(listed: &str) -> Vec<String> {
    let files: Vec<PathBuf> = listed.lines().map(PathBuf::from).collect();
    let missing = FILES.iter().filter(|name| !files.iter().any(|file| file == Path::new(name)));
    let mut problems: Vec<String> = missing.map(|name| format!("{name} is not packed")).collect();
    let is_test = |file: &&PathBuf| {
        let mut parts = file.iter().filter_map(|part| part.to_str());
        parts.any(|part| {
            let stem = part.strip_suffix(".rs").unwrap_or(part);
            stem == "tests" || stem.ends_with("_tests")
        })
    };
    problems.extend(files.iter().filter(is_test).map(|file| format!("{} is packed, a test", file.display())));
    problems
}

fn output(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = cargo(root);
    let line = line(command.args(arguments));
    let output = command.output().map_err(|error| format!("{line}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{line}\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{line}: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{lacks, stays_at_home, wrong_files};

    const WHOLE: &str = "Cargo.toml\nLICENSE-APACHE\nLICENSE-MIT\nREADME.md\nsrc/lib.rs\n";

    #[test]
    fn a_package_has_its_licences_and_its_readme_and_no_tests() {
        assert_eq!(wrong_files(WHOLE), [""; 0]);
        assert_eq!(wrong_files(&WHOLE.replace("LICENSE-MIT\n", "")), ["LICENSE-MIT is not packed"]);
        for test in ["tests/fault.rs", "src/log/tests.rs", "src/log/tests/torn.rs", "src/log_tests.rs"] {
            assert_eq!(wrong_files(&format!("{WHOLE}{test}\n")), [format!("{test} is packed, a test")]);
        }
    }

    #[test]
    fn a_manifest_has_what_a_registry_shows() {
        let package = json!({
            "name": "foldb", "description": "a store", "license": "MIT", "repository": "https://example.com", "readme": "README.md",
            "rust_version": "1.90", "keywords": ["store"], "categories": ["database"], "publish": null,
        });
        assert_eq!(lacks(&package), [""; 0]);
        let mut poor = package.clone();
        poor["description"] = json!(null);
        poor["keywords"] = json!([]);
        assert_eq!(lacks(&poor).len(), 2, "{:?}", lacks(&poor));
        assert!(!stays_at_home(&package));
        poor["publish"] = json!([]);
        assert!(stays_at_home(&poor));
    }
}
