//! The operations that a request can ask for.
//!
//! Invariant: numbers are never given to another operation; `ts/operation.ts` has the same table, and a test compares
//! the two.

macro_rules! operations {
    ($($name:ident = $number:literal,)+) => {
        /// What a request asks for: its first byte.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the names are those of the methods, whose documentation is in ts/api/")]
        pub enum Operation {
            $($name = $number,)+
        }

        impl Operation {
            /// All of them.
            pub const ALL: &[(&str, Operation)] = &[$((stringify!($name), Operation::$name),)+];

            /// The operation of this number.
            pub(crate) fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($number => Some(Operation::$name),)+
                    _ => None,
                }
            }
        }
    };
}

operations! {
    EntryGet = 1,
    EntryGetVersioned = 2,
    EntryGetMany = 3,
    EntryExists = 4,
    EntryCount = 5,
    EntryKeys = 6,
    EntryScan = 7,
    EntryExistsMany = 8,
    EntryDeleteRange = 9,
    EntryPut = 10,
    EntryPutIfAbsent = 11,
    EntryTouch = 12,
    EntryExpireAt = 13,
    EntryPersist = 14,
    EntryExpiresAt = 15,
    KvPut = 16,
    KvPutMany = 17,
    KvPutIfAbsent = 18,
    KvDelete = 19,
    KvRemove = 20,
    KvDeleteMany = 21,
    KvCasVersion = 22,
    KvCasValue = 23,
    KvGetAndPut = 24,
    KvGetAndDelete = 25,
    KvRename = 26,
    KvAddI64 = 27,
    KvAddU64 = 28,
    KvAddF64 = 29,
    KvAddU256 = 30,
    JsonSet = 40,
    JsonSetMany = 41,
    JsonDelete = 42,
    JsonDeleteMany = 43,
    JsonGetAt = 44,
    JsonLengthAt = 45,
    JsonTypeAt = 46,
    JsonKeysAt = 47,
    JsonSelect = 48,
    JsonSetAt = 49,
    JsonDeleteAt = 50,
    JsonMergeAt = 51,
    JsonPatch = 52,
    JsonPushAt = 53,
    JsonPopAt = 54,
    JsonIncrementAt = 55,
    JsonCasVersion = 56,
    JsonUpsert = 57,
    JsonReplace = 58,
    EventGet = 70,
    EventRange = 71,
    EventHead = 72,
    EventFirst = 73,
    EventLength = 74,
    EventInfo = 75,
    EventStreams = 76,
    EventVerifyChain = 77,
    EventAppend = 78,
    EventAppendBatch = 79,
    EventTrim = 80,
    EventDeleteStream = 81,
    EventAll = 82,
    CellInit = 90,
    CellSet = 91,
    CellDelete = 92,
    CellCas = 93,
    TraceGet = 100,
    TraceExists = 101,
    TraceCount = 102,
    TraceList = 103,
    TraceRecord = 104,
    TraceFinish = 105,
    RunBegin = 120,
    RunInfo = 121,
    RunList = 122,
    RunEnd = 123,
    RunResume = 124,
    RunSetLabel = 125,
    RunSetMetadata = 126,
    RunDelete = 127,
    RunBeginOrGet = 128,
    TransactionBegin = 140,
    TransactionCommit = 141,
    TransactionRollback = 142,
    TransactionSeq = 143,
    TransactionSavepoint = 144,
    TransactionRollbackTo = 145,
    TransactionResult = 146,
    TransactionBecause = 147,
    ViewOpen = 150,
    ReplayOpen = 151,
    Release = 152,
    Digest = 153,
    Diff = 154,
    VerifyOpen = 155,
    VerifyStep = 156,
    ExportOpen = 157,
    ExportStep = 158,
    Subscribe = 159,
    StoreSync = 170,
    StoreWaitDurable = 171,
    StoreDurableSeq = 172,
    StoreSnapshot = 173,
    StoreStats = 175,
    StoreOpened = 176,
    StoreRecall = 177,
    StoreSeen = 178,
    StoreKeyWindow = 179,
    StoreSetKeyWindow = 180,
    StoreRefresh = 181,
    StoreCommitInfo = 182,
    StoreSweep = 183,
    QueuePush = 190,
    QueueClaim = 191,
    QueueAck = 192,
    QueueNack = 193,
    QueueExtend = 194,
    QueueDead = 195,
    QueueRevive = 196,
    QueueDiscard = 197,
    QueueCounts = 198,
    QueueSubscribe = 199,
}

#[cfg(test)]
mod tests {
    use super::Operation;

    #[test]
    fn typescript_has_the_same_table() {
        let table = include_str!("../ts/operation.ts");
        let pairs: Vec<(&str, u8)> = table
            .lines()
            .filter_map(|line| line.trim().strip_suffix(',')?.split_once(": "))
            .filter_map(|(name, number)| Some((name, number.parse().ok()?)))
            .collect();
        let expected: Vec<(&str, u8)> =
            Operation::ALL.iter().map(|(name, operation)| (*name, *operation as u8)).collect();
        assert_eq!(pairs, expected);
    }
}
