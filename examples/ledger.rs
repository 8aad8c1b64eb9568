//! A ledger: money moves between accounts, and none is made or lost, whatever happens in between.
//!
//!     cargo run --example ledger [DIRECTORY]
//!
//! Kill it and start it again: a transfer is there once, or not at all, and the books agree with the balances.

use std::{env, path::PathBuf, thread};

use foldb::{
    Store,
    prelude::{Direction, ScanOptions, Serde},
};
use serde::{Deserialize, Serialize};

const ACCOUNTS: [&str; 4] = ["ada", "alan", "grace", "kurt"];
const OPENING: i64 = 100;
const TRANSFERS: i64 = 50;

/// A line of the books.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) cents: i64,
}

/// Why money does not move. A transaction takes any error that the store's own converts into.
#[derive(Debug)]
pub(crate) enum Refused {
    NotEnough { there: i64, wanted: i64 },
    NoAccount,
    Store(foldb::Error),
}

impl From<foldb::Error> for Refused {
    fn from(error: foldb::Error) -> Self {
        Refused::Store(error)
    }
}

fn main() -> Result<(), Refused> {
    let path = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("foldb-ledger-example"), PathBuf::from);
    let db = foldb::open(path)?;
    trade(&db)?;
    audit(&db)?;
    Ok(db.close()?)
}

/// Opens the accounts and moves money by two threads, which meet on the same accounts. Begun again, it does what is missing.
pub(crate) fn trade(db: &Store) -> Result<(), Refused> {
    db.once("opening", |tx| tx.kv().put_many(ACCOUNTS.map(|name| (account(name), OPENING))))?;
    thread::scope(|scope| {
        let traders = [1, 3].map(|step| scope.spawn(move || trader(db, step)));
        traders.into_iter().try_for_each(|trader| trader.join().expect("a trader does not panic"))
    })
}

fn trader(db: &Store, step: usize) -> Result<(), Refused> {
    for (number, cents) in (1..=TRANSFERS).map(|number| number * 3).enumerate() {
        let (from, to) = (ACCOUNTS[number % ACCOUNTS.len()], ACCOUNTS[(number + step) % ACCOUNTS.len()]);
        match transfer(db, &format!("trader {step}, order {number}"), from, to, cents) {
            Ok(left) => println!("trader {step}: {cents} from {from} to {to}, {left} are left"),
            Err(Refused::Store(error)) => return Err(error.into()),
            Err(Refused::NotEnough { there, wanted }) => {
                println!("trader {step}: {from} has {there}, and cannot pay {wanted} to {to}");
            }
            Err(Refused::NoAccount) => println!("trader {step}: there is no account {from}, or no {to}"),
        }
    }
    Ok(())
}

/// Moves money, once for each order, however often it is asked to. Returns what is left.
pub(crate) fn transfer(db: &Store, order: &str, from: &str, to: &str, cents: i64) -> Result<i64, Refused> {
    db.once(order, |tx| {
        let balance = |name: &str| tx.kv().get::<i64>(account(name))?.ok_or(Refused::NoAccount);
        let (there, received) = (balance(from)?, balance(to)? + cents);
        // An error takes back everything: no money leaves, no line is written, and the order may come again.
        let left =
            there.checked_sub(cents).filter(|left| *left >= 0).ok_or(Refused::NotEnough { there, wanted: cents })?;
        tx.kv().put(account(from), left)?;
        tx.kv().put(account(to), received)?;
        tx.events().append("books", "transfer", Serde(Entry { from: from.into(), to: to.into(), cents }))?;
        Ok(left)
    })
}

fn account(name: &str) -> String {
    format!("account/{name}")
}

/// Shows balances and books as of one moment, and that they agree: with each other, and with what was paid in.
pub(crate) fn audit(db: &Store) -> Result<(), Refused> {
    let view = db.view();
    let books = view.events().range_as::<Serde<Entry>>("books", .., None, Direction::Forward)?;
    let mut total = 0;
    for pair in view.kv().iter::<i64>(&ScanOptions::prefix("account/")) {
        let (key, balance) = pair.map(|pair| (pair.key, pair.value))?;
        let lines = books.iter().map(|line| &line.payload.0);
        let received: i64 =
            lines.clone().filter(|line| account(&line.to).as_bytes() == key).map(|line| line.cents).sum();
        let paid: i64 = lines.filter(|line| account(&line.from).as_bytes() == key).map(|line| line.cents).sum();
        println!("{}: {OPENING} + {received} - {paid} = {balance}", String::from_utf8_lossy(&key));
        assert_eq!(balance, OPENING + received - paid, "the balance is the sum of the account's lines");
        total += balance;
    }
    for line in books.iter().rev().take(3) {
        println!("line {} ({}, {} us): {:?}", line.seq, line.version, line.time_micros, line.payload.0);
    }
    println!("{} lines up to commit {}, {total} cents in all", books.len(), view.seq());
    assert_eq!(total, OPENING * 4, "no money is made or lost");
    Ok(())
}
