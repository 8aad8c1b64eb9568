//! What the catalog knows of a run. Normative text: `docs/format.md`, rule F-36.
//!
//! Invariant: everything here is a fold over the run's own operations. Whether a run is *orphaned* is not stored: a run
//! that is still open although the process that began or resumed it is gone carries an older open epoch than the store,
//! and that is how it shows. So recovery marks orphans without writing a byte.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde::Serialize;

use crate::{
    Error, Result, RunId,
    value::{
        Value,
        fields::{FieldWriter, owned, read_fields, required, set},
    },
};

/// The number of a space: 0 is the default space, runs count from 1 in the order of their beginning.
pub type SpaceNumber = u32;

/// The default space: no life cycle, always open.
pub const DEFAULT_SPACE: SpaceNumber = 0;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStatus {
    /// Begun or resumed by the process that has the store open now.
    Active,
    /// Still open, but the process that worked on it is gone. Resume it, or end it.
    Orphaned,
    /// Ended well.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl RunStatus {
    /// The status in lower case, as the `foldb` program prints it.
    pub const fn name(self) -> &'static str {
        match self {
            RunStatus::Active => "active",
            RunStatus::Orphaned => "orphaned",
            RunStatus::Completed => "completed",
            RunStatus::Failed => "failed",
            RunStatus::Cancelled => "cancelled",
        }
    }

    /// Whether the run takes no more writes.
    pub const fn is_ended(self) -> bool {
        matches!(self, RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled)
    }
}

impl core::fmt::Display for RunStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// How a run ended: what [`RunEnd`](crate::log::OpCode::RunEnd) records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Ending {
    Completed = 1,
    Failed = 2,
    Cancelled = 3,
}

impl Ending {
    /// As it is stored in an operation's body.
    const fn text(self) -> &'static str {
        match self {
            Ending::Completed => "Completed",
            Ending::Failed => "Failed",
            Ending::Cancelled => "Cancelled",
        }
    }

    fn from_text(text: &str) -> Result<Self> {
        let all = [Ending::Completed, Ending::Failed, Ending::Cancelled];
        all.into_iter()
            .find(|ending| ending.text() == text)
            .ok_or_else(|| Error::Invalid { what: "value", why: alloc::format!("{text:?} is no way for a run to end") })
    }
}

/// All that is known of a run, as of one version of the store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunInfo {
    /// The run's id.
    pub id: RunId,
    /// Its number in this store.
    pub number: SpaceNumber,
    /// The name that it was begun with; names need not be unique.
    pub name: String,
    /// How it stands.
    pub status: RunStatus,
    /// The run that it was begun under.
    pub parent: Option<RunId>,
    /// Labels to find it by.
    pub labels: BTreeMap<String, String>,
    /// Whatever its owner wants to keep beside it.
    pub metadata: Value,
    /// When it began, in microseconds since 1970.
    pub began_micros: u64,
    /// When it ended.
    pub ended_micros: Option<u64>,
    /// What was said when it ended.
    pub message: Option<String>,
    /// How often it was resumed.
    pub resumed: u32,
    /// Seq of the commit that began it.
    pub first_seq: u64,
    /// Seq of the last commit that touched it.
    pub last_seq: u64,
    /// How many commits touched it.
    pub commits: u64,
}

/// The folded form of a run's life.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunRecord {
    pub(crate) id: [u8; 16],
    pub(crate) began: RunBegun,
    pub(crate) began_micros: u64,
    pub(crate) first_seq: u64,
    /// Seq of the last operation on the run itself, for validation.
    pub(crate) changed_seq: u64,
    pub(crate) ended: Option<Ended>,
    pub(crate) resumed: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) how: Ending,
    pub(crate) micros: u64,
    pub(crate) message: Option<String>,
}

/// The body of a `RunBegin` operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunBegun {
    pub(crate) name: String,
    pub(crate) parent: Option<[u8; 16]>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) metadata: Value,
    /// The open epoch of the process that began or last resumed it.
    pub(crate) epoch: u64,
}

/// The body of a `RunEnd` operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunEnded {
    pub(crate) how: Ending,
    pub(crate) message: Option<String>,
}

/// The body of a `RunResume` operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunResumed {
    pub(crate) epoch: u64,
}

/// The body of a `RunAnnotate` operation: what changes, the rest stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunAnnotated {
    /// Labels to set; `None` removes one.
    pub(crate) labels: Vec<(String, Option<String>)>,
    /// New metadata. Left out where it stays, so that a null can be set.
    pub(crate) metadata: Option<Value>,
}

impl RunRecord {
    pub(crate) fn id(&self) -> RunId {
        RunId::from_bytes(self.id)
    }

    /// How the run stands for a process with this open epoch.
    pub(crate) fn status(&self, epoch: u64) -> RunStatus {
        match &self.ended {
            Some(ended) => match ended.how {
                Ending::Completed => RunStatus::Completed,
                Ending::Failed => RunStatus::Failed,
                Ending::Cancelled => RunStatus::Cancelled,
            },
            None if self.began.epoch == epoch => RunStatus::Active,
            None => RunStatus::Orphaned,
        }
    }

