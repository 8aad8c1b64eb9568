//! Random work over all primitives and runs, the same for the same seed: what recovery and replay are tested with.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of this")]

use foldb::{
    Db, Result, RunId, RunOptions, Transaction,
    primitive::{Cells, Documents, Events, Kv, NewEvent, Trace, TraceId, TraceKind, TraceRecord, access::AccessMut},
    storage::Storage,
    value::Value,
};
use foldb_testkit::Random;
use ruint::aliases::U256;
use serde_json::json;

/// Where one transaction writes.
struct Space<A> {
    kv: Kv<A>,
    json: Documents<A>,
    events: Events<A>,
    state: Cells<A>,
    trace: Trace<A>,
}

/// A source of work.
pub struct Workload {
    random: Random,
    /// The runs that are open, and the trace entries of each space that can be finished. The first is the default space.
    spaces: Vec<(Option<RunId>, Vec<TraceId>)>,
    /// Runs that have ended.
    ended: Vec<RunId>,
    begun: u64,
}

impl Workload {
    pub fn new(seed: u64) -> Self {
        Workload { random: Random::new(seed), spaces: vec![(None, Vec::new())], ended: Vec::new(), begun: 0 }
    }

    /// Does something in one commit. Every operation of every primitive comes up sooner or later.
    pub fn step<S: Storage>(&mut self, db: &Db<S>) {
        let tx = db.begin_transaction().unwrap();
        self.work(&tx).unwrap();
        tx.commit().unwrap();
    }

    fn work<S: Storage>(&mut self, tx: &Transaction<'_, S>) -> Result<()> {
        match self.random.below(16) {
            0 if self.spaces.len() < 5 => self.begin(tx)?,
            1 if self.spaces.len() > 1 => self.end(tx)?,
            2 => self.change_ended(tx)?,
            _ => {}
        }
        for _ in 0..=self.random.below(4) {
            let at = self.random.index(self.spaces.len());
            match self.spaces[at].0 {
                None => {
                    let space = Space {
                        kv: tx.kv(),
                        json: tx.json(),
                        events: tx.events(),
                        state: tx.state(),
                        trace: tx.trace(),
                    };
                    operate(&mut self.random, &space, &mut self.spaces[at].1)?;
                }
                Some(id) => {
                    let run = tx.run(id)?;
                    let space = Space {
                        kv: run.kv(),
                        json: run.json(),
                        events: run.events(),
                        state: run.state(),
                        trace: run.trace(),
                    };
                    operate(&mut self.random, &space, &mut self.spaces[at].1)?;
                }
            }
        }
        Ok(())
    }

    fn begin<S: Storage>(&mut self, tx: &Transaction<'_, S>) -> Result<()> {
        self.begun += 1;
        // Of the seed, not of the host: two stores with one workload then have the same runs.
        let mut id = [0; 16];
        self.random.fill(&mut id);
        let mut options = RunOptions::named(format!("run {}", self.begun))
            .id(RunId::from_bytes(id))
            .label("number", self.begun.to_string())
            .metadata(Value::try_from(json!({ "begun": self.begun }))?);
        if let Some((Some(parent), _)) = self.spaces.last() {
            options = options.parent(*parent);
        }
        let run = tx.runs().begin(options)?;
        self.spaces.push((Some(run.id()), Vec::new()));
        Ok(())
    }

    fn end<S: Storage>(&mut self, tx: &Transaction<'_, S>) -> Result<()> {
        let at = 1 + self.random.index(self.spaces.len() - 1);
        let (id, _) = self.spaces.remove(at);
        let id = id.expect("the default space is never removed");
        match self.random.below(3) {
            0 => tx.runs().end(id, None)?,
            1 => tx.runs().fail(id, "no more tea".into())?,
            _ => tx.runs().cancel(id, "somebody asked".into())?,
        }
        self.ended.push(id);
        Ok(())
    }

    fn change_ended<S: Storage>(&mut self, tx: &Transaction<'_, S>) -> Result<()> {
        if self.ended.is_empty() {
            return Ok(());
        }
        let at = self.random.index(self.ended.len());
        let id = self.ended[at];
        match self.random.below(4) {
            0 => {
                tx.runs().delete(id)?;
                self.ended.remove(at);
            }
            1 => {
                tx.runs().resume(id)?;
                self.ended.remove(at);
                self.spaces.push((Some(id), Vec::new()));
            }
            2 => tx.runs().set_label(id, "seen".into(), Some("yes".into()))?,
            _ => tx.runs().set_metadata(id, Value::try_from(json!([1, { "two": null }]))?)?,
        }
        Ok(())
    }
}

