//! Pairs and counters.

use foldb_core::{ErrorKind, value::Value};

use super::{Call, Outcome, check_key, choose, finds_nothing, wide};
use crate::model::{
    counter,
    operation::{Answer, Key, Operation, Scan, Version},
    space::Row,
    transaction::{Family, PairWrite},
};

impl Call<'_> {
    pub(super) fn put(&mut self, key: &[u8], write: PairWrite) -> Outcome<()> {
        let writes = self.transaction.writes_to(self.at)?;
        check_key(key)?;
        writes.pairs.insert(key.to_vec(), write);
        Ok(())
    }

    pub(super) fn write_blindly(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Put(key, value) => self.put(key, PairWrite::Put(value.clone(), None))?,
            Operation::PutMany(pairs) => {
                pairs.iter().try_for_each(|(key, value)| self.put(key, PairWrite::Put(value.clone(), None)))?;
            }
            Operation::PutUntil(key, value, micros) => self.put(key, PairWrite::Put(value.clone(), Some(*micros)))?,
            Operation::Remove(key) => self.put(key, PairWrite::Delete)?,
            Operation::Add(key, delta) => {
                let writes = self.transaction.writes_to(self.at)?;
                check_key(key)?;
                let write = match writes.pairs.get(key) {
                    None => PairWrite::Add(*delta),
                    // The value is known: it is a sum from here on.
                    Some(PairWrite::Put(value, expires)) => {
                        PairWrite::Put(counter::sum(Some(value), *delta)?, *expires)
                    }
                    Some(PairWrite::Delete) => PairWrite::Put(counter::sum(None, *delta)?, None),
                    // A sum and when it is over are one put, for which what is there is looked at.
                    Some(PairWrite::Expire(expires)) => {
                        let expires = *expires;
                        let before = self.pair(key)?.map(|row| row.value);
                        PairWrite::Put(counter::sum(before.as_ref(), *delta)?, expires)
                    }
                    Some(PairWrite::Add(before)) => PairWrite::Add(counter::both(*before, *delta)?),
                };
                self.put(key, write)?;
            }
            _ => {}
        }
        Ok(Answer::Unit)
    }

    pub(super) fn pair(&mut self, key: &[u8]) -> Outcome<Option<Row<Value>>> {
        let (space, broken) = self.view_at(Family::Pairs, key)?;
        if broken.contains(key) {
            return Err(ErrorKind::Invalid);
        }
        Ok(space.pairs.get(key).map(|row| (**row).clone()))
    }

    /// When a pair is over.
    fn expiry(&mut self, key: &[u8]) -> Outcome<Option<u64>> {
        Ok(self.view_at(Family::Pairs, key)?.0.expiries.get(key).copied())
    }

    /// Says when a pair is over that is there.
    fn expire(&mut self, key: &[u8], expires: Option<u64>, value: Value) -> Outcome<()> {
        let write = match self.transaction.writes_to(self.at)?.pairs.get(key) {
            Some(PairWrite::Put(value, _)) => PairWrite::Put(value.clone(), expires),
            Some(PairWrite::Add(_)) => PairWrite::Put(value, expires),
            _ => PairWrite::Expire(expires),
        };
        self.put(key, write)
    }

    pub(super) fn delete(&mut self, key: &[u8]) -> Outcome<bool> {
        let there = self.pair(key)?.is_some();
        if there {
            self.put(key, PairWrite::Delete)?;
        }
        Ok(there)
    }

    pub(super) fn put_if(&mut self, holds: bool, key: &[u8], value: &Value) -> Outcome {
        if !holds {
            return Err(ErrorKind::Precondition);
        }
        self.put(key, PairWrite::Put(value.clone(), None))?;
        Ok(Answer::Unit)
    }

    pub(super) fn change_pair(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Delete(key) => self.delete(key).map(Answer::Bool),
            Operation::ExpireAt(key, micros) => {
                let found = self.pair(key)?;
                let there = found.is_some();
                if let Some(row) = found {
                    self.expire(key, Some(*micros), row.value)?;
                }
                Ok(Answer::Bool(there))
            }
            Operation::Persist(key) => {
                let found = self.pair(key)?;
                let had = self.expiry(key)?.is_some();
                if let Some(row) = found.filter(|_| had) {
                    self.expire(key, None, row.value)?;
                }
                Ok(Answer::Bool(had))
            }
            Operation::DeleteMany(keys) => {
                let mut deleted = 0;
                for key in keys {
                    deleted += u64::from(self.delete(key)?);
                }
                Ok(Answer::Number(deleted))
            }
            Operation::Update(key, by) => {
                let value = match self.pair(key)? {
                    None => 0,
                    Some(row) => row.value.as_i64().ok_or(ErrorKind::Invalid)?,
                };
                let expires = self.expiry(key)?;
                let value = Value::from(value.saturating_add(*by));
                self.put(key, PairWrite::Put(value.clone(), expires))?;
                Ok(Answer::Value(Some(value)))
            }
            Operation::PutIfAbsent(key, value) => {
                let holds = self.pair(key)?.is_none();
                self.put_if(holds, key, value)
            }
            Operation::CasVersion(key, expected, value) => {
                let holds = self.pair(key)?.map(|row| row.version) == *expected;
                self.put_if(holds, key, value)
            }
            Operation::CasValue(key, expected, value) => {
                let holds = self.pair(key)?.map(|row| row.value) == *expected;
                self.put_if(holds, key, value)
            }
            Operation::GetAndPut(key, value) => {
                let before = self.pair(key)?.map(|row| row.value);
                self.put(key, PairWrite::Put(value.clone(), None))?;
                Ok(Answer::Value(before))
            }
            Operation::GetAndDelete(key) => {
                let before = self.pair(key)?.map(|row| row.value);
                if before.is_some() {
                    self.put(key, PairWrite::Delete)?;
                }
                Ok(Answer::Value(before))
            }
            Operation::Rename(from, to) => {
                let value = self.pair(from)?.ok_or(ErrorKind::NotFound)?.value;
                if from != to {
                    if self.pair(to)?.is_some() {
                        return Err(ErrorKind::Precondition);
                    }
                    let expires = self.expiry(from)?;
                    self.put(to, PairWrite::Put(value, expires))?;
                    self.put(from, PairWrite::Delete)?;
                }
                Ok(Answer::Unit)
            }
            _ => Ok(Answer::Unit),
        }
    }

    pub(super) fn read_pairs(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::ExpiresAt(key) => {
                self.pair(key)?;
                self.expiry(key).map(Answer::MaybeNumber)
            }
            Operation::Get(key) => Ok(Answer::Value(self.pair(key)?.map(|row| row.value))),
            Operation::GetVersioned(key) => Ok(Answer::Versioned(self.pair(key)?.map(|row| (row.value, row.version)))),
            Operation::GetMany(keys) => {
                let values: Outcome<Vec<_>> = keys.iter().map(|key| Ok(self.pair(key)?.map(|row| row.value))).collect();
                values.map(Answer::Values)
            }
            Operation::Exists(key) => Ok(Answer::Bool(self.pair(key)?.is_some())),
            Operation::Count(scan) => {
                let scan = Scan { limit: None, reverse: false, after: None, ..scan.clone() };
                self.pairs(&scan).map(|pairs| Answer::Number(wide(pairs.len())))
            }
            Operation::Keys(scan) => {
                self.pairs(scan).map(|pairs| Answer::Keys(pairs.into_iter().map(|(key, ..)| key).collect()))
            }
            Operation::Pairs(scan) => self.pairs(scan).map(Answer::Pairs),
            _ => Ok(Answer::Unit),
        }
    }

    pub(super) fn pairs(&mut self, scan: &Scan) -> Outcome<Vec<(Key, Value, Version)>> {
        if finds_nothing(scan) {
            return Ok(Vec::new());
        }
        let (mut space, broken) = self.view()?;
        // A counter that cannot be read shows where the scan comes to it.
        for key in &broken {
            crate::model::space::put(&mut space.pairs, key, Value::Null, None);
        }
        let chosen = choose(&space.pairs, scan, |_, _| true);
        let failed = chosen.rows.iter().position(|(key, _)| broken.contains(*key));
        let looked = match failed {
            // It has looked as far as there.
            Some(place) => choose(&space.pairs, &Scan { limit: Some(place + 1), ..scan.clone() }, |_, _| true).looked,
            None => chosen.looked,
        };
        let pairs = chosen.rows.iter().map(|(key, row)| ((*key).clone(), row.value.clone(), row.version)).collect();
        self.look_over(Family::Pairs, looked);
        if failed.is_some() { Err(ErrorKind::Invalid) } else { Ok(pairs) }
    }

    // Documents.
}
