//! The contract's own suite.

use async_trait::async_trait;
use rolecall_sink_api::conformance::{Held, Target, TargetError, run};
use rolecall_sink_api::{Sink, User};
use tokio::sync::Mutex;

use crate::layout::Layout;
use crate::server::Server;

const LAYOUT: Layout = Layout {
    base: "dc=example,dc=com",
    marker: "businessCategory",
    rdn: "uid",
    classes: ["inetOrgPerson", "groupOfNames"],
    is_active: |entry| entry.value("nsAccountLock").is_none(),
};

struct Ds389Target(Mutex<Server>);

#[async_trait]
impl Target for Ds389Target {
    async fn empty(&self) -> Result<(), TargetError> {
        LAYOUT.empty(&self.0.lock().await.ds389).await;
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        Ok(Box::new(self.0.lock().await.sink()))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        LAYOUT.held(&self.0.lock().await.ds389).await
    }

    async fn seed_unmanaged(&self, twin: &User) -> Result<(), TargetError> {
        LAYOUT.seed_unmanaged(&self.0.lock().await.ds389, twin).await;
        Ok(())
    }

    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        Ok(LAYOUT.unmanaged(&self.0.lock().await.ds389).await)
    }

    async fn stop(&self) -> Result<bool, TargetError> {
        self.0.lock().await.ds389.stop().await;
        Ok(true)
    }

    async fn start(&self) -> Result<(), TargetError> {
        self.0.lock().await.ds389.restart().await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_the_contract_on_389_directory_server() {
    let target = Ds389Target(Mutex::new(Server::start().await));
    let report = run(&target).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}
