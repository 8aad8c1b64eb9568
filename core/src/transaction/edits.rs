//! Changed documents among the buffered writes: what is logged in the place of each.
//!
//! Invariant: the body of such a write is the document, which reads of the transaction see (behind the time at which it is over, if
//! there is one, which an edit leaves as it is), then the edit that is logged in its place,
//! then a number and the edit's length. They are one piece of the arena, so that they are overwritten, kept by savepoints and moved
//! together.

use alloc::vec::Vec;
use core::ops::Range;

use super::{
    new_runs::PROVISIONAL,
    write::{Body, Form, Write, WriteBody, puts_expiring},
    write_set::WriteSet,
};
use crate::{
    Result,
    error::check_limit,
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    log::OpCode,
    primitive::access::DocumentEdit,
    state::{SpaceNumber, check_operation, expiring_body, split_expiring_body},
};

impl WriteSet {
    /// Buffers a changed document, and what is logged in its place. Fails as [`WriteSet::write`].
    pub(crate) fn write_edited(
        &mut self,
        space: SpaceNumber,
        key: &[u8],
        document: &[u8],
        edit: DocumentEdit<'_>,
    ) -> Result<()> {
        if space & PROVISIONAL != 0 {
            // A run that the transaction begins has no document that could be edited.
            return match edit.expires {
                Some(micros) => self.write(space, OpCode::JsonPutExpiring, key, &expiring_body(micros, document)),
                None => self.write(space, OpCode::JsonPut, key, document),
            };
        }
        check_limit("key bytes", key.len(), KEY_BYTES_MAX)?;
        check_limit("value bytes", document.len(), VALUE_BYTES_MAX)?;
        check_limit("value bytes", edit.body.len(), VALUE_BYTES_MAX)?;
        check_operation(space, OpCode::JsonEdit, key, edit.body)?;
        let edit_len = u32::try_from(edit.body.len()).unwrap_or(u32::MAX);
        let form = |code| Form { code, trims_first: false, is_edited: true };
        let (form, expires) = match edit.expires {
            Some(micros) => (form(OpCode::JsonPutExpiring), expiring_body(micros, &[])),
            None => (form(OpCode::JsonPut), Vec::new()),
        };
        let body = [&expires, document, edit.body, &edit.behind.to_le_bytes(), &edit_len.to_le_bytes()].concat();
        self.write_well_formed(space, form, key, &body)
    }

    /// What of a changed document is logged in its place.
    pub(crate) fn edit(&self, write: &Write) -> Option<DocumentEdit<'_>> {
        match write.body() {
            Body::Bytes(range) if write.is_edited => {
                let (document, edit) = self.edited(range)?;
                let expires = puts_expiring(write.code).then(|| split_expiring_body(document).ok()).flatten();
                Some(DocumentEdit { expires: expires.map(|(micros, _)| micros), ..edit })
            }
            _ => None,
        }
    }

    /// Code and body of one of the write's operations, as they are logged.
    pub(crate) fn logged(&self, write: &Write, operation: usize) -> (OpCode, WriteBody<'_>) {
        match self.edit(write) {
            Some(edit) => (OpCode::JsonEdit, WriteBody::Bytes(edit.body)),
            None => (write.code, self.operation_body(write, operation)),
        }
    }

    /// The document of a body, without the edit behind it.
    pub(super) fn document(&self, range: Range<usize>) -> &[u8] {
        self.edited(range).map_or(&[], |(document, _)| document)
    }

    fn edited(&self, range: Range<usize>) -> Option<(&[u8], DocumentEdit<'_>)> {
        let (rest, len) = self.arena.get(range)?.split_last_chunk()?;
        let (rest, behind) = rest.split_last_chunk()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (document, body) = rest.split_at_checked(rest.len().checked_sub(len)?)?;
        Some((document, DocumentEdit { body, behind: u64::from_le_bytes(*behind), expires: None }))
    }
}
