//! The survey: what files there are, and whether they are one store.
//!
//! Invariant: a survey that succeeds lists a chain of segments without gap, fork or foreign file, from the oldest that is
//! needed to the newest, and every sealed one is at least as long as its successor says. Rules F-3, F-6, F-7, F-9, F-30.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use litemap::LiteMap;

use super::read::read_exactly;
use crate::{
    Error, Result, StoreId,
    log::{
        ANCHOR_BYTES, ANCHOR_NAMES, Anchor, AnchorSlot, Previous, SEGMENT_HEADER_BYTES, SegmentHeader,
        looks_like_frame, parse_segment_name, parse_snapshot_name, segment_name, snapshot_name, wide,
    },
    planted::{self, Planted},
    recovery::{Damage, IMPORT_NAME, RecoveryMode},
    storage::{Storage, StorageFile},
};

/// A segment of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u64,
    /// Its header.
    pub header: SegmentHeader,
    /// Length of the file in bytes.
    pub len: u64,
    /// What its successor says about it; `None` for the newest.
    pub sealed: Option<Previous>,
}

impl SegmentInfo {
    /// How many bytes count, where the segment is sealed.
    pub fn valid_len(&self) -> Option<u64> {
        self.sealed.map(|sealed| sealed.valid_len)
    }
}

/// What [`survey`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The store; `None` where nothing has been created yet.
    pub store: Option<StoreId>,
    /// The newest epoch; the next opening that writes has a larger one. 0 where there is no segment.
    pub epoch: u64,
    /// The chain, oldest first.
    pub segments: Vec<SegmentInfo>,
    /// The newest valid anchor, and where it is.
    pub anchor: Option<(AnchorSlot, Anchor)>,
    /// The two anchors, as far as they are valid, in the order of [`AnchorSlot::BOTH`].
    pub anchors: [Option<Anchor>; 2],
    /// Whether the anchor names the newest segment. Where it does not, the header may be in the page cache only, and the
    /// same bytes have to be written and synced again before anything is served (rule F-28).
    pub newest_is_anchored: bool,
    /// Generations of the snapshot files that there are, ascending; nothing has looked into them.
    pub snapshots: Vec<u64>,
    /// The next free segment number.
    pub next_segment: u64,
    /// Everything up to this seq is known to have been on stable media, from anchor and headers alone.
    pub proven_seq: u64,
    /// Files of interrupted creations and segments below the oldest needed one. They may be removed, once an anchor has
    /// been written and synced by this opening (rule F-27).
    pub garbage: Vec<String>,
    /// Names that are not ours. They are never touched.
    pub ignored: Vec<String>,
    /// What is wrong and did not end the survey: a torn anchor by default, nearly anything in salvage.
    pub damage: Vec<Damage>,
}

impl Survey {
    /// The newest segment.
    pub fn newest(&self) -> Option<&SegmentInfo> {
        self.segments.last()
    }

    /// The slot that the first anchor of this opening goes into; later ones alternate.
    ///
    /// The newest valid anchor may be in the page cache only: after a sync that failed, the disk still has what was in
    /// its slot before. The other one was synced before that one was written. So where both are valid, the newest is
    /// overwritten, and where one is not, that one: at every moment an anchor that the disk really has is left alone.
    ///
    /// The very first anchor has none before it. As long as the store could be opened without an anchor, because the newest
    /// segment has no frame (`any_frame`) and nothing else was committed, it may be such a one, and is written again itself.
    /// Otherwise a second one would be written next to it, and the next opening would take the wrong one of the two for
    /// the one that the disk has.
    pub fn next_anchor_slot(&self, any_frame: bool) -> AnchorSlot {
        let began_empty = |segment: &SegmentInfo| segment.header.first_seq <= 1;
        let may_be_first = !any_frame && self.snapshots.is_empty() && self.segments.iter().all(began_empty);
        match self.anchor {
            None => AnchorSlot::A,
            Some((slot, _)) if planted::active(Planted::OlderAnchorOverwritten) => slot.other(),
            Some((slot, _)) if self.anchors.iter().all(Option::is_some) => slot,
            Some((slot, _)) if may_be_first && !planted::active(Planted::FirstAnchorTrusted) => slot,
            Some((slot, _)) => slot.other(),
        }
    }

