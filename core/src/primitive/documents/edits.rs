//! What is logged of a changed document: the change, where that is smaller, or all of it. Why, and what it comes to:
//! `docs/decisions/0013-a-change-of-a-document-is-logged-as-splices.md`.
//!
//! Invariants:
//! - Who reads an edited document reads at most twice as many bytes as it has, from at most
//!   [`DOCUMENT_EDITS_MAX`] + 1 places.
//! - What an edit makes of the committed document is compared with what was meant before it is logged.

use alloc::vec::Vec;

use crate::{
    Result,
    json::splice,
    limits::{DOCUMENT_EDITS_MAX, EDITED_DOCUMENT_BYTES_MIN},
    log::wide,
    primitive::access::{DocumentEdit, Item},
    state::{EditBody, EditedDocument, Source},
};

/// An edit that is about to be buffered.
pub(super) struct Edit {
    body: Vec<u8>,
    behind: u64,
    expires: Option<u64>,
}

impl Edit {
    pub(super) fn as_ref(&self) -> DocumentEdit<'_> {
        DocumentEdit { body: &self.body, behind: self.behind, expires: self.expires }
    }
}

/// The edit that makes `after` of the committed document, where that is better logged than all of it. `item` is what the
/// transaction has read, the committed document or what it made of it before, and `before` are its bytes.
pub(super) fn between(item: &Item<'_>, before: &[u8], after: &[u8]) -> Result<Option<Edit>> {
    if after.len() < EDITED_DOCUMENT_BYTES_MIN {
        return Ok(None);
    }
    let Some(splices) = splice::between(before, after, after.len() / 2) else { return Ok(None) };
    if splice::apply(before, &splices).ok().as_deref() != Some(after) {
        return Ok(None);
    }
    let edit = match (item.seq, item.edit()) {
        (Some(seq), _) => match EditedDocument::of(item.entry())? {
            Some(document) => of_committed(&document, seq, splices, after, item.source())?,
            None => None,
        },
        (None, Some(edit)) => of_pending(edit, &splices, after)?,
        (None, None) => None,
    };
    let edit = edit.map(|edit| Edit { expires: item.expires_at(), ..edit });
    Ok(edit.filter(|edit| edit.is_worth_it(after)))
}

impl Edit {
    fn new(base_seq: u64, kept: usize, behind: u64, splices: &[u8], after: &[u8]) -> Self {
        // A document has at most 16 MiB.
        let len = u32::try_from(after.len()).unwrap_or(u32::MAX);
        let crc = crate::checksum::hash(after);
        Edit { body: EditBody { base_seq, kept: wide(kept), len, crc, splices }.encode(), behind, expires: None }
    }

    /// Whether it is smaller than the document, and leaves no more to read than twice that.
    fn is_worth_it(&self, after: &[u8]) -> bool {
        self.body.len() <= after.len() / 2
            && self.behind.saturating_add(wide(self.body.len())) <= wide(after.len()).saturating_mul(2)
    }
}

/// One more edit of a committed document. Where it has as many as it may have, the newest of them become one with it.
fn of_committed(
    document: &EditedDocument,
    seq: u64,
    mut splices: Vec<u8>,
    after: &[u8],
    source: &dyn Source,
) -> Result<Option<Edit>> {
    let mut kept = document.edits.len();
    if kept >= DOCUMENT_EDITS_MAX {
        kept = kept_beside(document, splices.len());
        splices = document.composed(kept..document.edits.len(), &splices, source)?;
        // Nobody has looked yet at what comes out of several.
        if document.read_with(kept, &splices, source)? != after {
            return Ok(None);
        }
    }
    if splices.is_empty() {
        return Ok(None);
    }
    Ok(Some(Edit::new(seq, kept, document.bytes_of(kept), &splices, after)))
}

/// How many edits stay when one of so many bytes is made and there is no room: those that have more bytes than everything
/// that is newer. So a byte is logged again only when as many have come behind it, a few times in all.
fn kept_beside(document: &EditedDocument, splices: usize) -> usize {
    let mut newer = wide(splices);
    let mut kept = document.edits.len();
    for edit in document.edits.iter().rev() {
        // One at least has to go.
        if u64::from(edit.len) > newer && kept < document.edits.len() {
            break;
        }
        newer = newer.saturating_add(u64::from(edit.len));
        kept -= 1;
    }
    kept
}

/// The same edit, with what a transaction has changed since.
fn of_pending(edit: DocumentEdit<'_>, splices: &[u8], after: &[u8]) -> Result<Option<Edit>> {
    let before = EditBody::parse(edit.body)?;
    let Ok(splices) = splice::composed(before.splices, splices) else { return Ok(None) };
    if splices.is_empty() {
        return Ok(None);
    }
    let kept = usize::try_from(before.kept).unwrap_or(usize::MAX);
    Ok(Some(Edit::new(before.base_seq, kept, edit.behind, &splices, after)))
}
