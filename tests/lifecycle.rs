//! A first walk through everything, on the file system.

use foldb::{Durability, Options, RunOptions};

#[test]
fn what_was_written_is_there_after_reopening_in_every_mode() {
    for durability in [Durability::Strict, Durability::buffered()] {
        let directory = std::env::temp_dir().join(format!(
            "foldb-smoke-{}-{:?}",
            std::process::id(),
            std::mem::discriminant(&durability)
        ));
        let _ = std::fs::remove_dir_all(&directory);
        let open = || foldb::open_with(&directory, Options::new().durability(durability)).unwrap();
        let db = open();
        for number in 0..1000_i64 {
            db.kv().put(format!("key/{number}"), number).unwrap();
        }
        let run = db.runs().begin(RunOptions::named("first")).unwrap();
        run.events().append("log", "line", "hello").unwrap();
        run.kv().put("large", vec![7u8; 5000]).unwrap();
        db.transaction(|tx| {
            let run = tx.run(run.id())?;
            run.kv().add_i64("n", 2)?;
            run.kv().add_i64("n", 3)?;
            assert_eq!(run.kv().get::<i64>("n")?, Some(5));
            run.json().set("doc", &serde_json::json!({"a": [1, 2]}))
        })
        .unwrap();
        let id = run.id();
        let digest = db.view().run(id).unwrap().digest().unwrap();
        assert_eq!(db.replay(id).unwrap().digest().unwrap(), digest);
        db.close().unwrap();
        let db = open();
        println!("{:?}", db.recovery_report());
        assert_eq!(db.kv().get::<i64>("key/999").unwrap(), Some(999));
        assert_eq!(db.view().run(id).unwrap().digest().unwrap(), digest);
        let report = db.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap();
        println!("{report:?}");
        assert!(report.is_ok());
        std::mem::forget(db);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
