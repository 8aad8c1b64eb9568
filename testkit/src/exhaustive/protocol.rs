//! Rules about the order of writes, looked at in the journal of a recovery.
//!
//! Invariant: a rule is here only where a violation of it shows in the contents after a chain of crashes that is too long to
//! enumerate, each of them likely enough. The chain is written down at the rule; the tests of the whole store have one that
//! goes through it.

use foldb_core::log::{ANCHOR_BYTES, Anchor, AnchorSlot};

use crate::crash::{Action, CrashStorage, Image, Operation};

/// Looks at what a recovery from an image has done to the disk.
pub(super) fn check(image: &Image, disk: &CrashStorage) -> Result<(), String> {
    if !disk.is_changed() {
        return Ok(());
    }
    let operations = disk.operations();
    AnchorSlot::BOTH
        .into_iter()
        .try_for_each(|slot| emptied_before_it_is_written(slot, is_torn(image, slot), &operations))
}

/// Whether a slot holds neither an anchor nor zeros.
fn is_torn(image: &Image, slot: AnchorSlot) -> bool {
    let bytes = image.bytes(slot.name()).unwrap_or_default();
    let bytes = bytes.get(..ANCHOR_BYTES).unwrap_or(&bytes);
    bytes.iter().any(|byte| *byte != 0) && !matches!(Anchor::decode(slot.name(), bytes), Ok(Some(_)))
}

/// F-9: an anchor's file is zeroed, and the zeros are synced, before it is removed, and a torn one before it is written. Else:
/// a removed file comes back, and the snapshot that it names has been wiped; or the writing of an anchor over an old one is
/// cut off behind the counter, the next opening gives out the counter of the old one again, is cut off at the same place, and
/// the old anchor is whole again, with what was true then.
fn emptied_before_it_is_written(slot: AnchorSlot, is_torn: bool, operations: &[Operation]) -> Result<(), String> {
    let mut emptied = false;
    for operation in operations.iter().filter(|operation| *operation.name == *slot.name()) {
        match &operation.action {
            // There was none before.
            Action::Create => return Ok(()),
            Action::Remove => return Err(format!("{} is removed with what it says (F-9)", slot.name())),
            Action::Sync if emptied => return Ok(()),
            Action::Write { offset: 0, bytes }
                if bytes.len() >= ANCHOR_BYTES && bytes.iter().all(|byte| *byte == 0) =>
            {
                emptied = true;
            }
            Action::Write { .. } if is_torn => return Err(format!("{} is torn, and written over (F-9)", slot.name())),
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
        assert!(judge(&|disk| disk.remove(AnchorSlot::A.name()).unwrap()).is_err());
    }
}
