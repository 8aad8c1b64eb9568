//! Rules about the order of writes, looked at in the journal of a recovery.
//!
//! Invariant: a rule is here only where a violation of it shows in the contents after a chain of crashes that is too long to
//! enumerate, each of them likely enough. The chain is written down at the rule; the tests of the whole store have one that
//! goes through it.

use foldb_core::log::{ANCHOR_BYTES, Anchor, AnchorSlot};

use crate::crash::{Action, CrashStorage, Image, Operation};

/// Looks at what a recovery from an image has done to the disk.
pub(super) fn check(image: &Image, disk: &CrashStorage) -> Result<(), String> {
    let torn: Vec<AnchorSlot> = AnchorSlot::BOTH.into_iter().filter(|slot| is_torn(image, *slot)).collect();
    if torn.is_empty() || !disk.is_changed() {
        return Ok(());
    }
    let operations = disk.operations();
    torn.into_iter().try_for_each(|slot| wiped_before_it_is_written(slot, &operations))
}

/// Whether a slot holds neither an anchor nor zeros.
fn is_torn(image: &Image, slot: AnchorSlot) -> bool {
    let bytes = image.bytes(slot.name()).unwrap_or_default();
    let bytes = bytes.get(..ANCHOR_BYTES).unwrap_or(&bytes);
    bytes.iter().any(|byte| *byte != 0) && !matches!(Anchor::decode(slot.name(), bytes), Ok(Some(_)))
}

/// F-9: what is left of a torn anchor is zeroed, and the zeros are synced, before the slot is written. Else: the writing of an
/// anchor over an old one is cut off behind the counter; the next opening gives out the counter of the old one again, is cut
/// off at the same place, and the old anchor is whole again, with what was true then.
fn wiped_before_it_is_written(slot: AnchorSlot, operations: &[Operation]) -> Result<(), String> {
    let mut wiped = false;
    for operation in operations.iter().filter(|operation| *operation.name == *slot.name()) {
        match &operation.action {
            // Another file, without the bytes of the old one.
            Action::Create => return Ok(()),
            Action::Sync if wiped => return Ok(()),
            Action::Write { offset: 0, bytes }
                if bytes.len() >= ANCHOR_BYTES && bytes.iter().all(|byte| *byte == 0) =>
            {
                wiped = true;
            }
            Action::Write { .. } => return Err(format!("{} is torn, and written over (F-9)", slot.name())),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use foldb_core::storage::{Storage, StorageFile};

    fn torn() -> Image {
        Image::from_files([(AnchorSlot::A.name(), vec![7; ANCHOR_BYTES])])
    }

    #[test]
    fn a_torn_anchor_may_be_written_over_when_the_zeros_over_it_are_synced_and_not_before() {
        let judge = |work: &dyn Fn(&CrashStorage)| {
            let disk = CrashStorage::from_image(&torn());
            work(&disk);
            check(&torn(), &disk)
        };
        let open = |disk: &CrashStorage| disk.open(AnchorSlot::A.name()).unwrap();
        let write = |disk: &CrashStorage, byte: u8| open(disk).write_at(0, &[byte; ANCHOR_BYTES]).unwrap();
        assert!(judge(&|disk| write(disk, 1)).is_err());
        let unsynced = |disk: &CrashStorage| {
            write(disk, 0);
            write(disk, 1);
        };
        assert!(judge(&unsynced).is_err());
        let synced = |disk: &CrashStorage| {
            write(disk, 0);
            open(disk).sync().unwrap();
            write(disk, 1);
        };
        assert!(judge(&synced).is_ok());
        assert!(judge(&|_| {}).is_ok());
    }
}
