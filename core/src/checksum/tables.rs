//! CRC-32 by tables that are computed at first use, sixteen bytes at a time.
//!
//! Invariant: [`Hasher`] has those methods of `crc32fast::Hasher` that core uses, and gives the same numbers.

use alloc::{boxed::Box, vec};

use once_cell::race::OnceBox;

/// The polynomial, bits reversed as the algorithm processes them.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// Bytes that are taken in at once.
const STEP: usize = 16;

/// For each byte, what it does to the checksum when as many bytes follow it in its step as the table's number says.
type Tables = [[u32; 256]; STEP];

fn tables() -> &'static Tables {
    static TABLES: OnceBox<Tables> = OnceBox::new();
    TABLES.get_or_init(|| {
        // Made in place on the heap; 16 KiB would be much for a stack.
        let mut tables: Box<Tables> = vec![[0; 256]; STEP].try_into().unwrap_or_else(|_| Box::new([[0; 256]; STEP]));
        let [first, longer @ ..] = &mut *tables;
        for (value, byte) in first.iter_mut().zip(0_u32..) {
            *value = (0..8).fold(byte, |crc, _| (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 });
        }
        let mut shorter = &*first;
        for table in longer {
            for (value, before) in table.iter_mut().zip(shorter) {
                *value = (before >> 8) ^ of(first, before.to_le_bytes()[0]);
            }
            shorter = table;
        }
        tables
    })
}

/// What a table has for a byte; there is something for each.
fn of(table: &[u32; 256], byte: u8) -> u32 {
    table[usize::from(byte)]
}

/// The checksum of bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    value: u32,
    /// How many bytes it is of.
    len: u64,
}

impl Hasher {
    /// Of no bytes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// To go on behind bytes with this checksum.
    pub fn new_with_initial(value: u32) -> Self {
        Self { value, len: 0 }
    }

    /// To go on behind `len` bytes with this checksum.
    pub fn new_with_initial_len(value: u32, len: u64) -> Self {
        Self { value, len }
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let tables = tables();
        let mut crc = !self.value;
        let (steps, rest) = bytes.as_chunks::<STEP>();
        for step in steps {
            let [a, b, c, d] = crc.to_le_bytes();
            crc = of(&tables[15], step[0] ^ a)
                ^ of(&tables[14], step[1] ^ b)
                ^ of(&tables[13], step[2] ^ c)
                ^ of(&tables[12], step[3] ^ d)
                ^ of(&tables[11], step[4])
                ^ of(&tables[10], step[5])
                ^ of(&tables[9], step[6])
                ^ of(&tables[8], step[7])
                ^ of(&tables[7], step[8])
                ^ of(&tables[6], step[9])
                ^ of(&tables[5], step[10])
                ^ of(&tables[4], step[11])
                ^ of(&tables[3], step[12])
                ^ of(&tables[2], step[13])
                ^ of(&tables[1], step[14])
                ^ of(&tables[0], step[15]);
        }
        for byte in rest {
            crc = (crc >> 8) ^ of(&tables[0], crc.to_le_bytes()[0] ^ byte);
        }
        self.value = !crc;
        self.len = self.len.wrapping_add(bytes.len() as u64);
    }

    /// Takes in the bytes of another one, as if they came behind those of this one.
    pub fn combine(&mut self, other: &Self) {
        // That part of `crc32fast` is small.
        let mut whole = crc32fast::Hasher::new_with_initial_len(self.value, self.len);
        whole.combine(&crc32fast::Hasher::new_with_initial_len(other.value, other.len));
        *self = Self { value: whole.finalize(), len: self.len.wrapping_add(other.len) };
    }

    /// The checksum.
    pub fn finalize(self) -> u32 {
        self.value
    }
}

/// The checksum of these bytes.
pub fn hash(bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher.finalize()
}
