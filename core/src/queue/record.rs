//! What is known of a job, and how that is stored: field by field, without serde.
//!
//! Invariant: the bytes are those that serde's derived code makes of these types, and so stay what they were when it did; a
//! browser has nothing else to load it for.

use alloc::{string::String, vec, vec::Vec};

use crate::{
    Error, Result,
    value::{
        Decode, Encode, Value,
        fields::{FieldWriter, read_fields, required, set},
    },
};

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Place {
    Ready,
    Delayed { until: u64 },
    Leased { until: u64 },
    Dead,
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Record {
    pub(super) place: Place,
    pub(super) priority: u8,
    /// How often it was handed out. It only grows: whoever has a job proves by it that it is still his.
    pub(super) attempts: u32,
    /// How many of these were before it was revived, and do not count against it any more.
    pub(super) attempts_forgiven: u32,
    pub(super) attempts_max: u32,
    pub(super) backoff_micros: u64,
    pub(super) error: Option<String>,
}

impl Place {
    /// A name, or a map from it to a map of what goes with it.
    fn to_value(self) -> Value {
        let until = |name: &str, until: u64| {
            let until = Value::Map(vec![("until".into(), until.into())]);
            Value::Map(vec![(name.into(), until)])
        };
        match self {
            Place::Ready => "Ready".into(),
            Place::Delayed { until: time } => until("Delayed", time),
            Place::Leased { until: time } => until("Leased", time),
            Place::Dead => "Dead".into(),
        }
    }

    fn of_value(value: &Value) -> Option<Self> {
        match value.as_text() {
            Some("Ready") => return Some(Place::Ready),
            Some("Dead") => return Some(Place::Dead),
            _ => {}
        }
        let until = |name| value.get(name)?.get("until")?.as_u64();
        let delayed = until("Delayed").map(|until| Place::Delayed { until });
        delayed.or_else(|| until("Leased").map(|until| Place::Leased { until }))
    }
}

/// How many fields a record has.
const FIELDS: usize = 7;

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut fields = FieldWriter::new(out, FIELDS);
        fields.value("place", &self.place.to_value())?;
        fields.number("priority", Some(self.priority.into()))?;
        fields.number("attempts", Some(self.attempts.into()))?;
        fields.number("attempts_forgiven", Some(self.attempts_forgiven.into()))?;
        fields.number("attempts_max", Some(self.attempts_max.into()))?;
        fields.number("backoff_micros", Some(self.backoff_micros))?;
        fields.text("error", self.error.as_deref())?;
        fields.finish()
    }
}

impl Decode for Record {
    fn decode(bytes: &[u8]) -> Result<Self> {
        let (mut place, mut error, mut numbers) = (None, None, [None; NUMBERS.len()]);
        read_fields(bytes, &mut |name, field| match name {
            "place" => set(&mut place, name, field.value()?),
            "error" => set(&mut error, name, field.optional_text()?.map(String::from)),
            _ => match NUMBERS.iter().position(|number| *number == name).and_then(|at| numbers.get_mut(at)) {
                Some(number) => set(number, name, field.number()?),
                None => Ok(false),
            },
        })?;
        let place = required(place, "place")?;
        let [priority, attempts, attempts_forgiven, attempts_max, backoff_micros] = numbers;
        Ok(Record {
            place: Place::of_value(&place).ok_or_else(|| no_record("its place is none"))?,
            priority: small(priority, "priority")?,
            attempts: small(attempts, "attempts")?,
            attempts_forgiven: small(attempts_forgiven, "attempts_forgiven")?,
            attempts_max: small(attempts_max, "attempts_max")?,
            backoff_micros: required(backoff_micros, "backoff_micros")?,
            error: error.flatten(),
        })
    }
}

/// The fields that are numbers, in their order.
const NUMBERS: [&str; 5] = ["priority", "attempts", "attempts_forgiven", "attempts_max", "backoff_micros"];

/// A number that has fewer bits than it could have.
fn small<T: TryFrom<u64>>(number: Option<u64>, name: &str) -> Result<T> {
    T::try_from(required(number, name)?).map_err(|_| no_record(name))
}

fn no_record(why: &str) -> Error {
    Error::Invalid { what: "record of a job", why: why.into() }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Place, Record};
    use crate::value::{Decode, Encode, Serde, Value};

    type Fields = Vec<(Value, Value)>;

    #[test]
    fn a_record_has_the_bytes_that_serde_gave_it_and_is_read_from_them() {
        let places = [Place::Ready, Place::Delayed { until: 70_000 }, Place::Leased { until: u64::MAX }, Place::Dead];
        for (at, place) in places.into_iter().enumerate() {
            let record = Record {
                place,
                priority: 200,
                attempts: 3,
                attempts_forgiven: 1,
                attempts_max: u32::MAX,
                backoff_micros: 1 << 40,
                error: (at > 0).then(|| "no answer".into()),
            };
            let (mut bytes, mut of_serde) = (Vec::new(), Vec::new());
            record.encode(&mut bytes).unwrap();
            Serde(&record).encode(&mut of_serde).unwrap();
            assert_eq!(Value::decode(&bytes).unwrap(), Value::decode(&of_serde).unwrap());
            assert_eq!(bytes, of_serde);
            assert_eq!(Record::decode(&bytes).unwrap(), record);
            for length in 0..bytes.len() {
                assert!(Record::decode(&bytes[..length]).is_err(), "cut to {length}");
            }
        }
        assert!(Record::decode(b"\xf6").is_err());
    }

    #[test]
    fn what_is_no_record_is_told_by_what_is_wrong_with_it() {
        let record = |change: &dyn Fn(&mut Fields)| {
            let [place, error] = [("place", Value::from("Ready")), ("error", Value::Null)];
            let numbers = super::NUMBERS.map(|name| (name, Value::from(1)));
            let mut fields: Fields =
                [place, error].into_iter().chain(numbers).map(|(name, value)| (name.into(), value)).collect();
            change(&mut fields);
            let mut bytes = Vec::new();
            Value::Map(fields).encode(&mut bytes).unwrap();
            Record::decode(&bytes).map_err(|error| alloc::format!("{error}"))
        };
        assert_eq!(record(&|_| {}).unwrap().attempts, 1);
        assert_eq!(record(&|fields| fields.push(("later".into(), 7.into()))).unwrap().attempts, 1);
        let refused = |at: usize, value: Value| record(&|fields| fields[at].1 = value.clone()).unwrap_err();
        assert!(refused(0, "Elsewhere".into()).contains("place"));
        assert!(refused(2, 256.into()).contains("priority"));
        assert!(refused(3, (1_u64 << 32).into()).contains("attempts"));
        assert!(record(&|fields| drop(fields.remove(6))).unwrap_err().contains("backoff_micros"));
    }
}