    pub(crate) fn annotate(&mut self, change: RunAnnotated) {
        for (key, value) in change.labels {
            match value {
                Some(value) => self.began.labels.insert(key, value),
                None => self.began.labels.remove(&key),
            };
        }
        if let Some(metadata) = change.metadata {
            self.began.metadata = metadata;
        }
    }

    /// Fails with [`Error::RunEnded`] if the run takes no more writes.
    pub(crate) fn check_open(&self) -> Result<()> {
        match &self.ended {
            None => Ok(()),
            Some(_) => Err(Error::RunEnded { run: self.id(), status: self.status(0).name() }),
        }
    }
}

/// The body of an operation on a run: a map with these names, in this order.
pub(crate) trait Body: Sized {
    /// Appends it.
    fn write(&self, out: &mut Vec<u8>) -> Result<()>;
    /// The reverse.
    fn read(bytes: &[u8]) -> Result<Self>;
}

/// A run's operation body as CBOR. Fails where it could not be read back: metadata that is nested too deeply, say.
pub(crate) fn encode_body<T: Body>(body: &T) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    body.write(&mut out)?;
    Ok(out)
}

/// The reverse of [`encode_body`].
pub(crate) fn decode_body<T: Body>(what: &'static str, bytes: &[u8]) -> Result<T> {
    T::read(bytes).map_err(|error| Error::Invalid { what, why: alloc::format!("{error}") })
}

impl Body for RunBegun {
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut fields = FieldWriter::new(out, 5);
        fields.text("name", Some(&self.name))?;
        fields.list_of_bytes("parent", self.parent.as_ref())?;
        let labels = &mut self.labels.iter().map(|(key, value)| (key.as_str(), Some(value.as_str())));
        fields.texts("labels", self.labels.len(), labels)?;
        fields.value("metadata", &self.metadata)?;
        fields.number("epoch", Some(self.epoch))?;
        fields.finish()
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let (mut name, mut parent, mut labels, mut metadata, mut epoch) = (None, None, None, None, None);
        read_fields(bytes, &mut |field, reader| match field {
            "name" => set(&mut name, field, reader.text()?),
            "parent" => set(&mut parent, field, reader.optional_list_of_bytes()?),
            "labels" => {
                let mut found = BTreeMap::new();
                reader.texts(&mut |key, text| {
                    found.insert(String::from(key), String::from(required(text, "label")?));
                    Ok(())
                })?;
                set(&mut labels, field, found)
            }
            "metadata" => set(&mut metadata, field, reader.value()?),
            "epoch" => set(&mut epoch, field, reader.number()?),
            _ => Ok(false),
        })?;
        Ok(Self {
            name: required(name, "name")?.into(),
            parent: parent.flatten(),
            labels: required(labels, "labels")?,
            metadata: required(metadata, "metadata")?,
            epoch: required(epoch, "epoch")?,
        })
    }
}

impl Body for RunEnded {
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut fields = FieldWriter::new(out, 2);
        fields.text("how", Some(self.how.text()))?;
        fields.text("message", self.message.as_deref())?;
        fields.finish()
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let (mut how, mut message) = (None, None);
        read_fields(bytes, &mut |field, reader| match field {
            "how" => set(&mut how, field, Ending::from_text(reader.text()?)?),
            "message" => set(&mut message, field, owned(reader.optional_text()?)),
            _ => Ok(false),
        })?;
        Ok(Self { how: required(how, "how")?, message: message.flatten() })
    }
}

impl Body for RunResumed {
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut fields = FieldWriter::new(out, 1);
        fields.number("epoch", Some(self.epoch))?;
        fields.finish()
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let mut epoch = None;
        read_fields(bytes, &mut |field, reader| match field {
            "epoch" => set(&mut epoch, field, reader.number()?),
            _ => Ok(false),
        })?;
        Ok(Self { epoch: required(epoch, "epoch")? })
    }
}

impl Body for RunAnnotated {
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut fields = FieldWriter::new(out, 1 + usize::from(self.metadata.is_some()));
        let labels = &mut self.labels.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        fields.texts("labels", self.labels.len(), labels)?;
        if let Some(metadata) = &self.metadata {
            fields.value("metadata", metadata)?;
        }
        fields.finish()
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let (mut labels, mut metadata) = (None, None);
        read_fields(bytes, &mut |field, reader| match field {
            "labels" => {
                let mut found = Vec::new();
                reader.texts(&mut |key, text| {
                    found.push((String::from(key), owned(text)));
                    Ok(())
                })?;
                set(&mut labels, field, found)
            }
            // A field that is there has a value, also where that value is null.
            "metadata" => set(&mut metadata, field, reader.value()?),
            _ => Ok(false),
        })?;
        Ok(Self { labels: required(labels, "labels")?, metadata })
    }
}
