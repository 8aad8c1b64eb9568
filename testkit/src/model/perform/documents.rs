//! Documents and places in them.

use foldb_core::ErrorKind;
use serde_json::Value as Json;

use super::{Call, Outcome, check_key, choose, finds_nothing, wide};
use crate::model::{
    document,
    operation::{Answer, Key, Operation, Place, Scan, Version},
    transaction::Family,
};

impl Call<'_> {
    pub(super) fn document(&mut self, key: &[u8]) -> Outcome<Option<Json>> {
        Ok(self.view_at(Family::Documents, key)?.0.documents.get(key).map(|row| row.value.clone()))
    }

    pub(super) fn set_document(&mut self, key: &[u8], document: Option<Json>) -> Outcome<()> {
        let writes = self.transaction.writes_to(self.at)?;
        check_key(key)?;
        writes.documents.insert(key.to_vec(), document);
        Ok(())
    }

    pub(super) fn write_documents(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::SetDocument(key, document) => {
                self.set_document(key, Some(document.clone()))?;
                Ok(Answer::Unit)
            }
            Operation::SetDocuments(documents) => {
                for (key, document) in documents {
                    self.set_document(key, Some(document.clone()))?;
                }
                Ok(Answer::Unit)
            }
            Operation::DeleteDocument(key) => self.delete_document(key).map(Answer::Bool),
            Operation::DeleteDocuments(keys) => {
                let mut deleted = 0;
                for key in keys {
                    deleted += u64::from(self.delete_document(key)?);
                }
                Ok(Answer::Number(deleted))
            }
            _ => Ok(Answer::Unit),
        }
    }

    pub(super) fn delete_document(&mut self, key: &[u8]) -> Outcome<bool> {
        let there = self.document(key)?.is_some();
        if there {
            self.set_document(key, None)?;
        }
        Ok(there)
    }

    pub(super) fn edit_document(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::SetAt(key, place, value) => {
                self.edit(key, place, |document, steps| document::set(document, steps, value.clone()).map(Answer::Json))
            }
            Operation::DeleteAt(key, place) => {
                self.edit(key, place, |document, steps| document::delete(document, steps).map(Answer::Json))
            }
            Operation::MergeAt(key, place, changes) => self
                .edit(key, place, |document, steps| document::merge(document, steps, changes).map(|()| Answer::Unit)),
            Operation::Patch(key, operations) => {
                let whole = Place { steps: Vec::new(), dollar: false, malformed: false };
                let patch = document::parsed(operations)?;
                self.edit(key, &whole, |document, _| document::patch(document, &patch).map(|()| Answer::Unit))
            }
            Operation::PushAt(key, place, value) => self
                .edit(key, place, |document, steps| document::push(document, steps, value.clone()).map(Answer::Number)),
            Operation::PopAt(key, place) => {
                self.edit(key, place, |document, steps| document::pop(document, steps).map(Answer::Json))
            }
            Operation::IncrementAt(key, place, by) => self.edit(key, place, |document, steps| match by {
                Json::Number(by) => document::increment(document, steps, by).map(|sum| Answer::Json(Some(sum))),
                _ => Err(ErrorKind::Invalid),
            }),
            _ => Ok(Answer::Unit),
        }
    }

    /// Only a document that has changed is written.
    pub(super) fn edit(
        &mut self,
        key: &[u8],
        place: &Place,
        change: impl FnOnce(&mut Json, &[String]) -> Outcome,
    ) -> Outcome {
        let steps = document::steps(place)?;
        let before = self.document(key)?.ok_or(ErrorKind::NotFound)?;
        let mut document = before.clone();
        let answer = change(&mut document, steps)?;
        // As numbers zero and minus zero are equal, as texts they are two.
        let text = |document: &Json| document.to_string();
        if text(&document) != text(&before) {
            self.set_document(key, Some(document))?;
        }
        Ok(answer)
    }

    pub(super) fn inspect(
        &mut self,
        key: &[u8],
        place: &Place,
        look: impl FnOnce(&Json, &[String]) -> Outcome,
    ) -> Outcome {
        let steps = document::steps(place)?;
        let document = self.document(key)?.ok_or(ErrorKind::NotFound)?;
        look(&document, steps)
    }

    pub(super) fn read_documents(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::GetDocument(key) => self.document(key).map(Answer::Json),
            Operation::GetDocuments(keys) => {
                let documents: Outcome<Vec<_>> = keys.iter().map(|key| self.document(key)).collect();
                documents.map(Answer::Jsons)
            }
            Operation::DocumentExists(key) => Ok(Answer::Bool(self.document(key)?.is_some())),
            Operation::GetAt(key, place) => {
                self.inspect(key, place, |document, steps| Ok(Answer::Json(document::get(document, steps).cloned())))
            }
            Operation::LengthAt(key, place) => {
                self.inspect(key, place, |document, steps| document::length(document, steps).map(Answer::Number))
            }
            Operation::TypeAt(key, place) => {
                self.inspect(key, place, |document, steps| Ok(Answer::Text(document::type_of(document, steps))))
            }
            Operation::KeysAt(key, place) => {
                self.inspect(key, place, |document, steps| document::keys(document, steps).map(Answer::Texts))
            }
            Operation::Documents(scan) => self.documents(scan, |_| true).map(Answer::Documents),
            Operation::CountDocuments(scan) => {
                let scan = Scan { limit: None, reverse: false, after: None, ..scan.clone() };
                self.documents(&scan, |_| true).map(|documents| Answer::Number(wide(documents.len())))
            }
            Operation::Select(scan, place, value) => {
                let steps = document::steps(place)?;
                let wanted = |found: &Json| document::get(found, steps).is_some_and(|at| document::equal(at, value));
                self.documents(scan, wanted).map(Answer::Documents)
            }
            _ => Ok(Answer::Unit),
        }
    }

    pub(super) fn documents(
        &mut self,
        scan: &Scan,
        wanted: impl Fn(&Json) -> bool,
    ) -> Outcome<Vec<(Key, Json, Version)>> {
        if finds_nothing(scan) {
            return Ok(Vec::new());
        }
        let (space, _) = self.view()?;
        let chosen = choose(&space.documents, scan, |_, row| wanted(&row.value));
        let found = chosen.rows.iter().map(|(key, row)| ((*key).clone(), row.value.clone(), row.version)).collect();
        self.look_over(Family::Documents, chosen.looked);
        Ok(found)
    }

    // Events.
}
