//! OpenLDAP.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::authority::CertificateAuthority;
use crate::ldap_client::{LdapClient, LdapProgram};
use crate::operations::Operations;
use crate::port::Port;
use crate::server::{Program, Server, Setup};
use crate::until::until;

const BASE: &str = "dc=example,dc=com";
const ADMIN: &str = "cn=admin,dc=example,dc=com";
const SERVICE: &str = "cn=rolecall,ou=services,dc=example,dc=com";
const PASSWORD: &str = "secret";

/// A slapd with an empty directory: `ou=people`, `ou=groups`, `ou=roles`, and the account that rolecall binds as.
///
/// It keeps `memberOf` (overlay memberof), moves and drops members with their entries (refint), locks accounts
/// (ppolicy), and refuses a `uid` twice under `ou=people` (unique).
pub type Slapd = Server<Daemon>;

/// What runs as a [`Slapd`].
pub struct Daemon {
    client: LdapClient,
    plain: Port,
    tls: Port,
}

impl Daemon {
    fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.plain.number())
    }

    fn ldaps_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls.number())
    }
}

impl Program for Daemon {
    const NAME: &'static str = "slapd";

    fn command(&self, directory: &Path) -> Vec<OsString> {
        let listen = format!("{}/ {}/ {}", self.url(), self.ldaps_url(), ldapi_url(directory));
        // 32768 ("none") is what is always worth writing; and with -d, slapd stays in the foreground.
        vec![
            "/usr/sbin/slapd".into(),
            "-d".into(),
            "32768".into(),
            "-f".into(),
            directory.join("slapd.conf").into_os_string(),
            "-h".into(),
            listen.into(),
        ]
    }

    async fn answers(&self, _: &Path) -> Result<(), String> {
        self.client.answers().await
    }
}

/// Its tools come through the Unix socket.
impl LdapProgram for Daemon {
    fn client(&self) -> &LdapClient {
        &self.client
    }
}

/// How a [`Slapd`] shall be; made by [`Slapd::options`].
pub struct SlapdOptions {
    authority: CertificateAuthority,
    size_limit: Option<u32>,
    room: u64,
    sync: &'static str,
    plain: bool,
    bare: bool,
    read_only: bool,
    encrypted_only: bool,
    idle_timeout: u32,
    is_provider: bool,
    /// The lines that make it a replica.
    replica: Option<String>,
    access: Vec<String>,
    password_policy: Vec<String>,
}

impl SlapdOptions {
    /// Lets this authority sign the server's certificate; otherwise it gets one of its own.
    pub fn authority(mut self, authority: CertificateAuthority) -> Self {
        self.authority = authority;
        self
    }

    /// The most entries that a search returns to rolecall's account, paged or not; without it there is no limit.
    pub fn size_limit(mut self, entries: u32) -> Self {
        self.size_limit = Some(entries);
        self
    }

    /// The most bytes that its database may hold; without it, a gibibyte.
    pub fn room(mut self, bytes: u64) -> Self {
        self.room = bytes;
        self
    }

    /// Syncs every write to the disk, as a server that is relied on does. Tests end servers, not the machine, and what
    /// was written survives that in any case.
    pub fn durable(mut self) -> Self {
        self.sync = "";
        self
    }