    /// Notes that something else, as a valid snapshot, proves all commits up to `seq`.
    pub fn prove(&mut self, seq: u64) {
        self.proven_seq = self.proven_seq.max(seq);
    }
}

/// The files of a directory by what they are.
#[derive(Default)]
struct Names {
    segments: Vec<u64>,
    snapshots: Vec<u64>,
    anchors: Vec<AnchorSlot>,
    ignored: Vec<String>,
}

impl Names {
    /// Sorted, because the order of a listing is an accident of the file system.
    fn classify(names: Vec<String>) -> Self {
        let is_there = |slot: &AnchorSlot| names.iter().any(|name| name == slot.name());
        let mut sorted = Names { anchors: AnchorSlot::BOTH.into_iter().filter(is_there).collect(), ..Names::default() };
        for name in names {
            if let Some(number) = parse_segment_name(&name) {
                sorted.segments.push(number);
            } else if let Some(generation) = parse_snapshot_name(&name) {
                sorted.snapshots.push(generation);
            } else if name == IMPORT_NAME {
                // Nobody else's: what is left of an import that finished. `recover` has looked into it.
            } else if !ANCHOR_NAMES.contains(&name.as_str()) {
                sorted.ignored.push(name);
            }
        }
        sorted.segments.sort_unstable();
        sorted.snapshots.sort_unstable();
        crate::order::sort_by(&mut sorted.ignored, Ord::cmp);
        sorted
    }

    fn is_fresh(&self) -> bool {
        self.segments.is_empty() && self.snapshots.is_empty() && self.anchors.is_empty()
    }
}

/// Those that are not in the chain yet, by number.
type Candidates = LiteMap<u64, Candidate>;

/// A segment file of which only the header has been looked at.
struct Candidate {
    header: SegmentHeader,
    len: u64,
}

/// Reads names, anchors and segment headers. Anchors and segments that may be the newest are synced before they are read:
/// what is decided must not rest on bytes that the next power failure takes away (rule F-28).
///
/// A storage without any file of a store gives an empty survey. Fails with [`Error::NotAStore`] where there are other
/// files only, with [`Error::Corrupt`] where the files do not fit together, and with the storage's error where it fails.
/// Cost: one small read for each segment.
pub fn survey<S: Storage>(storage: &S, mode: RecoveryMode) -> Result<Survey> {
    let names = Names::classify(storage.list()?);
    if names.is_fresh() {
        return fresh(names);
    }
    let mut surveyor = Surveyor { storage, mode, store: None, found: Survey::default() };
    surveyor.found.snapshots.clone_from(&names.snapshots);
    surveyor.found.ignored = names.ignored;
    surveyor.read_anchors(&names.anchors)?;
    let (candidates, headless) = surveyor.read_headers(&names.segments)?;
    let highest = names.segments.last().copied().unwrap_or(0);
    let anchored = surveyor.found.anchor.map_or(0, |(_, anchor)| anchor.newest_segment);
    // Numbers end before the largest `u64` (rule F-2, and the check of an anchor): the next one exists.
    surveyor.found.next_segment = highest.max(anchored).saturating_add(1);
    if candidates.is_empty() {
        return surveyor.without_segments(&headless);
    }
    surveyor.check_anchor(&candidates)?;
    let unchained = surveyor.chain(candidates)?;
    surveyor.refuse_unchained(unchained)?;
    surveyor.discard(&headless)?;
    Ok(surveyor.finish())
}

fn fresh(names: Names) -> Result<Survey> {
    // Hidden files are left behind by file managers and version control; they do not make a directory somebody else's.
    if let Some(other) = names.ignored.iter().find(|name| !name.starts_with('.')) {
        let why = format!("it holds {other} and no file of a store; name an empty or a new directory");
        return Err(Error::NotAStore { path: "the directory".into(), why });
    }
    Ok(Survey { next_segment: 1, newest_is_anchored: true, ignored: names.ignored, ..Survey::default() })
}

struct Surveyor<'s, S> {
    storage: &'s S,
    mode: RecoveryMode,
    /// The store that the first valid file belongs to; all others have to agree.
    store: Option<StoreId>,
    found: Survey,
}

