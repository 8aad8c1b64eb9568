//! The steps about what is over at some time.
//!
//! Invariant: the times are so far away, in both directions, that no clock of a test comes near them; so what is over follows from the
//! steps.

use foldb_core::Result;

use super::{contents::DEFAULT_SPACE, execution::wrong, steps::Runner};

/// In the year 38,500.
const SOME_DAY: u64 = 1 << 60;

impl Runner<'_> {
    pub(super) fn expire(&mut self) -> Result<()> {
        let number = self.number();
        self.db().transaction(|tx| {
            tx.kv().put_expiring_at("brief", number, 5)?;
            tx.json().set_expiring_at("brief", &serde_json::json!(number), 6)?;
            tx.kv().put_expiring_at("long", number, SOME_DAY)
        })?;
        self.over = vec![("kv", "brief"), ("json", "brief")];
        self.now.set_until(DEFAULT_SPACE, "kv", "brief", &number.to_string(), 5);
        self.now.set_until(DEFAULT_SPACE, "json", "brief", &number.to_string(), 6);
        self.now.set_until(DEFAULT_SPACE, "kv", "long", &number.to_string(), SOME_DAY);
        self.committed();
        if !self.db().kv().expire_at("long", SOME_DAY + number)? {
            return Err(wrong("a pair that was just put is not there to be given another time"));
        }
        self.now.set_until(DEFAULT_SPACE, "kv", "long", &number.to_string(), SOME_DAY + number);
        self.committed();
        Ok(())
    }

    pub(super) fn sweep(&mut self) -> Result<()> {
        let expected = self.over.first().copied();
        let swept = self.db().sweep_expired(1)?.entries;
        if swept != u64::from(expected.is_some()) {
            return Err(wrong(format!("{swept} entries are swept, and {expected:?} has been over for longest")));
        }
        if let Some((primitive, key)) = expected {
            self.over.remove(0);
            self.now.delete(DEFAULT_SPACE, primitive, key);
            self.committed();
        }
        Ok(())
    }
}
