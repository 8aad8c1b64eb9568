//! JSON Patch (RFC 6902): a list of operations that are applied together or not at all.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Map, Value as Json};

use super::{
    edit::{self, Container},
    number,
    path::Path,
};
use crate::{Error, Result, error::check_limit, limits::VALUE_BYTES_MAX};

/// A list of operations on one document, as RFC 6902 defines them.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::Patch;
/// use serde_json::json;
///
/// let patch = Patch::parse(&json!([
///     {"op": "test", "path": "/status", "value": "open"},
///     {"op": "replace", "path": "/status", "value": "done"},
///     {"op": "add", "path": "/log/-", "value": "closed"},
/// ]))?;
/// let mut document = json!({"status": "open", "log": []});
/// patch.apply(&mut document)?;
/// assert_eq!(document, json!({"status": "done", "log": ["closed"]}));
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    operations: Vec<Operation>,
}

/// One operation of a [`Patch`].
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::{Operation, Patch};
/// let patch = Patch::new(vec![Operation::Remove { path: "/a".parse()? }]);
/// let mut document = serde_json::json!({"a": 1, "b": 2});
/// patch.apply(&mut document)?;
/// assert_eq!(document, serde_json::json!({"b": 2}));
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Sets a member, or inserts an item before the one that has its index now (`-` appends).
    Add {
        /// Where.
        path: Path,
        /// What.
        value: Json,
    },
    /// Removes what is there.
    Remove {
        /// Where.
        path: Path,
    },
    /// Replaces what is there.
    Replace {
        /// Where.
        path: Path,
        /// By what.
        value: Json,
    },
    /// Removes from one place and adds at another.
    Move {
        /// From where.
        from: Path,
        /// To where.
        path: Path,
    },
    /// Adds at one place what is at another.
    Copy {
        /// From where.
        from: Path,
        /// To where.
        path: Path,
    },
    /// Fails unless an equal value is there. Numbers are equal if their numerical values are.
    Test {
        /// Where.
        path: Path,
        /// The value that must be there.
        value: Json,
    },
}

impl Operation {
    /// The operation's name in a patch document.
    ///
    /// ```
    /// # use foldb_core::json::{Operation, Path};
    /// assert_eq!(Operation::Remove { path: Path::root() }.name(), "remove");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Add { .. } => "add",
            Operation::Remove { .. } => "remove",
            Operation::Replace { .. } => "replace",
            Operation::Move { .. } => "move",
            Operation::Copy { .. } => "copy",
            Operation::Test { .. } => "test",
        }
    }

    /// The place that the operation changes or tests.
    ///
    /// ```
    /// # use foldb_core::json::{Operation, Path};
    /// assert!(Operation::Remove { path: Path::root() }.path().is_root());
    /// ```
    pub fn path(&self) -> &Path {
        match self {
            Operation::Add { path, .. }
            | Operation::Remove { path }
            | Operation::Replace { path, .. }
            | Operation::Move { path, .. }
            | Operation::Copy { path, .. }
            | Operation::Test { path, .. } => path,
        }
    }
}

impl Patch {
    /// A patch of these operations.
    ///
    /// ```
    /// # use foldb_core::json::Patch;
    /// assert!(Patch::new(vec![]).operations().is_empty());
    /// ```
    pub fn new(operations: Vec<Operation>) -> Self {
        Self { operations }
    }

    /// Reads a patch document: an array of objects. Members that RFC 6902 does not define are ignored.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the operation by its index and what is wrong with it.
    ///
    /// ```
    /// # use foldb_core::json::Patch;
    /// let error = Patch::parse(&serde_json::json!([{"op": "add", "path": "/a"}])).unwrap_err();
    /// assert_eq!(error.to_string(), "invalid JSON patch: operation 0 (add): it has no value");
    /// ```
    pub fn parse(document: &Json) -> Result<Self> {
        let Json::Array(items) = document else {
            return Err(invalid(format!("expected an array of operations, found {}", edit::type_name(document))));
        };
        items.iter().enumerate().map(|(index, item)| parse_operation(index, item)).collect::<Result<_>>().map(Self::new)
    }

    /// The operations, in the order in which they are applied.
    ///
    /// ```
    /// # use foldb_core::json::Patch;
    /// let patch = Patch::parse(&serde_json::json!([{"op": "remove", "path": "/a"}]))?;
    /// assert_eq!(patch.operations()[0].name(), "remove");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Applies all operations in order. Costs a copy of the document, so that it can stay as it is if one fails.
    ///
    /// # Errors
    /// [`Error::Precondition`] if a test fails, [`Error::Invalid`] naming the operation by its index and path if another
    /// does, [`Error::Limit`] if the document would be nested too deeply, or if copies would make it larger than any
    /// document may be. The document is then unchanged.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{ErrorKind, json::Patch};
    /// use serde_json::json;
    ///
    /// let patch = Patch::parse(&json!([
    ///     {"op": "remove", "path": "/a"},
    ///     {"op": "test", "path": "/b", "value": 3},
    /// ]))?;
    /// let mut document = json!({"a": 1, "b": 2});
    /// assert_eq!(patch.apply(&mut document).unwrap_err().kind(), ErrorKind::Precondition);
    /// assert_eq!(document, json!({"a": 1, "b": 2}));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn apply(&self, document: &mut Json) -> Result<()> {
        let mut draft = document.clone();
        let mut copied = 0;
        for (index, operation) in self.operations.iter().enumerate() {
            apply_one(&mut draft, operation, &mut copied).map_err(|error| failed(index, operation, error))?;
        }
        *document = draft;
        Ok(())
    }
}