impl<S: Storage> Surveyor<'_, S> {
    /// Damage that ends the survey unless in salvage.
    fn refuse(&mut self, error: Error, file: &str) -> Result<()> {
        match (self.mode, error) {
            // A device that fails says nothing about what is on it.
            (_, error @ Error::Storage(_)) => Err(error),
            (RecoveryMode::Salvage, error) => {
                self.found.damage.push(Damage::from_error(&error, file));
                Ok(())
            }
            (_, error) => Err(error),
        }
    }

    /// What a crash may leave behind: damage that is noted by default and an error in strict mode.
    fn note(&mut self, file: &str, rule: &'static str, what: String) -> Result<()> {
        let damage = Damage { file: file.into(), offset: 0, len: 0, rule, what, seqs: None };
        if self.mode == RecoveryMode::Strict {
            return Err(damage.into_error());
        }
        self.found.damage.push(damage);
        Ok(())
    }

    /// Whether a valid file belongs to the same store as those before it.
    fn check_store(&mut self, file: &str, store: StoreId) -> Result<bool> {
        let expected = *self.store.get_or_insert(store);
        if expected == store || planted::active(Planted::ForeignFileAccepted) {
            return Ok(true);
        }
        let what = format!("the file belongs to store {store}, the others to {expected}");
        self.refuse(corrupt(file, "F-6", what), file)?;
        Ok(false)
    }

    fn read_anchors(&mut self, slots: &[AnchorSlot]) -> Result<()> {
        for slot in slots {
            let name = slot.name();
            let anchor = match self.read_anchor(name) {
                Ok(anchor) => anchor,
                Err(error) => {
                    self.refuse(error, name)?;
                    continue;
                }
            };
            let Some(anchor) = anchor else {
                self.note(name, "F-8", "the anchor is incomplete or its checksum does not hold".into())?;
                continue;
            };
            if !self.check_store(name, anchor.store)? {
                continue;
            }
            self.found.anchors[slot.index()] = Some(anchor);
            match self.found.anchor {
                Some((other, newest)) if newest.counter == anchor.counter => {
                    let what = format!("the anchor has the same counter {} as {}", anchor.counter, other.name());
                    self.refuse(corrupt(name, "F-9", what), name)?;
                }
                Some((_, newest)) if newest.counter > anchor.counter => {}
                _ => self.found.anchor = Some((*slot, anchor)),
            }
        }
        self.note_missing_anchor(slots)
    }

    /// From the second anchor on there are two files, but for the moments in which one of them is made anew.
    fn note_missing_anchor(&mut self, slots: &[AnchorSlot]) -> Result<()> {
        let missing = AnchorSlot::BOTH.into_iter().find(|slot| !slots.contains(slot));
        match (self.found.anchor, missing) {
            (Some((other, anchor)), Some(slot)) if anchor.counter > 1 => {
                let what = format!("the anchor is missing; {} is number {}", other.name(), anchor.counter);
                self.note(slot.name(), "F-8", what)
            }
            _ => Ok(()),
        }
    }

    fn read_anchor(&self, name: &str) -> Result<Option<Anchor>> {
        let file = self.storage.open(name)?;
        file.sync()?;
        let mut bytes = vec![0; ANCHOR_BYTES];
        if file.len()? < wide(ANCHOR_BYTES) {
            return Ok(None);
        }
        read_exactly(&file, name, 0, &mut bytes)?;
        Anchor::decode(name, &bytes)
    }

    /// All segments from the oldest needed one on: those with a header, and the numbers of those without.
    fn read_headers(&mut self, numbers: &[u64]) -> Result<(Candidates, Vec<u64>)> {
        let (oldest, newest) =
            self.found.anchor.map_or((0, 0), |(_, anchor)| (anchor.oldest_segment, anchor.newest_segment));
        let (mut candidates, mut headless) = (Candidates::new(), vec![]);
        for &number in numbers {
            let name = segment_name(number);
            if number < oldest {
                // Removed before; a removed name may come back. It is never read again (rule F-27).
                self.found.garbage.push(name);
                continue;
            }
            match self.read_header(&name, number >= newest) {
                Ok((Some(header), len)) if header.segment == number => {
                    if self.check_store(&name, header.store)? {
                        candidates.insert(number, Candidate { header, len });
                    }
                }
                Ok((Some(header), _)) => {
                    let what = format!("the header is that of segment {}", header.segment);
                    self.refuse(corrupt(&name, "F-6", what), &name)?;
                }
                Ok((None, _)) => headless.push(number),
                Err(error) => self.refuse(error, &name)?,
            }
        }
        Ok((candidates, headless))
    }

    fn read_header(&self, name: &str, may_be_newest: bool) -> Result<(Option<SegmentHeader>, u64)> {
        let file = self.storage.open(name)?;
        if may_be_newest {
            file.sync()?;
        }
        let len = file.len()?;
        if len < SEGMENT_HEADER_BYTES {
            return Ok((None, len));
        }
        let mut bytes = vec![0; 128];
        read_exactly(&file, name, 0, &mut bytes)?;
        Ok((SegmentHeader::decode(name, &bytes)?, len))
    }

    /// No segment has a header. That is a store whose first segment was being created, and nothing else.
    fn without_segments(mut self, headless: &[u64]) -> Result<Survey> {
        if let Some((slot, anchor)) = self.found.anchor {
            return Err(not_there(slot, anchor.newest_segment));
        }
        if let Some(name) = self.first_snapshot()? {
            return Err(corrupt(&name, "F-9", "there is a snapshot, and no segment with a valid header".into()));
        }
        for number in headless {
            self.refuse_frame(&segment_name(*number))?;
        }
        self.discard(headless)?;
        self.found.newest_is_anchored = true;
        Ok(self.found)
    }

    /// The oldest snapshot that is not empty. An empty one holds nothing, and may be what a removed file comes back as after
    /// an import that failed: everything is emptied there before it is removed (rule F-60).
    fn first_snapshot(&self) -> Result<Option<String>> {
        for generation in &self.found.snapshots {
            let name = snapshot_name(*generation);
            if !self.storage.open(&name)?.is_empty()? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// A first segment whose creation was interrupted has no frame behind its header. If this one has, then a header and
    /// the anchors were lost, and taking the store for a new one would lose everything else. Without the header's salt
    /// no checksum can be computed; what looks like a frame is enough.
    fn refuse_frame(&self, name: &str) -> Result<()> {
        let file = self.storage.open(name)?;
        let available = file.len()?.saturating_sub(SEGMENT_HEADER_BYTES);
        let mut head = [0; 8];
        if available >= wide(head.len()) {
            read_exactly(&file, name, SEGMENT_HEADER_BYTES, &mut head)?;
        }
        if looks_like_frame(&head, available) {
            return Err(corrupt(name, "F-30", "there is no valid header and no anchor, but a frame".into()));
        }
        Ok(())
    }

    /// What the anchor names must be there.
    fn check_anchor(&mut self, candidates: &Candidates) -> Result<()> {
        let Some((slot, anchor)) = self.found.anchor else {
            // Before the first commit an anchor is durable. Without one, nothing may have been committed; `fold` looks
            // for frames.
            let committed = candidates.values().find(|candidate| candidate.header.first_seq > 1);
            if let Some(candidate) = committed {
                let name = segment_name(candidate.header.segment);
                let what =
                    format!("seq {} was committed, and there is no valid anchor", candidate.header.first_seq - 1);
                self.refuse(corrupt(&name, "F-9", what), &name)?;
            }
            if let Some(name) = self.first_snapshot()? {
                self.refuse(corrupt(&name, "F-9", "there is a snapshot, and no valid anchor".into()), &name)?;
            }
            return Ok(());
        };
        for number in [anchor.newest_segment, anchor.oldest_segment] {
            if !candidates.contains_key(&number) {
                self.refuse(not_there(slot, number), &segment_name(number))?;
            }
        }
        Ok(())
    }

    /// Walks from the newest segment to the oldest and returns the segments that are not on the way.
    fn chain(&mut self, mut candidates: Candidates) -> Result<Candidates> {
        let oldest = self.found.anchor.map(|(_, anchor)| anchor.oldest_segment);
        let mut sealed = None;
        let newest = candidates.last().map(|(number, _)| *number);
        let mut next = newest.and_then(|newest| Some((newest, candidates.remove(&newest)?)));
        while let Some((number, Candidate { header, len })) = next.take() {
            let previous = header.previous;
            let (epoch, first_seq) = (header.epoch, header.first_seq);
            self.found.segments.push(SegmentInfo { number, header, len, sealed });
            if oldest == Some(number) {
                break;
            }
            let Some(previous) = previous else {
                if let Some(oldest) = oldest {
                    let name = segment_name(oldest);
                    let what = format!("the anchor needs this segment, and the chain ends at segment {number}");
                    self.refuse(corrupt(&name, "F-9", what), &name)?;
                }
                break;
            };
            let name = segment_name(previous.segment);
            match candidates.remove(&previous.segment) {
                Some(candidate) => {
                    let checked = check_link(&name, &candidate, &previous, epoch, first_seq);
                    sealed = Some(previous);
                    if let Err(error) = checked {
                        self.refuse(error, &name)?;
                    }
                    next = Some((previous.segment, candidate));
                }
                None if planted::active(Planted::GapInChainAccepted) => {}
                None => {
                    let what =
                        format!("segment {number} follows this segment, and it is missing or has no valid header");
                    self.refuse(corrupt(&name, "F-7", what), &name)?;
                    // In salvage: the next older segment that there is, without knowing how much of it counts.
                    sealed = None;
                    let older = candidates.keys().take_while(|older| **older < number).last().copied();
                    next = older.and_then(|older| Some((older, candidates.remove(&older)?)));
                }
            }
        }
        self.found.segments.reverse();
        Ok(candidates)
    }

    /// A segment that nothing leads to was written by a second writer, or belongs to another life of the store.
    fn refuse_unchained(&mut self, unchained: Candidates) -> Result<()> {
        for (number, candidate) in unchained {
            if planted::active(Planted::ForkAccepted) {
                continue;
            }
            let name = segment_name(number);
            let previous = candidate.header.previous.map_or(0, |previous| previous.segment);
            let what = format!("the segment follows segment {previous}, but another one does so already");
            self.refuse(corrupt(&name, "F-7", what), &name)?;
        }
        Ok(())
    }

    /// Segments without header that no anchor and no successor names are interrupted creations (rule F-30).
    fn discard(&mut self, headless: &[u64]) -> Result<()> {
        for number in headless {
            let name = segment_name(*number);
            self.note(&name, "F-30", "the segment has no valid header: its creation was interrupted".into())?;
            self.found.garbage.push(name);
        }
        Ok(())
    }

    fn finish(self) -> Survey {
        let mut found = self.found;
        let newest = found.segments.last().map(|segment| (segment.number, segment.header.clone()));
        let anchor = found.anchor.map(|(_, anchor)| anchor);
        if let Some((number, header)) = newest {
            found.store = Some(header.store);
            found.epoch = header.epoch;
            found.newest_is_anchored = anchor.is_some_and(|anchor| anchor.newest_segment == number);
            // All that is before the newest segment was synced before it was created (rule F-26).
            found.prove(header.first_seq - 1);
        }
        found.prove(anchor.map_or(0, |anchor| anchor.proven_seq));
        found
    }
}

/// The error where a segment is not there that an anchor names.
fn not_there(slot: AnchorSlot, segment: u64) -> Error {
    let what = format!("{} names this segment, and it is missing or has no valid header", slot.name());
    corrupt(&segment_name(segment), "F-9", what)
}

/// What a segment's header says about its predecessor has to agree with the predecessor's own header and length.
fn check_link(name: &str, candidate: &Candidate, said: &Previous, epoch: u64, first_seq: u64) -> Result<()> {
    if candidate.len < said.valid_len {
        let what = format!("the segment has {} bytes, its successor says {}", candidate.len, said.valid_len);
        return Err(Error::Corrupt { file: name.to_string(), offset: candidate.len, rule: "F-23", what });
    }
    if candidate.header.epoch > epoch {
        let what = format!("epoch {} is before epoch {epoch} of its successor", candidate.header.epoch);
        return Err(corrupt(name, "F-6", what));
    }
    if candidate.header.first_seq > first_seq {
        let what = format!("the segment begins at seq {}, its successor at {first_seq}", candidate.header.first_seq);
        return Err(corrupt(name, "F-7", what));
    }
    Ok(())
}

fn corrupt(file: &str, rule: &'static str, what: String) -> Error {
    Error::Corrupt { file: file.into(), offset: 0, rule, what }
}
