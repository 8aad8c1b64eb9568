//! Reading an archive: from bytes, in pieces as they come, to events.
//!
//! Invariant: this reads and never acts. At any moment exactly one entry can come, and everything about it but the bytes
//! of the manifest is known before it comes; a file's end is told after its sum was found to hold. Memory is the manifest,
//! which is bounded, and grows with the bytes that came, never with a number that was read. Rules F-55 to F-57, F-59.

use sha2::{Digest as _, Sha256};

use crate::{
    ArchiveError, FileEntry, MANIFEST_BYTES_MAX, Manifest, Result,
    entry::{BLOCK_BYTES, MANIFEST_NAME, SUMS_NAME, TRAILER_BYTES, begins_first, not_an_archive, padding, read_header},
    manifest::hex,
    narrow, wide,
};

/// What has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The manifest and the sums, which agree.
    Contents,
    /// The file at this place of the manifest begins.
    FileBegin(usize),
    /// The next bytes of that file.
    FileBytes { offset: u64, bytes: &'a [u8] },
    /// The file has ended, and its sum holds.
    FileEnd,
    /// All has come.
    End,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    /// Bytes of one of the two texts.
    Text(u64),
    /// Bytes of a file: its length, and how many came.
    Bytes(u64, u64),
    Padding(u64),
    Trailer(u64),
    Done,
}