impl TryFrom<&Json> for Patch {
    type Error = Error;

    fn try_from(document: &Json) -> Result<Self> {
        Self::parse(document)
    }
}

fn invalid(why: String) -> Error {
    Error::Invalid { what: "JSON patch", why }
}

fn parse_operation(index: usize, item: &Json) -> Result<Operation> {
    let Json::Object(members) = item else {
        return Err(invalid(format!("operation {index}: expected an object, found {}", edit::type_name(item))));
    };
    let name = match members.get("op") {
        Some(Json::String(name)) => name.as_str(),
        Some(other) => return Err(invalid(format!("operation {index}: its op is {}", number::shown(other)))),
        None => return Err(invalid(format!("operation {index}: it has no op"))),
    };
    let wrong = |why: String| invalid(format!("operation {index} ({name}): {why}"));
    let path = |member| path_member(members, member).map_err(wrong);
    let value = || members.get("value").cloned().ok_or_else(|| wrong(String::from("it has no value")));
    match name {
        "add" => Ok(Operation::Add { path: path("path")?, value: value()? }),
        "remove" => Ok(Operation::Remove { path: path("path")? }),
        "replace" => Ok(Operation::Replace { path: path("path")?, value: value()? }),
        "move" => Ok(Operation::Move { from: path("from")?, path: path("path")? }),
        "copy" => Ok(Operation::Copy { from: path("from")?, path: path("path")? }),
        "test" => Ok(Operation::Test { path: path("path")?, value: value()? }),
        _ => Err(wrong(String::from("unknown; there are add, remove, replace, move, copy and test"))),
    }
}

fn path_member(members: &Map<String, Json>, member: &str) -> Result<Path, String> {
    match members.get(member) {
        Some(Json::String(pointer)) => {
            Path::from_pointer(pointer).map_err(|error| format!("its {member} is an {error}"))
        }
        Some(other) => Err(format!("its {member} is {}, not a string", edit::type_name(other))),
        None => Err(format!("it has no {member}")),
    }
}

/// The error of one operation, with the index and path of it.
fn failed(index: usize, operation: &Operation, error: Error) -> Error {
    match error {
        Error::Precondition { expected, found, .. } => Error::Precondition {
            key: format!("{} (operation {index} of the patch)", operation.path().shown()),
            expected,
            found,
        },
        Error::Limit { .. } => error,
        other => invalid(format!("operation {index} ({} {}): {other}", operation.name(), operation.path().shown())),
    }
}

/// `copied` is how many bytes copies have added so far: each can double the document, and twenty of them fit a line.
fn apply_one(document: &mut Json, operation: &Operation, copied: &mut usize) -> Result<()> {
    match operation {
        Operation::Add { path, value } => {
            edit::measure(value, path.depth())?;
            add(document, path, value.clone())
        }
        Operation::Remove { path } => remove(document, path).map(|_| ()),
        Operation::Replace { path, value } => {
            edit::measure(value, path.depth())?;
            *edit::present_mut(document, path)? = value.clone();
            Ok(())
        }
        Operation::Move { from, path } => {
            if path.is_inside(from) {
                return Err(Error::Invalid {
                    what: "move",
                    why: format!("{} is inside {}", path.shown(), from.shown()),
                });
            }
            let value = remove(document, from)?;
            edit::measure(&value, path.depth())?;
            add(document, path, value)
        }
        Operation::Copy { from, path } => {
            let value = edit::present(document, from)?;
            *copied = copied.saturating_add(edit::measure(value, path.depth())?);
            check_limit("bytes copied by a JSON patch", *copied, VALUE_BYTES_MAX)?;
            let value = value.clone();
            add(document, path, value)
        }
        Operation::Test { path, value } => test(document, path, value),
    }
}

fn add(document: &mut Json, path: &Path, value: Json) -> Result<()> {
    match edit::container_mut(document, path)? {
        None => *document = value,
        Some((Container::Object(members), last)) => {
            members.insert(last.decoded().into_owned(), value);
        }
        Some((Container::Array(items), last)) => {
            let index = last.to_index().ok().and_then(|index| index.for_len_incl(items.len()).ok());
            items.insert(index.ok_or_else(|| edit::outside(path, items.len()))?, value);
        }
    }
    Ok(())
}

fn remove(document: &mut Json, path: &Path) -> Result<Json> {
    edit::present(document, path)?;
    edit::delete_at(document, path)?.ok_or_else(|| Error::NotFound { what: "path", name: path.shown() })
}

fn test(document: &Json, path: &Path, value: &Json) -> Result<()> {
    let found = edit::get_at(document, path);
    if found.is_some_and(|found| number::same(found, value)) {
        return Ok(());
    }
    Err(Error::Precondition {
        key: path.shown(),
        expected: number::shown(value),
        found: found.map_or_else(|| String::from("nothing"), number::shown),
    })
}
