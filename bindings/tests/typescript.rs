//! The TypeScript of the package as files that import each other.
//!
//! Invariant: imports go one way, those of types too, so that every file can be read, and changed, after what it stands on.
#![cfg(not(target_family = "wasm"))]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

/// The sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "ts") {
            found.push(path);
        }
    }
}

/// What a source says that it imports or exports again, as it says it: `"./work.js"`.
fn named(text: &str) -> impl Iterator<Item = &str> {
    ["from \"./", "from \"../", "import(\"./", "import(\"../"].into_iter().flat_map(move |before| {
        let begin = before.find('"').map_or(0, |quote| quote + 1);
        text.match_indices(before).filter_map(move |(at, _)| text.get(at + begin..)?.split('"').next())
    })
}

/// A path without `.` and `..`, and without its ending.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    let name = plain.file_name().unwrap().to_string_lossy().into_owned();
    plain.set_file_name(name.trim_end_matches(".js").trim_end_matches(".ts").trim_end_matches(".d"));
    plain
}

#[test]
fn no_file_of_the_package_imports_itself_by_way_of_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("ts");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut imports: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let imported = named(&text).map(|name| plain(&file.with_file_name(name))).collect();
        imports.insert(plain(file), imported);
    }
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > files.len(), "imports are seen");
    for imported in imports.values().flatten() {
        assert!(imports.contains_key(imported), "{} is imported and not there", imported.display());
    }
    // Whatever imports nothing that is left goes, and whatever nothing that is left imports: what stays is circles.
    loop {
        let imported: BTreeSet<&PathBuf> = imports.values().flatten().collect();
        let is_left = |file: &PathBuf| imports.contains_key(file);
        let done: Vec<PathBuf> = imports
            .iter()
            .filter(|(file, others)| !imported.contains(file) || !others.iter().any(is_left))
            .map(|(file, _)| file.clone())
            .collect();
        if done.is_empty() {
            break;
        }
        imports.retain(|file, _| !done.contains(file));
    }
    let circles: Vec<_> =
        imports.keys().map(|file| file.strip_prefix(&root).unwrap_or(file).display().to_string()).collect();
    assert!(circles.is_empty(), "these import each other in a circle: {}", circles.join(", "));
}