/// Reads an archive.
pub(crate) struct Decoder {
    manifest: Option<Manifest>,
    /// What `SHA256SUMS` has to be, once the manifest has come.
    sums: Vec<u8>,
    /// The bytes so far of the entry's text.
    text: Vec<u8>,
    block: [u8; BLOCK_BYTES],
    filled: usize,
    /// The entry that comes or is under way.
    entry: usize,
    stage: Stage,
    position: u64,
    sum: Sha256,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Decoder {
            manifest: None,
            sums: Vec::new(),
            text: Vec::new(),
            block: [0; BLOCK_BYTES],
            filled: 0,
            entry: 0,
            stage: Stage::Header,
            position: 0,
            sum: Sha256::new(),
        }
    }

    /// How many bytes have come.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// What is in the archive, once that is known.
    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Takes bytes off the front of `input` and returns the next event; `None` when `input` is used up.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>> {
        loop {
            let event = match self.stage {
                Stage::Header => {
                    if !self.fill_block(input) {
                        return Ok(None);
                    }
                    self.header()?
                }
                Stage::Text(bytes) => {
                    let left = bytes - wide(self.text.len());
                    let piece = self.take(input, left);
                    self.text.extend_from_slice(piece);
                    if wide(self.text.len()) < bytes {
                        return Ok(None);
                    }
                    self.text_end(bytes)?
                }
                Stage::Bytes(bytes, done) if done < bytes => {
                    let piece = self.take(input, bytes - done);
                    if piece.is_empty() {
                        return Ok(None);
                    }
                    self.sum.update(piece);
                    self.stage = Stage::Bytes(bytes, done + wide(piece.len()));
                    Some(Event::FileBytes { offset: done, bytes: piece })
                }
                Stage::Bytes(bytes, _) => self.file_end(bytes)?,
                Stage::Padding(0) => {
                    self.entry += 1;
                    self.stage = if self.expected().is_some() { Stage::Header } else { Stage::Trailer(TRAILER_BYTES) };
                    // Told behind the padding, so that whoever acts on it has had all of both texts.
                    (self.entry == 2).then_some(Event::Contents)
                }
                Stage::Padding(left) => match self.zeros(input, left)? {
                    Some(left) => {
                        self.stage = Stage::Padding(left);
                        None
                    }
                    None => return Ok(None),
                },
                Stage::Trailer(0) => {
                    self.stage = Stage::Done;
                    Some(Event::End)
                }
                Stage::Trailer(left) => match self.zeros(input, left)? {
                    Some(left) => {
                        self.stage = Stage::Trailer(left);
                        None
                    }
                    None => return Ok(None),
                },
                Stage::Done if input.is_empty() => return Ok(None),
                Stage::Done => return Err(self.refused("F-55", "more bytes follow the end".into())),
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Whether all has come; otherwise where it ended.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.stage == Stage::Done {
            return Ok(());
        }
        if self.position == 0 {
            return Err(ArchiveError::NotAnArchive { why: "it is empty".into() });
        }
        // Less than a header came, which nothing has looked at yet: a file of seven bytes that begins otherwise is hardly
        // an archive that was not copied whole.
        let begun = self.block.get(..self.filled).unwrap_or_default();
        if self.position < wide(BLOCK_BYTES) && !begins_first(begun) {
            return Err(not_an_archive(begun));
        }
        Err(ArchiveError::Truncated { entry: self.name(), offset: self.position })
    }

    /// At most `most` bytes off the front of `input`.
    fn take<'a>(&mut self, input: &mut &'a [u8], most: u64) -> &'a [u8] {
        let (piece, rest) = input.split_at(narrow(most, input.len()));
        *input = rest;
        self.position += wide(piece.len());
        piece
    }

    /// Whether the block is full.
    fn fill_block(&mut self, input: &mut &[u8]) -> bool {
        let filled = self.filled;
        let piece = self.take(input, wide(BLOCK_BYTES - filled));
        for (to, from) in self.block.iter_mut().skip(filled).zip(piece) {
            *to = *from;
        }
        self.filled += piece.len();
        self.filled == BLOCK_BYTES
    }

    /// How many of `left` zeros are still to come; `None` where nothing came.
    fn zeros(&mut self, input: &mut &[u8], left: u64) -> Result<Option<u64>> {
        let piece = self.take(input, left);
        if piece.iter().any(|byte| *byte != 0) {
            return Err(self.damaged("bytes that should be zero are not".into()));
        }
        Ok((!piece.is_empty()).then(|| left - wide(piece.len())))
    }

    /// The file of the store that the entry is.
    fn file(&self) -> Option<&FileEntry> {
        self.manifest.as_ref()?.files().get(self.entry.checked_sub(2)?)
    }

    /// The name of the entry that comes; `None` at the end.
    fn expected(&self) -> Option<&str> {
        match self.entry {
            0 => Some(MANIFEST_NAME),
            1 => Some(SUMS_NAME),
            _ => self.file().map(|file| file.name.as_str()),
        }
    }

    fn header<'a>(&mut self) -> Result<Option<Event<'a>>> {
        self.filled = 0;
        let offset = self.position - wide(BLOCK_BYTES);
        let name = self.name();
        let bytes = read_header(&self.block, &name, offset)?;
        let expected = match self.entry {
            0 if bytes > MANIFEST_BYTES_MAX => {
                return Err(self.refused("F-59", format!("it has {bytes} bytes, the limit is {MANIFEST_BYTES_MAX}")));
            }
            0 => bytes,
            1 => wide(self.sums.len()),
            _ => self.file().map_or(0, |file| file.bytes),
        };
        if bytes != expected {
            return Err(self.refused("F-59", format!("it has {bytes} bytes, the manifest says {expected}")));
        }
        if let Some(file) = self.entry.checked_sub(2) {
            self.sum = Sha256::new();
            self.stage = Stage::Bytes(bytes, 0);
            return Ok(Some(Event::FileBegin(file)));
        }
        self.text = Vec::new();
        self.stage = Stage::Text(bytes);
        Ok(None)
    }

    fn text_end<'a>(&mut self, bytes: u64) -> Result<Option<Event<'a>>> {
        let text = std::mem::take(&mut self.text);
        if self.entry == 0 {
            let manifest = Manifest::parse(&text, self.position - bytes)?;
            self.sums = manifest.sums(&text);
            self.manifest = Some(manifest);
        } else if text != self.sums {
            return Err(self.damaged("the sums are not those of the manifest".into()));
        }
        self.stage = Stage::Padding(padding(bytes));
        Ok(None)
    }

    fn file_end<'a>(&mut self, bytes: u64) -> Result<Option<Event<'a>>> {
        let found = hex(&std::mem::take(&mut self.sum).finalize());
        let said = self.file().map_or("", |file| file.sha256.as_str());
        if found != said {
            return Err(self.damaged(format!("its SHA-256 is {found}, the manifest says {said}")));
        }
        self.stage = Stage::Padding(padding(bytes));
        Ok(Some(Event::FileEnd))
    }

    fn name(&self) -> String {
        self.expected().unwrap_or("the end").into()
    }

    fn damaged(&self, what: String) -> ArchiveError {
        ArchiveError::Damaged { entry: self.name(), offset: self.position, what }
    }

    fn refused(&self, rule: &'static str, what: String) -> ArchiveError {
        ArchiveError::Refused { entry: self.name(), offset: self.position, rule, what }
    }
}