/// One operation on a space.
fn operate<A: AccessMut>(random: &mut Random, space: &Space<A>, entries: &mut Vec<TraceId>) -> Result<()> {
    let key = format!("key {:02}", random.below(12));
    let number = i64::try_from(random.below(1000)).unwrap_or(0);
    match random.below(27) {
        0 | 1 => space.kv.put(&key, number),
        2 => space.kv.put(&key, format!("text {number}")),
        3 => {
            let len = 1000 + random.index(3000);
            space.kv.put(&key, random.bytes(len))
        }
        4 => space.kv.remove(&key),
        5 => space.kv.delete(&key).map(|_| ()),
        6 => space.kv.add_i64("sum i64", number - 500),
        7 => space.kv.add_f64("sum f64", 0.125),
        8 => space.kv.add_u256("sum u256", U256::from(7) << 130),
        9 => {
            if space.kv.exists(&key)? && !space.kv.exists("renamed")? {
                space.kv.rename(&key, "renamed")?;
            }
            Ok(())
        }
        10 => space.json.set(&key, &json!({ "n": number, "list": [1, 2, 3], "deep": { "text": "x".repeat(50) } })),
        11 | 12 => {
            let patch = json!([
                { "op": "test", "path": "/list/0", "value": 1 },
                { "op": "add", "path": "/list/-", "value": number },
                { "op": "copy", "from": "/n", "path": format!("/was {number}") },
            ]);
            if space.json.exists(&key)? { space.json.patch(&key, &patch) } else { Ok(()) }
        }
        13 | 14 => {
            if space.json.exists(&key)? {
                space.json.merge_at(&key, "/deep", &json!({ "text": null, "merged": number }))?;
                space.json.increment_at(&key, "/n", 1)?;
            }
            Ok(())
        }
        15 => space.json.delete(&key).map(|_| ()),
        16 | 17 => space.events.append(stream(random), "one", number).map(|_| ()),
        18 => {
            let events = (0..random.below(20)).map(|place| NewEvent::new("many", place));
            space.events.append_batch(stream(random), events).map(|_| ())
        }
        19 => {
            let len = 2000 + random.index(4000);
            space.events.append(stream(random), "large", random.bytes(len)).map(|_| ())
        }
        20 => {
            let stream = stream(random);
            let head = space.events.head(stream)?;
            space.events.trim(stream, head.saturating_sub(random.below(6)))
        }
        21 => {
            if random.chance(1, 4) {
                space.events.delete_stream(stream(random))?;
            }
            Ok(())
        }
        22 => space.state.set(&key, number).map(|_| ()),
        23 => space.state.transition_or_init(&key, 0, |value: i64| Ok(value + number)).map(|_| ()),
        24 => space.state.delete(&key).map(|_| ()),
        25 => {
            let mut record = TraceRecord::new(TraceKind::ToolCall, format!("call {number}"))
                .data(Value::try_from(json!({ "n": number }))?);
            record.parent = entries.last().copied();
            entries.push(space.trace.record(record)?);
            Ok(())
        }
        _ => match entries.pop() {
            Some(id) if space.trace.exists(id)? => space.trace.finish(id, Some("done".into()), None).map(|_| ()),
            _ => Ok(()),
        },
    }
}

fn stream(random: &mut Random) -> &'static str {
    ["orders", "log", "a stream with a longer name"][random.index(3)]
}

/// BLAKE3 over what [`fixed_workload`] leaves in its run.
pub const GOLDEN: &str = "0a35cf68b315690ca1000327912e78da7337a1fdd3176b7a966adb437b386f2a";

/// A little of everything, in one run.
pub fn fixed_workload<S: Storage>(db: &Db<S>) -> RunId {
    let run = db.runs().begin(RunOptions::named("golden")).unwrap();
    for number in 0..100_i64 {
        run.kv().put(format!("key/{:03}", number * 7 % 100), number).unwrap();
        run.kv().add_f64("float", 0.1).unwrap();
    }
    run.kv().put("text", "häuser und bäume").unwrap();
    run.kv().put("bytes", vec![0xff_u8; 5000]).unwrap();
    run.kv()
        .put("nested", Value::Map(vec![(1.into(), Value::List(vec![Value::Null, true.into(), 0.5.into()]))]))
        .unwrap();
    run.kv().add_u256("wei", U256::from(10).pow(U256::from(40))).unwrap();
    run.kv().remove("key/050").unwrap();
    run.json().set("doc", &json!({ "b": [1, 2.5, "x"], "a": { "deep": null } })).unwrap();
    run.json().patch("doc", &json!([{ "op": "move", "from": "/b/0", "path": "/moved" }])).unwrap();
    run.json().merge_at("doc", "", &json!({ "a": { "deep": 1 }, "gone": null })).unwrap();
    run.events().append_batch("log", (0..1000).map(|number| NewEvent::new("tick", number))).unwrap();
    run.events().trim("log", 500).unwrap();
    run.state().init("cell", "new").unwrap();
    run.state().set("cell", "used").unwrap();
    let plan = run.trace().record(TraceRecord::new(TraceKind::Thought, "plan").time_micros(1_000)).unwrap();
    let call = TraceRecord::new(TraceKind::ToolCall, "search")
        .parent(plan)
        .time_micros(2_000)
        .data(Value::try_from(json!({ "q": 1 })).unwrap());
    run.trace().record(call).unwrap();
    run.end().unwrap();
    run.id()
}
