//! Edited documents: the last whole one in the log, and what has changed in it since. Rules F-32, F-37 and F-39.
//!
//! Invariants:
//! - The fold needs neither the document nor the log: an edit names the commit whose document it changes, and the tree
//!   keeps places in the log, not contents.
//! - An entry says how long the document is that comes out, and its checksum: a change that was made in another document
//!   never passes for this one.

use alloc::{format, string::ToString, vec::Vec};

use super::{Source, check_crc, entry_kind, expiry::split, resolve};
use crate::{
    Error, Result,
    json::splice,
    limits::{DOCUMENT_EDITS_MAX, VALUE_BYTES_MAX},
    log::{
        LOG_POINTER_BYTES, LogPointer, segment_name,
        varint::{self, Reader},
        wide,
    },
    planted::{self, Planted},
    tree::EntryRef,
};

/// Length and checksum of the document, before the places.
const HEAD_BYTES: usize = 8;

/// The body of an edit: what the document of one commit has to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EditBody<'a> {
    /// Seq of the commit that set the document.
    pub base_seq: u64,
    /// How many of the edits that it has already stay; this one has what the others did in it.
    pub kept: u64,
    /// How many bytes the document then has.
    pub len: u32,
    /// CRC-32 of those bytes.
    pub crc: u32,
    /// What to do to the bytes that come out of the edits that stay: see [`Splices`](crate::json::Splices).
    pub splices: &'a [u8],
}

impl<'a> EditBody<'a> {
    /// Reads the body of an edit. Fails with [`Error::Invalid`] where it breaks rule F-37.
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (base_seq, kept, len) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let crc = reader.bytes(4)?.try_into().map(u32::from_le_bytes);
        let splices = reader.rest();
        splice::check(splices).map_err(|bad| invalid(bad.to_string()))?;
        if kept >= wide(DOCUMENT_EDITS_MAX) || len > wide(VALUE_BYTES_MAX) {
            return Err(invalid(format!("it keeps {kept} edits, or makes {len} bytes")));
        }
        let (Ok(len), Ok(crc)) = (u32::try_from(len), crc) else { return Err(invalid("its length".to_string())) };
        Ok(EditBody { base_seq, kept, len, crc, splices })
    }

    /// The body in the log.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.splices.len() + 3 * varint::VARINT_BYTES_MAX + 4);
        varint::write(&mut out, self.base_seq);
        varint::write(&mut out, self.kept);
        varint::write(&mut out, u64::from(self.len));
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(self.splices);
        out
    }
}

fn invalid(why: alloc::string::String) -> Error {
    Error::Invalid { what: "edit of a document", why }
}

/// A document of which only the changes were logged since it was last logged whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EditedDocument {
    /// How many bytes it has.
    len: u32,
    /// CRC-32 of those bytes.
    crc: u32,
    /// Where it is whole, as it was before the edits.
    pub(crate) base: LogPointer,
    /// Where the splices of each edit are, in the order in which they are done.
    pub(crate) edits: Vec<LogPointer>,
}

impl EditedDocument {
    /// What can be edited of an entry: a document that is in the log, edited or not. `None` for one that is in the tree: it
    /// is too small for that to be worth anything.
    pub(crate) fn of(entry: &EntryRef<'_>) -> Result<Option<Self>> {
        let (entry, _) = split(*entry);
        Ok(match entry.kind {
            entry_kind::POINTER => {
                let base = LogPointer::decode(entry.value)?;
                Some(EditedDocument { len: base.len, crc: base.crc, base, edits: Vec::new() })
            }
            entry_kind::EDITED => Some(Self::decode(entry.value)?),
            _ => None,
        })
    }

