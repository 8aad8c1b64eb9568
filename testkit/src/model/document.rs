//! Documents: places in them, and what can be done there.
//!
//! The model's own reading of RFC 6901 and RFC 7396; JSON Patch (RFC 6902) is what the crate `json-patch` says it is.

use foldb_core::ErrorKind;
use serde_json::{Map, Number, Value as Json};

use super::operation::Place;

type Outcome<T> = Result<T, ErrorKind>;

/// The steps to a place, if it is one.
pub(super) fn steps(place: &Place) -> Outcome<&[String]> {
    if place.malformed { Err(ErrorKind::Invalid) } else { Ok(&place.steps) }
}

fn index(step: &str) -> Option<usize> {
    let canonical = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { step.parse().ok() } else { None }
}

/// The value at a place.
pub(super) fn get<'d>(document: &'d Json, steps: &[String]) -> Option<&'d Json> {
    steps.iter().try_fold(document, |value, step| match value {
        Json::Object(members) => members.get(step),
        Json::Array(items) => items.get(index(step)?),
        _ => None,
    })
}

fn get_mut<'d>(document: &'d mut Json, steps: &[String]) -> Option<&'d mut Json> {
    steps.iter().try_fold(document, |value, step| match value {
        Json::Object(members) => members.get_mut(step),
        Json::Array(items) => items.get_mut(index(step)?),
        _ => None,
    })
}

/// Why nothing is there: something on the way is missing, or has no places in it.
fn absence(document: &Json, steps: &[String]) -> ErrorKind {
    let depth = (1..=steps.len()).find(|depth| get(document, &steps[..*depth]).is_none()).unwrap_or(steps.len());
    match get(document, &steps[..depth.saturating_sub(1)]) {
        Some(Json::Object(_) | Json::Array(_)) | None => ErrorKind::NotFound,
        Some(_) => ErrorKind::Invalid,
    }
}

fn present<'d>(document: &'d Json, steps: &[String]) -> Outcome<&'d Json> {
    get(document, steps).ok_or_else(|| absence(document, steps))
}

pub(super) fn set(document: &mut Json, steps: &[String], value: Json) -> Outcome<Option<Json>> {
    let Some((last, parents)) = steps.split_last() else {
        return Ok(Some(std::mem::replace(document, value)));
    };
    present(document, parents)?;
    match get_mut(document, parents) {
        Some(Json::Object(members)) => Ok(members.insert(last.clone(), value)),
        Some(Json::Array(items)) if last == "-" => {
            items.push(value);
            Ok(None)
        }
        Some(Json::Array(items)) => match index(last).and_then(|index| items.get_mut(index)) {
            Some(item) => Ok(Some(std::mem::replace(item, value))),
            None => Err(ErrorKind::Invalid),
        },
        _ => Err(ErrorKind::Invalid),
    }
}

pub(super) fn delete(document: &mut Json, steps: &[String]) -> Outcome<Option<Json>> {
    let (last, parents) = steps.split_last().ok_or(ErrorKind::Invalid)?;
    Ok(match get_mut(document, parents) {
        Some(Json::Object(members)) => members.remove(last),
        Some(Json::Array(items)) => index(last).filter(|index| *index < items.len()).map(|index| items.remove(index)),
        _ => None,
    })
}

pub(super) fn merge(document: &mut Json, steps: &[String], changes: &Json) -> Outcome<()> {
    match get_mut(document, steps) {
        Some(target) => *target = merged(target.take(), changes),
        None => drop(set(document, steps, merged(Json::Null, changes))?),
    }
    Ok(())
}

/// The pseudo code of RFC 7396.
fn merged(target: Json, patch: &Json) -> Json {
    let Json::Object(changes) = patch else { return patch.clone() };
    let mut members = match target {
        Json::Object(members) => members,
        _ => Map::new(),
    };
    for (name, change) in changes {
        let before = members.remove(name);
        if !change.is_null() {
            members.insert(name.clone(), merged(before.unwrap_or(Json::Null), change));
        }
    }
    Json::Object(members)
}

