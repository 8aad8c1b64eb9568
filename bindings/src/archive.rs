//! A store as one file: what JavaScript pulls from an open store, step by step, and pushes into a new one.
//!
//! Invariant: both are in pieces, so that memory is bounded whatever the size of the store; and nothing that was imported
//! counts as a store before [`StoreImport::finish`] has returned without an error.

use core::ops::ControlFlow;

use foldb_archive::{ArchiveError, Exporter, Importer, Summed, Summing};
use foldb_core::{Checkpoint, storage::MemStorage};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    failure::archive_thrown,
    node::{NodeFiles, NodeStorage},
    platform::PlatformStorage,
    wire::Output,
};

/// How much is handed to JavaScript at once.
const PIECE_BYTES: usize = 1 << 20;
/// The pieces in which the beginning of an archive is looked at.
const BLOCK_BYTES: usize = 512;

/// An archive of an open store as of one moment, under way.
pub(crate) enum Export {
    Summing(Summing<Checkpoint<PlatformStorage>>),
    Reading(Exporter<Checkpoint<PlatformStorage>>),
}

impl Export {
    pub(crate) fn new(checkpoint: Checkpoint<PlatformStorage>) -> Self {
        Export::Summing(Summing::new(checkpoint))
    }

    /// Does the next step and answers with whether it was the last, how far the export is, of how much, and a piece of the
    /// archive. Both readings of the files count. `None` after the last.
    pub(crate) fn step(self, out: &mut Output) -> Result<Option<Export>, ArchiveError> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut told = |finished, done, total| {
            out.flag(finished);
            out.number(done);
            out.number(total);
        };
        match self {
            Export::Summing(summing) => {
                told(false, summing.position(), summing.total_bytes() * 2);
                Ok(Some(match summing.step(&mut piece)? {
                    Summed::More(summing) => Export::Summing(summing),
                    Summed::Ready(exporter) => Export::Reading(exporter),
                }))
            }
            Export::Reading(mut exporter) => {
                let total = exporter.total_bytes();
                let count = exporter.read(&mut piece)?;
                let finished = exporter.position() == total;
                told(finished, total + exporter.position(), total * 2);
                out.0.extend_from_slice(piece.get(..count).unwrap_or_default());
                Ok((!finished).then_some(Export::Reading(exporter)))
            }
        }
    }
}

/// An import under way.
#[wasm_bindgen]
pub struct StoreImport {
    importer: Option<Importer<PlatformStorage>>,
    #[cfg(target_family = "wasm")]
    pool: Option<foldb_web::pool::Pool<foldb_web::OpfsDirectory>>,
}

impl StoreImport {
    fn into_storage(storage: PlatformStorage) -> Result<Self, JsValue> {
        let importer = Importer::new(storage).map_err(|error| archive_thrown(&error))?;
        Ok(StoreImport {
            importer: Some(importer),
            #[cfg(target_family = "wasm")]
            pool: None,
        })
    }

    fn importer(&mut self) -> Result<&mut Importer<PlatformStorage>, JsValue> {
        self.importer.as_mut().ok_or_else(|| archive_thrown(&ArchiveError::Ended))
    }
}

#[wasm_bindgen]
impl StoreImport {
    /// Into the module's memory, to see whether an archive is whole.
    #[wasm_bindgen(js_name = intoMemory)]
    pub fn into_memory() -> Result<StoreImport, JsValue> {
        Self::into_storage(PlatformStorage::Memory(MemStorage::new()))
    }

    /// Into a directory, which the caller has locked.
    #[wasm_bindgen(js_name = intoNode)]
    pub fn into_node(files: NodeFiles) -> Result<StoreImport, JsValue> {
        Self::into_storage(PlatformStorage::Node(NodeStorage::new(files)))
    }

    /// Takes the next bytes and returns how many: fewer than there are where the manifest has come. Then `reserve`
    /// has to be waited for before the rest.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, JsValue> {
        let importer = self.importer()?;
        let mut taken = 0;
        while importer.manifest().is_none() && taken < bytes.len() {
            let piece = bytes.get(taken..(taken + BLOCK_BYTES).min(bytes.len())).unwrap_or_default();
            importer.write(piece).map_err(|error| archive_thrown(&error))?;
            taken += piece.len();
            if importer.manifest().is_some() {
                return Ok(taken);
            }
        }
        importer.write(bytes.get(taken..).unwrap_or_default()).map_err(|error| archive_thrown(&error))?;
        Ok(bytes.len())
    }

    /// Checks that all has come, and makes it a store. Returns the seq of its last commit.
    pub fn finish(&mut self) -> Result<f64, JsValue> {
        let importer = self.importer.take().ok_or_else(|| archive_thrown(&ArchiveError::Ended))?;
        let (imported, _) =
            importer.finish(&mut |_| ControlFlow::Continue(())).map_err(|error| archive_thrown(&error))?;
        // Seqs are below 2^48.
        Ok(imported.seq as f64)
    }

    /// Gives up and clears away what has come.
    pub fn cancel(&mut self) -> Result<(), JsValue> {
        match self.importer.take() {
            Some(importer) => importer.cancel().map(drop).map_err(|error| archive_thrown(&error)),
            None => Ok(()),
        }
    }
}

#[cfg(target_family = "wasm")]
#[wasm_bindgen]
impl StoreImport {
    /// Into a store of this origin, for as long as nobody else has it. Only in a dedicated worker.
    #[wasm_bindgen(js_name = intoOpfs)]
    pub async fn into_opfs(name: String, lock_wait_millis: u32) -> Result<StoreImport, JsValue> {
        let wanted = foldb_web::OpenOptions::new().lock_wait_millis(lock_wait_millis);
        let opened = foldb_web::OpfsStorage::open(&name, &wanted).await;
        let storage = opened.map_err(|error| crate::failure::thrown(&error))?;
        let pool = storage.pool();
        let mut import = Self::into_storage(PlatformStorage::Opfs(storage))?;
        import.pool = Some(pool);
        Ok(import)
    }

    /// Makes as many files ready as the archive has.
    pub fn reserve(&self) -> js_sys::Promise {
        let pool = self.pool.clone();
        let files = self.importer.as_ref().and_then(Importer::manifest).map_or(0, |manifest| manifest.files().len());
        wasm_bindgen_futures::future_to_promise(async move {
            match pool {
                // One more for the mark of the import.
                Some(pool) => {
                    let reserved = pool.reserve(files + 1).await;
                    reserved.map_err(|error| crate::failure::thrown(&error)).map(|()| JsValue::UNDEFINED)
                }
                None => Ok(JsValue::UNDEFINED),
            }
        })
    }
}
