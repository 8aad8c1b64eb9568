//! Disks of a few megabytes: mounted ones, and one in memory.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use foldb::{Db, FsStorage, Options, Result, storage::Storage};
use foldb_testkit::{SeededHost, crash::CrashStorage};
use tempfile::TempDir;

/// A small disk with stores on it. Programs mount the real ones, so each test is [`alone`](foldb_testkit::alone) from beginning to end.
pub(crate) trait Device {
    type Storage: Storage;

    fn name(&self) -> String;

    fn open(&self, store: &str, options: Options) -> Result<Db<Self::Storage>>;

    /// Takes all the room but so many bytes, for something that is not a store.
    fn occupy_all_but(&self, bytes: u64);

    /// Takes all the room that there still is.
    fn occupy_the_rest(&self);

    /// Gives all that room back.
    fn vacate(&self);

    /// Copies the files of a store as they are, if there is room for it; else nothing is left.
    fn copy(&self, store: &str) -> Option<String>;

    fn remove(&self, store: &str);
}

/// A file system that is unmounted when this is dropped.
pub(crate) struct Mounted {
    sort: &'static str,
    place: TempDir,
    /// What lies under it.
    below: Option<Box<Mounted>>,
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of a test is Unicode")
}

impl Mounted {
    /// `None` where this program may not mount.
    pub(crate) fn tmpfs(bytes: u64) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        succeeds("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", text(place.path())]).then(|| Self {
            sort: "tmpfs",
            place,
            below: None,
        })
    }

    /// An ext4 in a file. `None` where this program may not mount, or there is no `mkfs.ext4`.
    pub(crate) fn ext4(bytes: u64) -> Option<Self> {
        // With what the file system itself takes, and all on a tmpfs, so that syncs cost nothing.
        let bytes = bytes + (4 << 20);
        Self::ext4_on(Self::tmpfs(bytes + (1 << 20))?, bytes, "ext4")
    }

    /// An ext4 that believes in more room than the device under it has.
    pub(crate) fn ext4_that_will_fail(believed: u64, real: u64) -> Option<Self> {
        Self::ext4_on(Self::tmpfs(real)?, believed, "ext4 on a device that fails")
    }

    fn ext4_on(below: Self, bytes: u64, sort: &'static str) -> Option<Self> {
        let image = below.place.path().join("image");
        fs::File::create(&image).and_then(|file| file.set_len(bytes)).unwrap();
        let made = succeeds("mkfs.ext4", &["-q", "-O", "^has_journal", "-E", "lazy_itable_init=1", text(&image)]);
        let place = tempfile::tempdir().unwrap();
        let mounted = made && succeeds("mount", &["-o", "loop", text(&image), text(place.path())]);
        mounted.then(|| Self { sort, place, below: Some(Box::new(below)) })
    }

    /// Unmounts, which forgets what only the page cache had; gives the device below more room; mounts again.
    pub(crate) fn remount_on_a_larger_device(&mut self, bytes: u64) {
        let below = self.below.as_ref().expect("there is a device below");
        let (image, size) = (below.place.path().join("image"), format!("remount,size={bytes}"));
        assert!(succeeds("umount", &[text(self.place.path())]));
        assert!(succeeds("mount", &["-o", &size, text(below.place.path())]));
        succeeds("e2fsck", &["-fy", text(&image)]);
        assert!(succeeds("mount", &["-o", "loop", text(&image), text(self.place.path())]));
    }

    pub(crate) fn make_read_only(&self) {
        assert!(succeeds("mount", &["-o", "remount,ro", text(self.place.path())]));
    }

    pub(crate) fn path(&self, store: &str) -> PathBuf {
        self.place.path().join(store)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !succeeds("umount", &[text(self.place.path())]) {
            // Somebody still has a file open, after a test that failed: it goes when they do.
            succeeds("umount", &["-l", text(self.place.path())]);
        }
    }
}

/// Writes as much as there is room for, in ever smaller pieces. Returns the length.
fn fill_up(file: &fs::File) -> u64 {
    let mut len = 0;
    for piece in [1 << 20, 64 << 10, 4 << 10, 512] {
        let bytes = vec![1_u8; piece];
        while std::os::unix::fs::FileExt::write_all_at(file, &bytes, len).is_ok() {
            len += piece as u64;
        }
    }
    // What was delayed until now may find no room either.
    let _ = file.sync_all();
    len
}

impl Device for Mounted {
    type Storage = FsStorage;

    fn name(&self) -> String {
        self.sort.into()
    }

    fn open(&self, store: &str, options: Options) -> Result<Db<FsStorage>> {
        // Without a timer: what it writes would come at any time.
        Db::open(FsStorage::open(self.path(store), true)?, Arc::new(SeededHost::new(1)), options)
    }

    fn occupy_all_but(&self, bytes: u64) {
        let file = fs::File::create(self.path("filler")).unwrap();
        let len = fill_up(&file);
        file.set_len(len.saturating_sub(bytes)).unwrap();
        file.sync_all().unwrap();
    }

    fn occupy_the_rest(&self) {
        // Even the name may find no room.
        if let Ok(file) = fs::File::create(self.path("filler-2")) {
            fill_up(&file);
        }
    }

    fn vacate(&self) {
        for name in ["filler", "filler-2"] {
            let _ = fs::remove_file(self.path(name));
        }
    }

    fn copy(&self, store: &str) -> Option<String> {
        // Elsewhere first: here there may be no room for it.
        let elsewhere: BTreeMap<_, _> = fs::read_dir(self.path(store))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
            .collect();
        let name = format!("{store}-copy");
        let copied = fs::create_dir(self.path(&name)).is_ok()
            && elsewhere.iter().all(|(file, bytes)| fs::write(self.path(&name).join(file), bytes).is_ok());
        if !copied {
            self.remove(&name);
        }
        copied.then_some(name)
    }

    fn remove(&self, store: &str) {
        let _ = fs::remove_dir_all(self.path(store));
    }
}

/// A disk in memory with so many bytes, for one store.
pub(crate) struct Simulated {
    disk: CrashStorage,
    bytes: u64,
}

impl Simulated {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { disk: CrashStorage::new(), bytes }
    }
}

impl Device for Simulated {
    type Storage = CrashStorage;

    fn name(&self) -> String {
        "simulated".into()
    }

    fn open(&self, store: &str, options: Options) -> Result<Db<CrashStorage>> {
        let disk = match store.ends_with("-copy") {
            true => CrashStorage::from_image(&self.disk.live_image()),
            false => self.disk.clone(),
        };
        Db::open(disk, Arc::new(SeededHost::new(1)), options)
    }

    fn occupy_all_but(&self, bytes: u64) {
        self.disk.limit_capacity(Some(bytes));
    }

    fn occupy_the_rest(&self) {
        self.disk.limit_capacity(Some(self.disk.live_image().total_bytes()));
    }

    fn vacate(&self) {
        self.disk.limit_capacity(Some(self.bytes));
    }

    fn copy(&self, store: &str) -> Option<String> {
        Some(format!("{store}-copy"))
    }

    fn remove(&self, _: &str) {}
}
