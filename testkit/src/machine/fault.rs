//! [`FaultClass`]: every way in which the simulated machine fails, how often, and how often it did.
//!
//! Invariant: a class counts when it has happened to the store, not when it was asked for. So a count of zero means that
//! nothing was tested, whatever the plan says.

use std::ops::{Add, AddAssign};

macro_rules! fault_classes {
    ($($(#[doc = $doc:literal])+ $class:ident = $name:literal,)+) => {
        /// One way in which the machine under a store fails.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FaultClass {
            $($(#[doc = $doc])+ $class,)+
        }

        impl FaultClass {
            /// All of them, in the order of the table that a run prints.
            pub const ALL: [FaultClass; [$($name),+].len()] = [$(FaultClass::$class),+];

            /// The name in tables and on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(FaultClass::$class => $name,)+
                }
            }
        }
    };
}

fault_classes! {
    /// A power failure cuts a write at any byte.
    TornAtByte = "torn write, at a byte",
    /// A power failure leaves some sectors of a write and not others.
    TornAtSector = "torn write, at sectors",
    /// A power failure takes a write or a length that no sync covered.
    LostWrite = "lost unsynced write",
    /// Of two unsynced operations the power failure keeps the later one only.
    Reordered = "reordering between syncs",
    /// A created name that no sync covered is gone after a power failure.
    LostName = "created name vanishes",
    /// A removed name is back after a power failure.
    ReturnedName = "removed name returns",
    /// A process ended with unsynced bytes, nobody synced them, and the power failure took them: closing flushes nothing.
    UnflushedClose = "close that does not flush",
    /// A write lands in another place, of the same file or of another.
    MisdirectedWrite = "misdirected write",
    /// A region reads as it was before it was last written.
    StaleRead = "stale read",
    /// A bit flips in the payload of a frame, or among the pages of a snapshot.
    RotInPayload = "bit rot, payload",
    /// A bit flips in the header of a segment or of a snapshot, in an anchor, or in the type of a frame.
    RotInHeader = "bit rot, header",
    /// A bit flips in the length of a frame or of a section.
    RotInLength = "bit rot, length",
    /// A range reads as zeros.
    ZeroedRange = "zeroed range",
    /// A segment ends exactly between two frames.
    CutAtRecord = "cut at a record boundary",
    /// Bytes that nobody wrote stand behind the last byte that somebody did.
    GarbageTail = "garbage tail",
    /// The device fails to read.
    ReadError = "EIO on read",
    /// The device fails to write.
    WriteError = "EIO on write",
    /// The device fails to sync, this time and for as long as the process lives.
    SyncError = "EIO on sync",
    /// A sync fails once and then succeeds; what it should have covered stays readable, and the next power failure takes it.
    SyncForgets = "sync fails, then succeeds",
    /// A transfer reads fewer bytes than asked for.
    ShortRead = "short read",
    /// A transfer writes fewer bytes than asked for.
    ShortWrite = "short write",
    /// A transfer reads nothing inside of the file.
    EmptyRead = "zero-byte read",
    /// A transfer writes nothing.
    EmptyWrite = "zero-byte write",
    /// The disk is full when a file is created or extended.
    FullAtCreate = "full disk at create",
    /// The disk is full when bytes are written.
    FullAtWrite = "full disk at write",
    /// The quota is used up at the nth write, and stays so while the process lives.
    QuotaAtWrite = "quota at the nth write",
    /// A second process wants the store.
    SecondOpener = "second opener",
    /// The clock jumps, forwards or backwards.
    ClockJump = "clock jump",
}

impl FaultClass {
    fn place(self) -> usize {
        // The variants have no values of their own: they count from 0, as the arrays do.
        self as usize
    }

    /// Whether it is damage that a store on a medium without redundancy cannot undo: what is allowed afterwards is a typed
    /// error, or less.
    pub const fn is_damage(self) -> bool {
        use FaultClass::{
            CutAtRecord, GarbageTail, MisdirectedWrite, RotInHeader, RotInLength, RotInPayload, StaleRead, ZeroedRange,
        };
        matches!(
            self,
            MisdirectedWrite
                | StaleRead
                | RotInPayload
                | RotInHeader
                | RotInLength
                | ZeroedRange
                | CutAtRecord
                | GarbageTail
        )
    }
}

/// How often each class happens: one in so many chances, 0 for never. What a chance is depends on the class: a transfer, a
/// call, a pending operation at a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    one_in: [u32; FaultClass::ALL.len()],
}

