//! The store's own routes: backups, size, check, and everybody for an export.

use super::{Daemon, NOW};
use crate::admin::api::{ExportQuery, Page};
use crate::store::verify_backup;

#[tokio::test]
async fn a_backup_is_sent_whole() {
    let daemon = Daemon::with_ada_and_grace().await;
    let mut download = daemon.client.backup().await.unwrap();
    let mut whole = Vec::new();
    while let Some(piece) = download.next().await.unwrap() {
        whole.extend_from_slice(&piece);
    }
    assert_eq!(whole.len() as u64, download.bytes());
    let file = daemon.directory.path().join("backup.db");
    std::fs::write(&file, whole).unwrap();
    let contents = verify_backup(&file).unwrap();
    assert_eq!((contents.users, contents.groups, contents.events), (2, 1, 4));
}

#[tokio::test]
async fn the_store_is_checked_step_by_step_and_measured() {
    let daemon = Daemon::with_ada_and_grace().await;
    let (mut after, mut steps) = (None, 0);
    loop {
        let step = daemon.client.check_store(after).await.unwrap();
        assert!(step.findings.is_empty() && step.done <= step.of, "{step:?}");
        steps += 1;
        after = step.next;
        if after.is_none() {
            break;
        }
    }
    assert!(steps > 10, "{steps}");
    let size = daemon.client.store_size().await.unwrap();
    assert!(size.tables.iter().any(|table| table.table == "event" && table.rows == 4), "{size:?}");
}

#[tokio::test]
async fn everybody_is_exported_as_sinks_should_hold_them_page_by_page() {
    let daemon = Daemon::with_ada_and_grace().await;
    let mut query = ExportQuery { limit: Some(1), after: None };
    let mut users = Vec::new();
    loop {
        let Page { items, next, .. } = daemon.client.export_users(&query).await.unwrap();
        assert!(items.len() <= 1);
        users.extend(items);
        query.after = next;
        if query.after.is_none() {
            break;
        }
    }
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    assert_eq!(ids, ["diruser_ada", "diruser_grace"]);
    let golden = serde_json::json!({
        "now": NOW, "items": [{"id": "dirgroup_eng", "name": "Engineering"}]
    });
    let groups = daemon.client.export_groups(&ExportQuery::default()).await.unwrap();
    assert_eq!(serde_json::to_value(groups).unwrap(), golden);
}