    /// Leaves out the overlays that help: it then neither keeps `memberOf`, nor moves or drops members with their
    /// entries, nor refuses a `uid` twice.
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Has nothing in it but the suffix and units for people, groups and roles, as a server that was installed a moment
    /// ago: no account for rolecall either, only the administrator's.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self.plain()
    }

    /// Lets rolecall's account read everything and write nothing.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Closes a connection that was not used for so many seconds; without it, none.
    pub fn idle_timeout(mut self, seconds: u32) -> Self {
        self.idle_timeout = seconds;
        self
    }

    /// Lets others keep copies of its data.
    pub fn provider(mut self) -> Self {
        self.is_provider = true;
        self
    }

    /// Makes it a read-only copy of `provider`, to which it refers whoever wants to write. It keeps itself up to date.
    pub fn replica_of(mut self, provider: &Slapd) -> Self {
        self.replica = Some(format!(
            "syncrepl rid=001 provider={} type=refreshAndPersist retry=\"1 +\" searchbase=\"{BASE}\" \
             bindmethod=simple binddn=\"{ADMIN}\" credentials={PASSWORD}\nupdateref {}\n",
            provider.ldapi_url(),
            provider.ldaps_url()
        ));
        self.plain()
    }

    /// Refuses to work over a connection that is not encrypted (result 13, confidentialityRequired).
    pub fn encrypted_only(mut self) -> Self {
        self.encrypted_only = true;
        self
    }

    /// Puts an access rule before all others, in the words of slapd.access(5): `to attrs=mail by * read`.
    pub fn access(mut self, rule: &str) -> Self {
        self.access.push(rule.to_owned());
        self
    }

    /// Sets what the default password policy says, as LDIF lines like `pwdMinLength: 12`. Without it, the policy
    /// says just `pwdLockout: TRUE`, so that a locked account cannot bind.
    pub fn password_policy<'a>(mut self, lines: impl IntoIterator<Item = &'a str>) -> Self {
        self.password_policy = lines.into_iter().map(str::to_owned).collect();
        self
    }

    /// Starts it.
    pub async fn start(self) -> Slapd {
        let slapd = Server::make(&self).await;
        match self.replica {
            None => slapd.add_ldif(&self.first_entries()).await,
            Some(_) => slapd.has_copied().await,
        }
        slapd
    }

    fn configuration(&self, directory: &Path) -> String {
        let directory = directory.display();
        let security = if self.encrypted_only { "security ssf=128" } else { "" };
        let limit = self.size_limit.map_or("unlimited".to_owned(), |entries| entries.to_string());
        let right = if self.read_only { "read" } else { "write" };
        let (room, sync, idle_timeout) = (self.room, self.sync, self.idle_timeout);
        let provider = if self.is_provider { "overlay syncprov\n" } else { "" };
        let replica = self.replica.as_deref().unwrap_or_default();
        let overlays = if self.plain { String::new() } else { overlays() };
        let first: String = self.access.iter().map(|rule| format!("access {rule}\n")).collect();
        format!(
            "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
moduleload ppolicy
moduleload unique
moduleload syncprov
idletimeout {idle_timeout}
TLSCACertificateFile {directory}/ca.pem
TLSCertificateFile {directory}/server.pem
TLSCertificateKeyFile {directory}/server.key
TLSVerifyClient try
# Whoever comes with the kit's client certificate, or through the socket, is rolecall by SASL EXTERNAL.
authz-regexp \"^cn=rolecall$\" \"{SERVICE}\"
authz-regexp \"^gidNumber=[0-9]+[+]uidNumber=[0-9]+,cn=peercred,cn=external,cn=auth$\" \"{SERVICE}\"
# The kit's own tools come through the socket, whatever is asked of others.
localSSF 256
{security}
sizelimit {limit}

database monitor

database mdb
maxsize {room}
{sync}
readonly off
suffix \"{BASE}\"
rootdn \"{ADMIN}\"
rootpw {PASSWORD}
directory {directory}/db
index objectClass,uid,mail,cn,member,uniqueMember,memberUid,uidNumber,gidNumber,entryUUID eq
index businessCategory,description eq,sub
{first}access to attrs=userPassword by dn.exact=\"{SERVICE}\" {right} by self write by anonymous auth by * none
access to * by dn.exact=\"{SERVICE}\" {right} by users read by * none
overlay ppolicy
ppolicy_default \"cn=default,ou=policies,{BASE}\"
{overlays}{provider}{replica}"
        )
    }

    fn first_entries(&self) -> String {
        let units: String = ["people", "groups", "roles", "services", "policies"]
            .iter()
            .map(|unit| format!("dn: ou={unit},{BASE}\nobjectClass: organizationalUnit\nou: {unit}\n\n"))
            .collect();
        let suffix = format!(
            "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n"
        );
        if self.bare {
            return suffix + &units;
        }
        let policy: String = self.password_policy.iter().map(|line| format!("{line}\n")).collect();
        format!(
            "{suffix}{units}dn: {SERVICE}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: rolecall\n\
             userPassword: {PASSWORD}\n\n\
             dn: cn=default,ou=policies,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: default\n\
             pwdAttribute: userPassword\n{policy}"
        )
    }
}

impl Setup for SlapdOptions {
    type Program = Daemon;

