//! [`SimMachine`], [`SimStorage`] and [`SimFile`]: the simulated machine as a test and as a store see it.
//!
//! Invariant: the contract of [`foldb_core::storage`] is kept to the letter above a device that does not: transfers are
//! repeated until they are complete, a transfer of nothing is an error, and a store is open in one process at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldb_core::storage::{LockHolder, Storage, StorageError, StorageFile, check_name};

use super::{
    fault::{FaultClass, Fired, Plan},
    hardware::Machine,
};
use crate::{
    Random,
    crash::{FileId, Image, contents::wide},
};

/// A machine with one disk, on which processes open one store after the other. A clone is the same machine.
#[derive(Clone)]
pub struct SimMachine {
    machine: Arc<Mutex<Machine>>,
}

/// The storage of one process. Once the process has ended, or the power has, everything fails.
pub struct SimStorage {
    machine: Arc<Mutex<Machine>>,
    process: u64,
}

/// An open file of a [`SimStorage`].
pub struct SimFile {
    machine: Arc<Mutex<Machine>>,
    process: u64,
    id: FileId,
    name: Arc<str>,
}

impl SimMachine {
    /// A machine with an empty disk. All its dice come from the seed.
    pub fn new(seed: u64, plan: Plan) -> Self {
        Self::from_image(seed, plan, &Image::default())
    }

    /// A machine that starts with these files, all of them durable.
    pub fn from_image(seed: u64, plan: Plan, image: &Image) -> Self {
        Self { machine: Arc::new(Mutex::new(Machine::new(Random::new(seed), plan, image))) }
    }

    /// A new process takes the store.
    ///
    /// # Errors
    /// [`StorageError::Locked`] while another process has it.
    pub fn attach(&self) -> Result<SimStorage, StorageError> {
        let mut machine = self.lock();
        if machine.owner.is_some() {
            machine.fired.count(FaultClass::SecondOpener);
            return Err(StorageError::Locked { name: "the simulated disk".into(), holder: LockHolder::OtherProcess });
        }
        let process = machine.process_begins();
        Ok(SimStorage { machine: Arc::clone(&self.machine), process })
    }

    /// The process that has the store ends. What it wrote stays as it is, synced or not.
    pub fn kill(&self) {
        self.lock().process_ended();
    }

    /// Somebody takes away what the store is locked by, as a person does who removes a lock file: the process that has the
    /// store goes on with its handles, and keeps nobody out any more.
    pub fn displace(&self) {
        let mut machine = self.lock();
        machine.displaced = machine.owner;
    }

    /// The power fails and comes back: what was not synced meets its fate.
    pub fn lose_power(&self) {
        let mut machine = self.lock();
        let image = machine.crash_image();
        machine.start_from(&image);
    }

    /// One more way in which a power failure now can end. The machine itself goes on.
    pub fn crash_image(&self) -> Image {
        self.lock().crash_image()
    }

    /// After so many more changes of the disk the power fails, in the middle of whatever asks for the next one.
    pub fn cut_power_after(&self, changes: u64) {
        self.lock().cut_after = Some(changes);
    }

    /// Whether the power has failed.
    pub fn is_down(&self) -> bool {
        self.lock().down
    }

    /// The nth transfer to the disk from now on (0 is the next) lands in a wrong place.
    pub fn misdirect_write(&self, nth: u64) {
        self.lock().misdirect_after = Some(nth);
    }

    /// A machine with the same files on which, until its first process ends, some region reads as it was before it was
    /// last written here. `None` if nothing was overwritten here.
    pub fn with_stale_read(&self, seed: u64, plan: Plan) -> Option<Self> {
        let machine = self.lock();
        let mut stale = Machine::new(Random::new(seed), plan, &machine.live_image());
        stale.go_stale(&machine).then(|| Self { machine: Arc::new(Mutex::new(stale)) })
    }

    /// The files as a process would see them.
    pub fn live_image(&self) -> Image {
        self.lock().live_image()
    }

