//! Opening a store for reading only: recovery over a moment of its files, and nothing written afterwards.
//!
//! Invariant: what is shown is what recovery would come to, with the tail where it lies instead of where it would be carried.

use alloc::{sync::Arc, vec::Vec};
use core::ops::ControlFlow;

use super::{
    super::{
        Db, Durability, Options,
        open::assemble,
        shared::{Files, StoragePages},
    },
    Reader, Stand,
    moment::Moment,
    settled::settled,
};
use crate::{
    Error, Result, StoreId,
    host::Host,
    recovery::{
        Damage, Progress, ProgressCallback, Recovered, RecoverySettings, catch_up, log::survey, recover, with_tail,
    },
    state::State,
    storage::{Storage, StorageError},
};

/// What a look has found.
pub(super) struct Found {
    pub(super) stand: Stand,
    /// With the tail in it.
    pub(super) shown: State,
}

impl Found {
    pub(super) fn check_same_store(&self, stand: &Stand) -> Result<()> {
        check_same_store(Some(self.stand.store), stand)
    }
}

/// How to look.
pub(super) struct Look<'a, S: Storage> {
    pub(super) storage: &'a S,
    pub(super) host: &'a dyn Host,
    pub(super) files: &'a Files<S>,
    pub(super) settings: RecoverySettings,
}

impl<S: Storage> Look<'_, S> {
    fn pages(&self) -> StoragePages<'_, S> {
        StoragePages { storage: self.storage, files: self.files }
    }

    /// Opens what there is now, and keeps open what the state is made of. Gives the result of recovery too, with the shown state.
    fn anew(&self, progress: ProgressCallback<'_>) -> Result<(Stand, Recovered)> {
        let moment = Moment::take(self.storage)?;
        let mut recovered = recover(&moment, self.host, &self.pages(), self.settings, progress)?;
        let Some(store) = recovered.survey.store else {
            return Err(Error::NotAStore {
                path: "the storage".into(),
                why: "nothing was committed to it yet, and a store that is opened for reading only is not created"
                    .into(),
            });
        };
        let generation = recovered.loaded.as_ref().map(|meta| meta.generation);
        if let Some(generation) = generation {
            self.files.hold_snapshot(self.storage, generation)?;
        }
        let shown = with_tail(&recovered.state, &recovered.outcome, &self.pages())?;
        let proven = core::mem::replace(&mut recovered.state, shown);
        let of = (store, recovered.survey.epoch, generation);
        Ok((Stand::new(moment.seen, proven, &recovered.survey, &recovered.outcome, of), recovered))
    }

    /// [`anew`](Self::anew), with what is wrong beside.
    pub(super) fn found_anew(&self) -> Result<(Found, Vec<Damage>)> {
        let (stand, recovered) = self.anew(&mut |_| ControlFlow::Continue(()))?;
        let noted = noted(&recovered);
        Ok((Found { stand, shown: recovered.state }, noted))
    }

    /// Goes on from where somebody stands. `None` where that place is not in the log any more.
    pub(super) fn onward(&self, moment: Moment<'_, S>, stand: &Stand) -> Result<Option<Found>> {
        let Some((from, header)) = &stand.from else { return Ok(None) };
        let mut survey = survey(&moment, self.settings.mode)?;
        check_same_store(survey.store, stand)?;
        if !survey.segments.iter().any(|segment| segment.number == from.segment && segment.header == *header) {
            return Ok(None);
        }
        survey.prove(from.seq);
        let mut proven = stand.proven.clone();
        let progress: ProgressCallback<'_> = &mut |_| ControlFlow::Continue(());
        let outcome = catch_up(&moment, &survey, *from, &mut proven, &self.pages(), progress)?;
        let shown = with_tail(&proven, &outcome, &self.pages())?;
        let epoch = stand.epoch.max(survey.epoch).max(outcome.epoch);
        let stand = Stand::new(moment.seen, proven, &survey, &outcome, (stand.store, epoch, stand.generation));
        Ok(Some(Found { stand, shown }))
    }
}

/// Another store in the place of this one is not a newer version of it.
fn check_same_store(found: Option<StoreId>, stand: &Stand) -> Result<()> {
    if found == Some(stand.store) {
        return Ok(());
    }
    let what = match found {
        Some(other) => alloc::format!("store {other} is in its place"),
        None => "there is no store in its place".into(),
    };
    Err(StorageError::Displaced { name: alloc::format!("store {}", stand.store), what }.into())
}

fn noted(recovered: &Recovered) -> Vec<Damage> {
    recovered.report.rejected_snapshots.iter().chain(&recovered.report.damage).cloned().collect()
}

impl<S: Storage> Db<S> {
    /// [`Db::open`] for reading only.
    pub(in crate::db) fn open_reader(
        storage: S,
        host: Arc<dyn Host + Send + Sync>,
        mut options: Options,
    ) -> Result<Self> {
        options.create = false;
        // There is a log, or there would be no store.
        options.durability = Durability::buffered();
        let files = Files::new(options.open_segments);
        let mut progress = options.progress.take();
        let mut on_progress = |step: Progress| match &mut progress {
            Some(progress) => progress(step),
            None => ControlFlow::Continue(()),
        };
        let settings =
            RecoverySettings { mode: options.recovery, check_snapshots: options.check_snapshots, importing: false };
        let look = Look { storage: &storage, host: &*host, files: &files, settings };
        let (stand, mut recovered) = settled(|_| {
            let found = look.anew(&mut on_progress)?;
            let noted = noted(&found.1);
            Ok((found, noted))
        })?;
        files.hold_only(|generation| stand.generation == Some(generation));
        // What is torn at the end is on its way, or will be cut by whoever opens the store to write.
        recovered.report.log.cut = None;
        recovered.report.log.orphaned_transactions = 0;
        let shown = recovered.state.clone();
        let (mut shared, report, _) = assemble(storage, host, options, files, recovered);
        shared.set_epoch(stand.shown_epoch(&shared.storage));
        shared.lock().engine.follow(shown, stand.proven_seq);
        shared.reader = Some(Reader::new(stand));
        let report = report.finish(&shared);
        Ok(Db::opened(shared, report))
    }
}

impl Stand {
    /// The epoch by which runs are judged. As long as the last process that wrote may be there, the runs that it has open are open;
    /// otherwise they are orphaned, as they will be for whoever opens the store next.
    pub(super) fn shown_epoch<S: Storage>(&self, storage: &S) -> u64 {
        match storage.has_writer() {
            Some(false) => self.epoch.saturating_add(1),
            Some(true) | None => self.epoch,
        }
    }
}