impl Plan {
    /// A machine that never fails.
    pub const fn none() -> Self {
        Self { one_in: [0; FaultClass::ALL.len()] }
    }

    /// Every class, at the rates of an ordinary run: a process meets about one failing call in its life, and every power
    /// failure does its worst.
    pub fn default_mix() -> Self {
        use FaultClass::{
            ClockJump, CutAtRecord, EmptyRead, EmptyWrite, FullAtCreate, FullAtWrite, GarbageTail, LostName, LostWrite,
            MisdirectedWrite, QuotaAtWrite, ReadError, Reordered, ReturnedName, RotInHeader, RotInLength, RotInPayload,
            SecondOpener, ShortRead, ShortWrite, StaleRead, SyncError, SyncForgets, TornAtByte, TornAtSector,
            UnflushedClose, WriteError, ZeroedRange,
        };
        Self::none()
            .with(TornAtByte, 4)
            .with(TornAtSector, 4)
            .with(LostWrite, 2)
            .with(LostName, 2)
            .with(ReturnedName, 2)
            // These two follow from what is lost, in which order, and who had the file open.
            .with(Reordered, 1)
            .with(UnflushedClose, 1)
            .with(MisdirectedWrite, 8)
            .with(StaleRead, 8)
            .with(RotInPayload, 8)
            .with(RotInHeader, 8)
            .with(RotInLength, 8)
            .with(ZeroedRange, 8)
            .with(CutAtRecord, 8)
            .with(GarbageTail, 8)
            .with(ReadError, 600)
            .with(WriteError, 900)
            .with(SyncError, 900)
            .with(SyncForgets, 600)
            .with(ShortRead, 12)
            .with(ShortWrite, 12)
            .with(EmptyRead, 1200)
            .with(EmptyWrite, 1500)
            .with(FullAtCreate, 60)
            .with(FullAtWrite, 900)
            .with(QuotaAtWrite, 12)
            .with(SecondOpener, 100)
            .with(ClockJump, 60)
    }

    /// The same with another rate for one class.
    #[must_use]
    pub const fn with(mut self, class: FaultClass, one_in: u32) -> Self {
        self.one_in[class as usize] = one_in;
        self
    }

    /// The rate of a class.
    pub fn one_in(&self, class: FaultClass) -> u32 {
        self.one_in[class.place()]
    }

    /// Whether a class can happen at all.
    pub fn enables(&self, class: FaultClass) -> bool {
        self.one_in(class) > 0
    }

    /// The classes that can happen.
    pub fn enabled(&self) -> impl Iterator<Item = FaultClass> {
        FaultClass::ALL.into_iter().filter(|class| self.enables(*class))
    }
}

/// How often each class has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    counts: [u64; FaultClass::ALL.len()],
}

impl Default for Fired {
    fn default() -> Self {
        Self { counts: [0; FaultClass::ALL.len()] }
    }
}

impl Fired {
    /// One more.
    pub fn count(&mut self, class: FaultClass) {
        self.counts[class.place()] += 1;
    }

    /// How often a class has happened.
    pub fn of(&self, class: FaultClass) -> u64 {
        self.counts[class.place()]
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The classes that the plan enables and that never happened: a run with one of them has tested less than it says.
    pub fn missing(&self, plan: &Plan) -> Vec<FaultClass> {
        plan.enabled().filter(|class| self.of(*class) == 0).collect()
    }
}

impl Add for Fired {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for Fired {
    fn add_assign(&mut self, other: Self) {
        for (own, more) in self.counts.iter_mut().zip(other.counts) {
            *own += more;
        }
    }
}
