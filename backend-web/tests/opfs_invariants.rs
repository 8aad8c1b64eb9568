//! The promises of recovery and replay over OPFS, in a dedicated worker of a real browser: the checks, histories and digests
//! are those of the native tests.
#![cfg(target_family = "wasm")]

// The shared modules name the store as a program does that uses the facade, which has files that a browser has not.
extern crate foldb_core as foldb;

#[path = "../../tests/everywhere/mod.rs"]
mod everywhere;
#[path = "../../tests/scenario/mod.rs"]
mod scenario;
#[path = "../../tests/workload/mod.rs"]
mod workload;

use std::rc::Rc;

use everywhere::{Disk, Memory, checks};
use foldb_core::storage::{Storage, StorageError, StorageFile};
use foldb_testkit::crash::Image;
use foldb_web::{OpenOptions, OpfsFile, OpfsStorage};
use wasm_bindgen_test::{console_log, wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// More than any history here has files at once.
const FILES: usize = 60;

/// One store of OPFS that stays open while other files are laid down in it.
struct Opfs(Rc<OpfsStorage>);

/// The storage, for one opening of the database after another.
struct Shared(Rc<OpfsStorage>);

impl Storage for Shared {
    type File = OpfsFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.0.list()
    }

    fn create(&self, name: &str) -> Result<OpfsFile, StorageError> {
        self.0.create(name)
    }

    fn open(&self, name: &str) -> Result<OpfsFile, StorageError> {
        self.0.open(name)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.0.remove(name)
    }
}

impl Disk for Opfs {
    type Storage = Shared;

    fn load(&self, image: &Image) -> Shared {
        for name in self.0.list().unwrap() {
            self.0.remove(&name).unwrap();
        }
        for (name, bytes) in image.to_files() {
            let file = self.0.create(&name).unwrap();
            file.write_at(0, &bytes).unwrap();
            file.sync().unwrap();
        }
        self.again()
    }

    fn again(&self) -> Shared {
        Shared(Rc::clone(&self.0))
    }

    fn image(&self) -> Image {
        let read = |name: String| {
            let file = self.0.open(&name).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_at(0, &mut bytes).unwrap();
            (name, bytes)
        };
        Image::from_files(self.0.list().unwrap().into_iter().map(read))
    }
}

#[wasm_bindgen_test]
async fn recovery_and_replay_keep_their_promises_over_opfs() {
    let options = OpenOptions::new().ready(FILES);
    let storage = Rc::new(OpfsStorage::open("invariants", &options).await.unwrap());
    storage.pool().reserve(FILES).await.unwrap();
    let disk = Opfs(storage);
    for (name, check) in checks::<Opfs>() {
        console_log!("{name}");
        check(&disk);
    }
}

#[wasm_bindgen_test]
fn recovery_and_replay_keep_their_promises_in_memory() {
    for (name, check) in checks::<Memory>() {
        console_log!("{name}");
        check(&Memory::default());
    }
}