/// A patch, if that is what it is.
pub(super) fn parsed(operations: &Json) -> Outcome<json_patch::Patch> {
    serde_json::from_value(operations.clone()).map_err(|_| ErrorKind::Invalid)
}

/// One operation after the other, on a copy: all of them or none.
pub(super) fn patch(document: &mut Json, patch: &json_patch::Patch) -> Outcome<()> {
    let mut draft = document.clone();
    for operation in &patch.0 {
        // The crate calls that a wrong path. To RFC 6902, section 5, it is a test that was not successful.
        if let json_patch::PatchOperation::Test(test) = operation
            && draft.pointer(test.path.as_str()).is_none()
        {
            return Err(ErrorKind::Precondition);
        }
        json_patch::patch(&mut draft, std::slice::from_ref(operation)).map_err(|error| match error.kind {
            json_patch::PatchErrorKind::TestFailed => ErrorKind::Precondition,
            _ => ErrorKind::Invalid,
        })?;
    }
    *document = draft;
    Ok(())
}

fn array<'d>(document: &'d mut Json, steps: &[String]) -> Outcome<&'d mut Vec<Json>> {
    present(document, steps)?;
    match get_mut(document, steps) {
        Some(Json::Array(items)) => Ok(items),
        _ => Err(ErrorKind::Invalid),
    }
}

pub(super) fn push(document: &mut Json, steps: &[String], value: Json) -> Outcome<u64> {
    let items = array(document, steps)?;
    items.push(value);
    Ok(items.len().try_into().unwrap_or(u64::MAX))
}

pub(super) fn pop(document: &mut Json, steps: &[String]) -> Outcome<Option<Json>> {
    array(document, steps).map(Vec::pop)
}

pub(super) fn increment(document: &mut Json, steps: &[String], by: &Number) -> Outcome<Json> {
    present(document, steps)?;
    let Some(Json::Number(number)) = get_mut(document, steps) else { return Err(ErrorKind::Invalid) };
    *number = added(number, by).ok_or(ErrorKind::Invalid)?;
    Ok(Json::Number(number.clone()))
}

fn integer(number: &Number) -> Option<i128> {
    number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from))
}

fn added(value: &Number, by: &Number) -> Option<Number> {
    if let (Some(value), Some(by)) = (integer(value), integer(by)) {
        let sum = value + by;
        return u64::try_from(sum).map(Number::from).or_else(|_| i64::try_from(sum).map(Number::from)).ok();
    }
    Number::from_f64(exact(value)? + exact(by)?)
}

/// The number as a float, if nothing of it is lost.
fn exact(number: &Number) -> Option<f64> {
    let float = number.as_f64()?;
    // 2^53: up to here every integer is a float. Beyond, the simulation uses odd numbers only, which are none.
    match integer(number) {
        Some(integer) if integer.unsigned_abs() > 1 << 53 => None,
        _ => Some(float),
    }
}

pub(super) fn length(document: &Json, steps: &[String]) -> Outcome<u64> {
    let length = match present(document, steps)? {
        Json::Array(items) => items.len(),
        Json::Object(members) => members.len(),
        Json::String(text) => text.chars().count(),
        _ => return Err(ErrorKind::Invalid),
    };
    Ok(length.try_into().unwrap_or(u64::MAX))
}

pub(super) fn type_of(document: &Json, steps: &[String]) -> Option<String> {
    let name = match get(document, steps)? {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    Some(name.into())
}

pub(super) fn keys(document: &Json, steps: &[String]) -> Outcome<Vec<String>> {
    let Json::Object(members) = present(document, steps)? else { return Err(ErrorKind::Invalid) };
    let mut keys: Vec<String> = members.keys().cloned().collect();
    keys.sort();
    Ok(keys)
}

/// Equality by numerical value.
pub(super) fn equal(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => match (integer(left), integer(right)) {
            (Some(left), Some(right)) => left == right,
            _ => exact(left).is_some() && exact(left) == exact(right),
        },
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Json::Object(left), Json::Object(right)) => {
            let same = |(name, value)| right.get(name).is_some_and(|other| equal(value, other));
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}