    /// The files as they would be if the device had done what it was told.
    pub fn intended_image(&self) -> Image {
        self.lock().intended_image()
    }

    /// The files as the present process is shown them.
    pub fn shown_image(&self) -> Image {
        self.lock().shown_image()
    }

    /// How often each class of fault has happened on this machine.
    pub fn fired(&self) -> Fired {
        self.lock().fired
    }

    /// Counts a fault that happened beside the disk.
    pub fn count(&self, class: FaultClass) {
        self.lock().fired.count(class);
    }

    /// What the machine fails with from now on.
    pub fn set_plan(&self, plan: Plan) {
        self.lock().plan = plan;
    }

    /// BLAKE3 over every change that was made to the disk, in order.
    pub fn trace_digest(&self) -> [u8; 32] {
        self.lock().trace_digest()
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }
}

fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The machine, for a process that still lives.
fn alive<'m>(machine: &'m Mutex<Machine>, process: u64, name: &str) -> Result<MutexGuard<'m, Machine>, StorageError> {
    let machine = lock(machine);
    let message = match (machine.down, machine.owner == Some(process)) {
        (true, _) => "the power failed",
        (false, false) => "the process that held the handle is dead",
        (false, true) => return Ok(machine),
    };
    Err(StorageError::Io { name: name.into(), action: "using a handle of", message: message.into() })
}

impl SimStorage {
    fn alive(&self, name: &str) -> Result<MutexGuard<'_, Machine>, StorageError> {
        alive(&self.machine, self.process, name)
    }

    fn file(&self, id: FileId, name: &str) -> SimFile {
        SimFile { machine: Arc::clone(&self.machine), process: self.process, id, name: name.into() }
    }
}

impl Storage for SimStorage {
    type File = SimFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        let mut machine = self.alive("the disk")?;
        machine.read_may_fail("the disk", "listing")?;
        Ok(machine.list())
    }

    fn create(&self, name: &str) -> Result<SimFile, StorageError> {
        check_name(name)?;
        let id = self.alive(name)?.create(name)?;
        Ok(self.file(id, name))
    }

    fn open(&self, name: &str) -> Result<SimFile, StorageError> {
        check_name(name)?;
        let mut machine = self.alive(name)?;
        machine.read_may_fail(name, "opening")?;
        let id = machine.open(name)?;
        Ok(self.file(id, name))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        check_name(name)?;
        self.alive(name)?.remove(name)
    }

    fn check_place(&self) -> Result<(), StorageError> {
        let name = "the simulated disk";
        if self.alive(name)?.displaced == Some(self.process) {
            return Err(StorageError::Displaced { name: name.into(), what: "its lock was taken away".into() });
        }
        Ok(())
    }
}

impl SimFile {
    fn alive(&self) -> Result<MutexGuard<'_, Machine>, StorageError> {
        alive(&self.machine, self.process, &self.name)
    }

    fn nothing(&self, action: &'static str) -> StorageError {
        let message = "a transfer moved no bytes".into();
        StorageError::Io { name: self.name.to_string(), action, message }
    }
}

impl StorageFile for SimFile {
    fn len(&self) -> Result<u64, StorageError> {
        Ok(self.alive()?.len(self.id))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        let mut machine = self.alive()?;
        let mut done = 0;
        while done < buffer.len() {
            let at = offset.saturating_add(wide(done));
            match machine.read_some(self.id, at, &mut buffer[done..])? {
                0 if at < machine.len(self.id) => return Err(self.nothing("reading")),
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let mut machine = self.alive()?;
        if offset.checked_add(wide(bytes.len())).is_none() {
            return Err(StorageError::Full { name: self.name.to_string(), action: "writing" });
        }
        let mut done = 0;
        while done < bytes.len() {
            match machine.write_some(self.id, offset + wide(done), &bytes[done..])? {
                0 => return Err(self.nothing("writing")),
                count => done += count,
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.alive()?.set_len(self.id, len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.alive()?.sync(self.id)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        lock(&self.machine).close(self.process, self.id);
    }
}
