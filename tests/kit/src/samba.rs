//! Samba as an Active Directory domain controller.

use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Weak};

use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::authority::CertificateAuthority;
use crate::ldap_client::{LdapClient, LdapProgram};
use crate::port::Address;
use crate::server::{Program, Server, Setup};
use crate::tool;

const BASE: &str = "dc=ad,dc=example,dc=com";
const ADMIN: &str = "Administrator@ad.example.com";
const SERVICE: &str = "rolecall@ad.example.com";
const PASSWORD: &str = "Secret-12345";
/// LDAP and LDAP over TLS: Samba takes no others.
const PORTS: [u16; 2] = [389, 636];

/// A domain controller of the domain `ad.example.com`, with `ou=people`, `ou=groups`, `ou=roles`, and the account that
/// rolecall binds as. Of its services only LDAP runs.
///
/// Its ports cannot be chosen, so it has a loopback address of its own; they are privileged, so it needs root.
pub type Samba = Server<Controller>;

/// What runs as a [`Samba`].
pub struct Controller {
    client: LdapClient,
    address: Address,
    /// What it was copied from: there for as long as somebody may want another copy.
    _domain: Arc<TempDir>,
}

impl Program for Controller {
    const NAME: &'static str = "samba";

    fn command(&self, directory: &Path) -> Vec<OsString> {
        vec![
            "/usr/sbin/samba".into(),
            "--interactive".into(),
            "--model=single".into(),
            "--debug-stdout".into(),
            "--no-process-group".into(),
            "-s".into(),
            directory.join("etc/smb.conf").into_os_string(),
        ]
    }

    async fn answers(&self, _: &Path) -> Result<(), String> {
        self.client.answers().await
    }
}

impl LdapProgram for Controller {
    fn client(&self) -> &LdapClient {
        &self.client
    }
}

struct New;

impl Setup for New {
    type Program = Controller;

    async fn set_up(&self, directory: &Path) -> Controller {
        assert!(rustix::process::geteuid().is_root(), "Samba's ports are privileged: run this test as root");
        let address = Address::take(&PORTS);
        CertificateAuthority::new().equip_at(directory, address.get());
        let domain = domain().await;
        settle(domain.path(), directory, address.get()).await;
        let client = LdapClient {
            url: format!("ldaps://{}", address.get()),
            bind_dn: ADMIN.to_owned(),
            password: PASSWORD.to_owned(),
            ca: directory.join("ca.pem"),
            log: directory.join("log"),
        };
        Controller { client, address, _domain: domain }
    }
}

impl Samba {
    /// Starts one. Making the first takes some seconds.
    pub async fn start() -> Self {
        let server = Server::make(&New).await;
        server.modify_ldif(&first_entries()).await;
        server
    }

    /// `ldap://ADDRESS`: plain, or with StartTLS.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.program.address.get())
    }

    /// `ldaps://ADDRESS`.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://{}", self.program.address.get())
    }

    /// The domain's own entry: `dc=ad,dc=example,dc=com`.
    pub fn base_dn(&self) -> &'static str {
        BASE
    }

    /// The account that rolecall binds as, an administrator of the domain.
    pub fn bind_dn(&self) -> &'static str {
        SERVICE
    }

    /// Its password.
    pub fn bind_password(&self) -> &'static str {
        PASSWORD
    }
}

/// A new domain, which no server runs yet. Making one takes seconds, so those who need one at the same time get copies.
async fn domain() -> Arc<TempDir> {
    static MADE: Mutex<Weak<TempDir>> = Mutex::const_new(Weak::new());
    let mut made = MADE.lock().await;
    if let Some(domain) = made.upgrade() {
        return domain;
    }
    let directory = tempfile::Builder::new().prefix("rolecall-domain-").tempdir();
    let domain = Arc::new(directory.unwrap_or_else(|e| panic!("cannot make a temporary directory: {e}")));
    let mut command = Command::new("samba-tool");
    command.args(["domain", "provision", "--realm=AD.EXAMPLE.COM", "--domain=AD", "--server-role=dc"]);
    command.args(["--dns-backend=NONE", "--use-rfc2307", "--host-name=dc1", "--host-ip=127.0.0.1"]);
    command.args([
        "--option=bind interfaces only = yes",
        "--option=vfs objects=",
        "--option=ldb:nosync = true",
    ]);
    command.arg(format!("--adminpass={PASSWORD}")).arg(format!("--targetdir={}", domain.path().display()));
    tool::succeed(&mut command, "").await;
    *made = Arc::downgrade(&domain);
    domain
}

/// Copies the domain to `directory`, and leaves of its services LDAP, at `address` alone.
async fn settle(domain: &Path, directory: &Path, address: Ipv4Addr) {
    let mut command = Command::new("cp");
    command.arg("-a").arg(domain.join(".")).arg(directory);
    tool::succeed(&mut command, "").await;

    let path = directory.join("etc/smb.conf");
    let made = fs::read_to_string(&path).expect("samba-tool made it");
    let (from, to) = (domain.display().to_string(), directory.display().to_string());
    let made = made.replace(&from, &to);
    // Of two lines for the same thing the later one counts.
    let kept = made.lines().filter(|line| {
        !["server services", "interfaces"]
            .iter()
            .any(|key| line.trim_start().starts_with(&format!("{key} =")))
    });
    let kept: Vec<&str> = kept.collect();
    let ours = format!(
        // Nobody's data is at stake: it need not be on the disk at once.
        "[global]\n\tldb:nosync = true\n\tserver services = ldap\n\tinterfaces = {address}/8\n\ttls cafile = {to}/ca.pem\n\
         \tpid directory = {to}\n\ttls certfile = {to}/server.pem\n\ttls keyfile = {to}/server.key"
    );
    fs::write(&path, kept.join("\n").replacen("[global]", &ours, 1)).expect("the directory is ours");
}

/// The units, and rolecall's account. Its password is written as Active Directory wants it: quoted, in UTF-16.
fn first_entries() -> String {
    let units: String = ["people", "groups", "roles", "services"]
        .iter()
        .map(|unit| {
            format!("dn: ou={unit},{BASE}\nchangetype: add\nobjectClass: organizationalUnit\nou: {unit}\n\n")
        })
        .collect();
    use base64::Engine as _;
    let password: Vec<u8> = format!("\"{PASSWORD}\"").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let password = base64::prelude::BASE64_STANDARD.encode(password);
    format!(
        "{units}\
         dn: cn=rolecall,ou=services,{BASE}\nchangetype: add\nobjectClass: user\nsAMAccountName: rolecall\n\
         userPrincipalName: {SERVICE}\nunicodePwd:: {password}\nuserAccountControl: 512\n\n\
         dn: cn=Domain Admins,cn=Users,{BASE}\nchangetype: modify\nadd: member\n\
         member: cn=rolecall,ou=services,{BASE}\n"
    )
}