    /// The document behind one more edit, whose splices are at `splices`. `entry` is what the tree has.
    ///
    /// Fails with [`Error::Invalid`] where the edit is one of another document (rule F-39).
    pub(crate) fn after(entry: Option<&EntryRef<'_>>, edit: &EditBody<'_>, splices: LogPointer) -> Result<Self> {
        let Some(entry) = entry else { return Err(invalid("there is no document".to_string())) };
        if entry.seq != edit.base_seq {
            let why =
                format!("it changes the document of seq {}, and here is that of seq {}", edit.base_seq, entry.seq);
            return Err(invalid(why));
        }
        let Some(mut document) = Self::of(entry)? else {
            return Err(invalid("the document is in the tree".to_string()));
        };
        let kept = usize::try_from(edit.kept).unwrap_or(usize::MAX);
        if kept > document.edits.len() {
            return Err(invalid(format!("it keeps {kept} edits of {}", document.edits.len())));
        }
        document.edits.truncate(if planted::active(Planted::EditOfWrongBase) { 0 } else { kept });
        document.edits.push(splices);
        (document.len, document.crc) = (edit.len, edit.crc);
        Ok(document)
    }

    /// Every place in the log that it is read from.
    pub(crate) fn places(&self) -> impl Iterator<Item = &LogPointer> {
        core::iter::once(&self.base).chain(&self.edits)
    }

    /// How many bytes are read for the document itself and the oldest `edits` of its edits.
    pub(crate) fn bytes_of(&self, edits: usize) -> u64 {
        self.places().take(edits.saturating_add(1)).map(|place| u64::from(place.len)).sum()
    }

    /// The value of the tree entry.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + (self.edits.len() + 1) * LOG_POINTER_BYTES);
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&self.crc.to_le_bytes());
        self.places().for_each(|place| out.extend_from_slice(&place.encode()));
        debug_assert!(out.len() <= crate::tree::VALUE_BYTES_MAX, "an edited document is a tree entry");
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let malformed = || Error::Corrupt {
            file: "a tree entry".into(),
            offset: 0,
            rule: "F-32",
            what: format!("{} bytes are no edited document", bytes.len()),
        };
        let (head, places) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or_else(malformed)?;
        let [a, b, c, d, e, f, g, h] = *head;
        let (places, rest) = places.as_chunks::<LOG_POINTER_BYTES>();
        let Some((base, edits)) = places.split_first() else { return Err(malformed()) };
        if !rest.is_empty() || !(1..=DOCUMENT_EDITS_MAX).contains(&edits.len()) {
            return Err(malformed());
        }
        Ok(EditedDocument {
            len: u32::from_le_bytes([a, b, c, d]),
            crc: u32::from_le_bytes([e, f, g, h]),
            base: LogPointer::decode(base)?,
            edits: edits.iter().map(|edit| LogPointer::decode(edit)).collect::<Result<_>>()?,
        })
    }

    /// The bytes of the document. Costs a read for each place, and as much work as those have bytes.
    pub(crate) fn read(&self, source: &dyn Source) -> Result<Vec<u8>> {
        let bytes = self.read_with(self.edits.len(), &[], source)?;
        let LogPointer { segment, offset, .. } = self.base;
        if bytes.len() != usize::try_from(self.len).unwrap_or(usize::MAX) {
            return Err(misfit(
                &self.base,
                format!("the document has {} bytes, and should have {}", bytes.len(), self.len),
            ));
        }
        check_crc(&bytes, self.crc, segment, offset)?;
        Ok(bytes)
    }

    /// The bytes that come out of the oldest `kept` edits and, behind them, of these splices.
    pub(crate) fn read_with(&self, kept: usize, last: &[u8], source: &dyn Source) -> Result<Vec<u8>> {
        let base = resolve(&self.base, source)?;
        let splices = self.composed(0..kept.min(self.edits.len()), last, source)?;
        splice::apply(&base, &splices).map_err(|bad| misfit(&self.base, bad.to_string()))
    }

    /// What the edits of a range do, and these splices after them. The newest are put together first, because most of the
    /// bytes are in the oldest.
    pub(crate) fn composed(&self, edits: core::ops::Range<usize>, last: &[u8], source: &dyn Source) -> Result<Vec<u8>> {
        let mut composed = last.to_vec();
        for edit in self.edits.get(edits).unwrap_or_default().iter().rev() {
            let splices = resolve(edit, source)?;
            composed = splice::composed(&splices, &composed).map_err(|bad| misfit(edit, bad.to_string()))?;
        }
        Ok(composed)
    }
}

fn misfit(place: &LogPointer, what: alloc::string::String) -> Error {
    Error::Corrupt { file: segment_name(place.segment), offset: place.offset, rule: "F-37", what }
}
