//! Stores of a browser: opening, listing, destroying, and keeping files ready.
//!
//! Invariant: no future borrows a [`Store`]: it is called while the future waits.

use foldb_core::{Error, RecoveryMode, recovery::Damage};
use foldb_web::{OpenOptions, OpfsDirectory, OpfsStorage, pool::Pool};
use js_sys::{Function, Promise};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::future_to_promise;

use crate::{Store, failure::thrown, options, platform::PlatformStorage};

#[wasm_bindgen]
impl Store {
    /// The store of this name among those of the origin, for as long as nobody else has it. Only in a dedicated worker.
    #[wasm_bindgen(js_name = openOpfs)]
    pub async fn open_opfs(
        name: String,
        lock_wait_millis: u32,
        encoded: Vec<u8>,
        progress: Option<Function>,
    ) -> Result<Store, JsValue> {
        let options = options::store(&encoded).map_err(|error| thrown(&error))?;
        let wanted = OpenOptions::new().create(options.creates()).lock_wait_millis(lock_wait_millis);
        let storage = OpfsStorage::open(&name, &wanted).await.map_err(|error| thrown(&absent(error, &name)))?;
        let pool = storage.pool();
        let damage = damage(&storage);
        if let (Some(first), RecoveryMode::Strict) = (damage.first(), options.recovery_mode()) {
            let Damage { file, offset, rule, what, .. } = first.clone();
            return Err(thrown(&Error::Corrupt { file, offset, rule, what }));
        }
        let mut store = Store::open(PlatformStorage::Opfs(storage), &encoded, progress)?;
        store.pool = Some(pool);
        store.damage = damage;
        Ok(store)
    }

    /// Makes files ready where few are. Resolves when they are.
    pub fn replenish(&self) -> Promise {
        let pool = self.pool.clone();
        future_to_promise(async move {
            match pool {
                Some(pool) => pool.replenish().await.map_err(|error| thrown(&error)).map(|()| JsValue::UNDEFINED),
                None => Ok(JsValue::UNDEFINED),
            }
        })
    }
}

/// A store that is not there is no store, as on a file system.
fn absent(error: Error, name: &str) -> Error {
    match error {
        Error::Storage(foldb_core::storage::StorageError::Missing { .. }) => Error::NotAStore {
            path: name.into(),
            why: "there is no store of this name, and creating one was not asked for".into(),
        },
        other => other,
    }
}

/// The pool files whose headers are damaged, for the report of recovery: which files of the store they carried, if any, is
/// not known.
fn damage(storage: &OpfsStorage) -> Vec<Damage> {
    let damaged = storage.opening().damaged.iter();
    damaged
        .map(|file| Damage {
            file: file.clone(),
            offset: 0,
            len: foldb_web::pool::HEADER_BYTES,
            rule: "pool rule 2",
            what: "neither copy of the pool file's header passes, so whatever file of the store it carried is missing"
                .into(),
            seqs: None,
        })
        .collect()
}

/// Whether the pool of a store has few files left.
pub(crate) fn is_low(pool: Option<&Pool<OpfsDirectory>>) -> bool {
    pool.is_some_and(Pool::is_low)
}

/// The names of the stores of this origin.
#[wasm_bindgen(js_name = listStores)]
pub async fn list_stores() -> Result<Vec<String>, JsValue> {
    foldb_web::list().await.map_err(|error| thrown(&error))
}

/// Destroys a store that nobody has open, and says whether there was one.
#[wasm_bindgen(js_name = destroyStore)]
pub async fn destroy_store(name: String) -> Result<bool, JsValue> {
    foldb_web::destroy(&name).await.map_err(|error| thrown(&error))
}
