//! Errors of a caller's own type out of closures, and what they must not change: what is retried, and what is committed.

use std::{error::Error as StdError, fmt};

use foldb::TransactionOptions;

use super::*;

/// An error of a program that keeps nothing of the store's: whoever looks into it finds no conflict.
#[derive(Debug, PartialEq)]
enum OwnError {
    Refused { missing: i64 },
    Store(String),
}

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl StdError for OwnError {}

impl From<Error> for OwnError {
    fn from(error: Error) -> Self {
        OwnError::Store(error.to_string())
    }
}

#[test]
fn a_closure_fails_with_an_error_of_its_own_and_nothing_is_committed() {
    let db = store_with(&[("balance", 50)]);
    let refused = db.transaction(|tx| {
        tx.kv().put("touched", 1)?;
        let left = tx.kv().get::<i64>("balance")?.unwrap_or(0) - 80;
        if left < 0 { Err(OwnError::Refused { missing: -left }) } else { Ok(left) }
    });
    assert_eq!(refused, Err(OwnError::Refused { missing: 30 }));
    assert_eq!(get(&db, "touched"), None);

    let boxed: Result<(), Box<dyn StdError>> = db.transaction(|tx| {
        tx.kv().put("touched", 1)?;
        let _: i64 = "many".parse()?;
        Ok(())
    });
    assert!(boxed.unwrap_err().to_string().contains("invalid digit"));
    assert_eq!(get(&db, "touched"), None);
}

#[test]
fn a_conflict_is_retried_also_where_the_callers_error_does_not_know_what_a_conflict_is() {
    let db = store_with(&[("sum", 1)]);
    let mut runs = 0;
    let sum = db.transaction(|tx| {
        runs += 1;
        let sum = tx.kv().get::<i64>("sum")?.unwrap_or(0) + 10;
        if runs < 3 {
            db.kv().put("sum", runs)?;
        }
        tx.kv().put("sum", sum)?;
        Ok::<_, OwnError>(sum)
    });
    assert_eq!((sum, runs), (Ok(12), 3));
    assert_eq!(get(&db, "sum"), Some(12));
}

#[test]
fn a_conflict_that_is_not_retried_any_more_comes_as_the_callers_error() {
    let db = store_with(&[("sum", 1)]);
    let mut runs = 0;
    let lost = db.transaction_with(&TransactionOptions::new().retries(2), |tx| {
        runs += 1;
        let sum = tx.kv().get::<i64>("sum")?.unwrap_or(0);
        db.kv().put("sum", sum + 1)?;
        tx.kv().put("sum", 0)?;
        Ok::<_, OwnError>(())
    });
    let Err(OwnError::Store(message)) = lost else { panic!("{lost:?}") };
    assert!(message.starts_with("conflict on"), "{message}");
    assert_eq!(runs, 3);
}

#[test]
fn an_error_of_the_callers_own_is_not_retried_and_leaves_no_key_used() {
    let db = store();
    let mut runs = 0;
    let mut pay = |allowed: bool| {
        db.once("payment", |tx| {
            runs += 1;
            tx.kv().add_i64("paid", 1)?;
            if allowed { Ok(7_i64) } else { Err(OwnError::Refused { missing: 1 }) }
        })
    };
    assert_eq!(pay(false), Err(OwnError::Refused { missing: 1 }));
    assert_eq!(pay(true), Ok(7));
    assert_eq!(pay(true), Ok(7));
    assert_eq!(runs, 2);
    assert_eq!(get(&db, "paid"), Some(1));
    let reused = db.once("payment", |_| Ok::<String, OwnError>(String::new()));
    assert!(matches!(reused, Err(OwnError::Store(_))), "its result is no text: {reused:?}");
    let options = TransactionOptions::new().idempotency_key("payment");
    let again = db.transaction_with(&options, |_| Ok::<_, OwnError>(()));
    let Err(OwnError::Store(message)) = again else { panic!("{again:?}") };
    assert!(message.contains("was done before"), "{message}");
}