    async fn set_up(&self, directory: &Path) -> Daemon {
        self.authority.equip(directory);
        self.authority.equip_client(directory, "rolecall");
        fs::create_dir(directory.join("db")).expect("the directory is new");
        fs::write(directory.join("slapd.conf"), self.configuration(directory))
            .expect("the directory is ours");
        let client = LdapClient {
            url: ldapi_url(directory),
            bind_dn: ADMIN.to_owned(),
            password: PASSWORD.to_owned(),
            ca: directory.join("ca.pem"),
            log: directory.join("log"),
        };
        Daemon { client, plain: Port::take(), tls: Port::take() }
    }
}

fn overlays() -> String {
    format!(
        "overlay memberof
memberof-refint TRUE
overlay refint
refint_attributes member uniqueMember
overlay unique
unique_uri ldap:///ou=people,{BASE}?uid?sub
"
    )
}

impl Slapd {
    /// Starts one as most tests want it.
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// How it shall be, if not as most tests want it.
    pub fn options() -> SlapdOptions {
        SlapdOptions {
            authority: CertificateAuthority::new(),
            size_limit: None,
            room: 1 << 30,
            sync: "dbnosync",
            plain: false,
            bare: false,
            read_only: false,
            encrypted_only: false,
            idle_timeout: 0,
            is_provider: false,
            replica: None,
            access: Vec::new(),
            password_policy: vec!["pwdLockout: TRUE".to_owned()],
        }
    }

    /// `ldap://127.0.0.1:PORT`: plain, or with StartTLS.
    pub fn url(&self) -> String {
        self.program.url()
    }

    /// `ldaps://127.0.0.1:PORT`.
    pub fn ldaps_url(&self) -> String {
        self.program.ldaps_url()
    }

    /// The Unix socket, as an `ldapi://` URL.
    pub fn ldapi_url(&self) -> String {
        ldapi_url(self.directory())
    }

    /// A client certificate by which SASL EXTERNAL is rolecall's account, and its key, both in PEM.
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        (self.directory().join("client.pem"), self.directory().join("client.key"))
    }

    /// The suffix: `dc=example,dc=com`.
    pub fn base_dn(&self) -> &'static str {
        BASE
    }

    /// The account that rolecall binds as: one that access rules and limits hold for.
    pub fn bind_dn(&self) -> &'static str {
        SERVICE
    }

    /// Its password.
    pub fn bind_password(&self) -> &'static str {
        PASSWORD
    }

    /// The server's own administrator, whom no rule holds back; the kit's own tools bind as it.
    pub fn admin_dn(&self) -> &'static str {
        ADMIN
    }

    /// Its password.
    pub fn admin_password(&self) -> &'static str {
        PASSWORD
    }

    /// Waits until a replica has everything that a new server has.
    async fn has_copied(&self) {
        until(Duration::from_secs(20), "the replica copies its provider", async || {
            let found = self.search(BASE, "(cn=default)", &["1.1"]).await;
            if found.is_empty() { Err(self.log()) } else { Ok(()) }
        })
        .await;
    }

    /// Gives its database room for so many bytes from the next start on.
    pub fn set_room(&self, bytes: u64) {
        self.configure("maxsize ", &format!("maxsize {bytes}"));
    }

    /// Lets the database take writes, or none, from the next start on.
    pub fn set_read_only(&self, read_only: bool) {
        self.configure("readonly ", if read_only { "readonly on" } else { "readonly off" });
    }

    /// Puts `line` where one begins with `start`.
    fn configure(&self, start: &str, line: &str) {
        let path = self.directory().join("slapd.conf");
        let before = fs::read_to_string(&path).expect("the kit wrote it");
        let lines = before.lines().map(|old| if old.starts_with(start) { line } else { old });
        fs::write(&path, lines.collect::<Vec<_>>().join("\n") + "\n").expect("the directory is ours");
    }

    /// How many operations it has carried out since it started, those of the kit's own tools among them.
    pub async fn operations(&self) -> Operations {
        let found = self.search("cn=Operations,cn=Monitor", "(cn=*)", &["cn", "monitorOpCompleted"]).await;
        Operations::from_monitor(&found)
    }
}

fn ldapi_url(directory: &Path) -> String {
    format!("ldapi://{}", directory.join("ldapi").display().to_string().replace('/', "%2F"))
}
