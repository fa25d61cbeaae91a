//! The contract's own suite.

use std::path::PathBuf;

use async_trait::async_trait;
use rolecall_sink_api::conformance::{Capabilities, Held, Target, TargetError, run, run_matching};
use rolecall_sink_api::{Sink, User};
use serde_json::json;
use tokio::sync::Mutex;

use crate::fixture::{self, Directory, mapping};
use crate::layout::Layout;

const LAYOUT: Layout = Layout {
    base: "dc=example,dc=com",
    marker: "businessCategory",
    rdn: "uid",
    classes: ["inetOrgPerson", "groupOfNames"],
    is_active: |entry| entry.value("pwdAccountLockedTime").is_none(),
};

struct LdapTarget(Mutex<Directory>);

/// A file, and a server that gets what is in it before anybody looks.
struct LdifTarget {
    directory: Directory,
    file: PathBuf,
    loaded: Mutex<usize>,
}

#[async_trait]
impl Target for LdapTarget {
    fn capabilities(&self) -> Capabilities {
        Capabilities { large_batch: 10_000, ..Capabilities::default() }
    }

    /// A new server is there sooner than 10,000 entries are gone.
    async fn empty(&self) -> Result<(), TargetError> {
        *self.0.lock().await = Directory::start().await;
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        Ok(Box::new(self.0.lock().await.sink()))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        LAYOUT.held(&self.0.lock().await.slapd).await
    }

    async fn seed_unmanaged(&self, twin: &User) -> Result<(), TargetError> {
        LAYOUT.seed_unmanaged(&self.0.lock().await.slapd, twin).await;
        Ok(())
    }

    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        Ok(LAYOUT.unmanaged(&self.0.lock().await.slapd).await)
    }

    /// Nobody is found under a DN without a name.
    fn refused(&self, mut user: User) -> Option<User> {
        user.profile.user_name = None;
        Some(user)
    }

    async fn stop(&self) -> Result<bool, TargetError> {
        self.0.lock().await.slapd.stop().await;
        Ok(true)
    }

    async fn start(&self) -> Result<(), TargetError> {
        self.0.lock().await.slapd.restart().await;
        Ok(())
    }
}

#[async_trait]
impl Target for LdifTarget {
    async fn empty(&self) -> Result<(), TargetError> {
        LAYOUT.empty(&self.directory.slapd).await;
        *self.loaded.lock().await = 0;
        if self.file.exists() {
            std::fs::remove_file(&self.file)?;
        }
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        let mut config = mapping();
        config["ldif"] = json!({ "path": self.file });
        Ok(Box::new(fixture::sink(config)))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        let mut loaded = self.loaded.lock().await;
        let records = std::fs::read_to_string(&self.file)?;
        if !records[*loaded..].trim().is_empty() {
            self.directory.slapd.modify_ldif(&records[*loaded..]).await;
        }
        *loaded = records.len();
        LAYOUT.held(&self.directory.slapd).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_the_contract_on_a_server() {
    let target = LdapTarget(Mutex::new(Directory::start().await));
    let report = run(&target).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_the_contract_through_a_file_that_ldapmodify_loads() {
    let directory = Directory::start().await;
    let files = tempfile::tempdir().unwrap();
    let target = LdifTarget { directory, file: files.path().join("changes.ldif"), loaded: Mutex::new(0) };
    // Left out are the cases of what only a server can refuse: names too long for it, and the like.
    for part in [
        "create",
        "update",
        "the_same",
        "delete",
        "activate",
        "come",
        "in_one_batch",
        "group_goes",
        "is_gone",
        "is_renamed",
        "of_one_name",
        "last_member",
        "outcomes",
        "leavers",
        "large",
        "cut_off",
        "random",
    ] {
        let report = run_matching(&target, part).await;
        println!("{report}");
        assert!(report.passed(), "{report}");
    }
}
