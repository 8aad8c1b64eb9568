//! How one transaction is to be committed.
//!
//! Invariant: what is not said is as the store was opened with.

use alloc::{string::String, vec::Vec};

use super::Durability;
use crate::{log::OnceKey, state::readable, transaction::Cause};

/// How one transaction is to be committed.
#[derive(Clone, Debug, Default)]
pub struct TransactionOptions {
    pub(super) durability: Option<Durability>,
    pub(super) idempotency_key: Option<Vec<u8>>,
    pub(super) fingerprint: Vec<u8>,
    pub(super) retries: Option<u32>,
    pub(super) cause: Option<Cause>,
}

impl TransactionOptions {
    /// What the store's [`Options`](super::Options) say, and no idempotency key.
    pub fn new() -> Self {
        Self::default()
    }

    /// This transaction's durability: `Strict` waits for stable media in a `Relaxed` or `Buffered` store, `Relaxed` waits for
    /// the operating system and no longer, and `Buffered` for nothing. What was committed before is in the log before it, so
    /// it is at least as safe from then on. `InMemory` cannot be asked for here: the log would have a hole.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// A key that makes the commit happen once, also over crashes and restarts. [`Db::once_with`](super::Db::once_with)
    /// gives back what came of it, [`Db::transaction_with`](super::Db::transaction_with) says
    /// [`AlreadyDone`](crate::Error::AlreadyDone); neither runs its closure. A transaction that is committed by hand changes nothing
    /// and gets a receipt with `deduplicated` set. The newest 65,536 keys are remembered unless the store was told
    /// otherwise: see [`Db::set_idempotency_window`](super::Db::set_idempotency_window).
    #[must_use]
    pub fn idempotency_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.idempotency_key = Some(key.as_ref().to_vec());
        self
    }

    /// What tells the contents of this transaction from others under the same key: a hash of the request, say, of at most
    /// [`FINGERPRINT_BYTES_MAX`](crate::limits::FINGERPRINT_BYTES_MAX) bytes. The same key with another one is
    /// [`KeyReused`](crate::Error::KeyReused). Without any, the same key stands for the same request.
    #[must_use]
    pub fn fingerprint(mut self, fingerprint: impl AsRef<[u8]>) -> Self {
        self.fingerprint = fingerprint.as_ref().to_vec();
        self
    }

    /// Why this transaction is made: a trace entry, or a word such as who has asked for it, of at most
    /// [`CAUSE_BYTES_MAX`](crate::limits::CAUSE_BYTES_MAX) bytes. [`Db::commit_info`](super::Db::commit_info) tells it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The key, with what is remembered with it.
    pub(crate) fn once(&self) -> Option<OnceKey<'_>> {
        let key = self.idempotency_key.as_deref()?;
        Some(OnceKey { key, fingerprint: &self.fingerprint, result: &[] })
    }

    pub(crate) fn readable_key(&self) -> String {
        readable(self.idempotency_key.as_deref().unwrap_or_default())
    }

    pub(crate) fn durability_or(&self, default: Durability) -> Durability {
        self.durability.unwrap_or(default)
    }

    /// How often the closure form runs again after a conflict.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    pub(crate) fn retries_or(&self, default: u32) -> u32 {
        self.retries.unwrap_or(default)
    }
}
