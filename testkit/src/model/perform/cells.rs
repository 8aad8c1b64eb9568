//! State cells.

use foldb_core::{ErrorKind, value::Value};

use super::{Call, Outcome, check_key, choose, finds_nothing, wide};
use crate::model::{
    operation::{Answer, Key, Operation, Scan},
    space::Row,
    transaction::Family,
};

impl Call<'_> {
    pub(super) fn cell(&mut self, key: &[u8]) -> Outcome<Option<(u64, Value)>> {
        Ok(self.view_at(Family::Cells, key)?.0.cells.get(key).map(|row| row.value.clone()))
    }

    pub(super) fn set_cell(&mut self, key: &[u8], cell: Option<(u64, Value)>) -> Outcome<()> {
        let writes = self.transaction.writes_to(self.at)?;
        check_key(key)?;
        writes.cells.insert(key.to_vec(), cell);
        Ok(())
    }

    pub(super) fn cells(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::InitCell(key, value) => {
                if self.cell(key)?.is_some() {
                    return Err(ErrorKind::Precondition);
                }
                self.set_cell(key, Some((1, value.clone())))?;
                Ok(Answer::Unit)
            }
            Operation::SetCell(key, value) => {
                let counter = self.cell(key)?.map_or(1, |(counter, _)| counter + 1);
                self.set_cell(key, Some((counter, value.clone())))?;
                Ok(Answer::Number(counter))
            }
            Operation::DeleteCell(key) => {
                let there = self.cell(key)?.is_some();
                if there {
                    self.set_cell(key, None)?;
                }
                Ok(Answer::Bool(there))
            }
            Operation::CasCell(key, expected, value) => {
                if self.cell(key)?.map(|(counter, _)| counter) != Some(*expected) {
                    return Err(ErrorKind::Precondition);
                }
                self.set_cell(key, Some((expected + 1, value.clone())))?;
                Ok(Answer::Number(expected + 1))
            }
            Operation::Transition(key, by) => {
                let before = self.cell(key)?.ok_or(ErrorKind::NotFound)?;
                self.transit(key, before, *by)
            }
            Operation::TransitionOrInit(key, init, by) => {
                let before = self.cell(key)?.unwrap_or((1, Value::from(*init)));
                self.transit(key, before, *by)
            }
            Operation::Cell(key) => self.cell(key).map(Answer::Cell),
            Operation::Cells(scan) => self.list_cells(scan).map(Answer::Cells),
            Operation::CountCells(scan) => {
                let scan = Scan { limit: None, reverse: false, after: None, ..scan.clone() };
                self.list_cells(&scan).map(|cells| Answer::Number(wide(cells.len())))
            }
            _ => Ok(Answer::Unit),
        }
    }

    pub(super) fn transit(&mut self, key: &[u8], (counter, value): (u64, Value), by: i64) -> Outcome {
        let value = value.as_i64().ok_or(ErrorKind::Invalid)?;
        let cell = (counter + 1, Value::from(transition(value, by).ok_or(ErrorKind::Invalid)?));
        self.set_cell(key, Some(cell.clone()))?;
        Ok(Answer::Cell(Some(cell)))
    }

    pub(super) fn list_cells(&mut self, scan: &Scan) -> Outcome<Vec<(Key, u64, Value)>> {
        if finds_nothing(scan) {
            return Ok(Vec::new());
        }
        let (space, _) = self.view()?;
        let chosen = choose(&space.cells, scan, |_, _| true);
        let list = |(key, row): &(&Key, &Row<(u64, Value)>)| ((*key).clone(), row.value.0, row.value.1.clone());
        let cells = chosen.rows.iter().map(list).collect();
        self.look_over(Family::Cells, chosen.looked);
        Ok(cells)
    }

    // Traces.
}

/// What the transitions of the simulation do to a cell: every fifth value has no way out.
pub(crate) fn transition(value: i64, by: i64) -> Option<i64> {
    (value.rem_euclid(5) != 4).then(|| value.saturating_add(by))
}
