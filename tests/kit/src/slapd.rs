//! OpenLDAP.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use tokio::process::Command;

use crate::authority::CertificateAuthority;
use crate::ldif::{self, Entry};
use crate::port::Port;
use crate::server::{Program, Server, Setup};
use crate::tool;

const BASE: &str = "dc=example,dc=com";
const ADMIN: &str = "cn=admin,dc=example,dc=com";
const SERVICE: &str = "cn=rolecall,ou=services,dc=example,dc=com";
const PASSWORD: &str = "secret";

/// A slapd with an empty directory: `ou=people`, `ou=groups`, `ou=roles`, and the account that rolecall binds as.
///
/// It keeps `memberOf` (overlay memberof), moves and drops members with their entries (refint), locks accounts
/// (ppolicy), and refuses a `uid` twice under `ou=people` (unique).
pub type Slapd = Server<OpenLdap>;

/// OpenLDAP's server on its two ports.
pub struct OpenLdap {
    plain: Port,
    tls: Port,
}

/// How a [`Slapd`] shall be; made by [`Slapd::options`].
pub struct SlapdOptions {
    authority: CertificateAuthority,
    size_limit: Option<u32>,
    read_only: bool,
    encrypted_only: bool,
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

    /// Lets rolecall's account read everything and write nothing.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
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
        slapd.add_ldif(&self.first_entries()).await;
        slapd
    }

    fn configuration(&self, directory: &Path) -> String {
        let directory = directory.display();
        let security = if self.encrypted_only { "security ssf=128" } else { "" };
        let limit = self.size_limit.map_or("unlimited".to_owned(), |entries| entries.to_string());
        let right = if self.read_only { "read" } else { "write" };
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
TLSCACertificateFile {directory}/ca.pem
TLSCertificateFile {directory}/server.pem
TLSCertificateKeyFile {directory}/server.key
# The kit's own tools come through the socket, whatever is asked of others.
localSSF 256
{security}
sizelimit {limit}

database mdb
maxsize 1073741824
suffix \"{BASE}\"
rootdn \"{ADMIN}\"
rootpw {PASSWORD}
directory {directory}/db
index objectClass,uid,mail,cn,member,entryUUID eq
{first}access to attrs=userPassword by dn.exact=\"{SERVICE}\" {right} by self write by anonymous auth by * none
access to * by dn.exact=\"{SERVICE}\" {right} by users read by * none
overlay memberof
memberof-refint TRUE
overlay refint
refint_attributes member uniqueMember
overlay ppolicy
ppolicy_default \"cn=default,ou=policies,{BASE}\"
overlay unique
unique_uri ldap:///ou=people,{BASE}?uid?sub
"
        )
    }

    fn first_entries(&self) -> String {
        let units: String = ["people", "groups", "roles", "services", "policies"]
            .iter()
            .map(|unit| format!("dn: ou={unit},{BASE}\nobjectClass: organizationalUnit\nou: {unit}\n\n"))
            .collect();
        let policy: String = self.password_policy.iter().map(|line| format!("{line}\n")).collect();
        format!(
            "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n{units}\
             dn: {SERVICE}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: rolecall\n\
             userPassword: {PASSWORD}\n\n\
             dn: cn=default,ou=policies,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: default\n\
             pwdAttribute: userPassword\n{policy}"
        )
    }
}

impl Setup for SlapdOptions {
    type Program = OpenLdap;

    async fn set_up(&self, directory: &Path) -> OpenLdap {
        self.authority.equip(directory);
        fs::create_dir(directory.join("db")).expect("the directory is new");
        fs::write(directory.join("slapd.conf"), self.configuration(directory))
            .expect("the directory is ours");
        OpenLdap { plain: Port::take(), tls: Port::take() }
    }
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
            read_only: false,
            encrypted_only: false,
            access: Vec::new(),
            password_policy: vec!["pwdLockout: TRUE".to_owned()],
        }
    }

    /// `ldap://127.0.0.1:PORT`: plain, or with StartTLS.
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.program.plain.number())
    }

    /// `ldaps://127.0.0.1:PORT`.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.program.tls.number())
    }

    /// The Unix socket, as an `ldapi://` URL.
    pub fn ldapi_url(&self) -> String {
        ldapi_url(self.directory())
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

    /// What stands under `base` (itself included) and fits `filter`, by the real `ldapsearch`. `attributes` are the
    /// names to return; none means all, and `+` means the operational ones. None when `base` does not exist.
    pub async fn search(&self, base: &str, filter: &str, attributes: &[&str]) -> Vec<Entry> {
        let mut command = self.tool("ldapsearch");
        command.args(["-LLL", "-b", base, filter]).args(attributes);
        let output = tool::run(&mut command, "").await;
        match output.status.code() {
            Some(0) => ldif::entries(&String::from_utf8_lossy(&output.stdout)),
            Some(32) => Vec::new(),
            _ => panic!("ldapsearch failed: {}\n{}", String::from_utf8_lossy(&output.stderr), self.log()),
        }
    }

    /// The entry with this name.
    pub async fn entry(&self, dn: &str, attributes: &[&str]) -> Option<Entry> {
        let mut found = self.search(dn, "(objectClass=*)", attributes).await;
        (!found.is_empty()).then(|| found.swap_remove(0))
    }

    /// Adds the entries in `ldif`.
    pub async fn add_ldif(&self, ldif: &str) {
        tool::succeed(&mut self.tool("ldapadd"), ldif).await;
    }

    /// Makes the changes in `ldif` (RFC 2849 change records).
    pub async fn modify_ldif(&self, ldif: &str) {
        tool::succeed(&mut self.tool("ldapmodify"), ldif).await;
    }

    /// Whether somebody can sign in with this name and password.
    pub async fn can_bind(&self, dn: &str, password: &str) -> bool {
        let mut command = Command::new("ldapwhoami");
        command.env("LDAPNOINIT", "1").args(["-x", "-H", &self.ldapi_url(), "-D", dn, "-w", password]);
        let output = tool::run(&mut command, "").await;
        match output.status.code() {
            Some(0) => true,
            // invalidCredentials (a locked account too), or unwillingToPerform (an empty password).
            Some(49 | 53) => false,
            _ => panic!("ldapwhoami failed: {}\n{}", String::from_utf8_lossy(&output.stderr), self.log()),
        }
    }

    fn tool(&self, name: &str) -> Command {
        tool(self.directory(), name)
    }
}

impl Program for OpenLdap {
    const NAME: &'static str = "slapd";

    fn command(&self, directory: &Path) -> Vec<OsString> {
        let (plain, tls) = (self.plain.number(), self.tls.number());
        let listen = format!("ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{tls}/ {}/", ldapi_url(directory));
        // 32768 ("none") is what is always worth writing; and with -d, slapd stays in the foreground.
        let mut words: Vec<OsString> =
            ["/usr/sbin/slapd", "-d", "32768", "-h", &listen, "-f"].map(Into::into).into();
        words.push(directory.join("slapd.conf").into());
        words
    }

    async fn answers(&self, directory: &Path) -> Result<(), String> {
        tool::answers(&mut tool(directory, "ldapwhoami"), "").await
    }
}

fn ldapi_url(directory: &Path) -> String {
    let path = directory.join("ldapi").display().to_string();
    format!("ldapi://{}", path.replace('/', "%2F"))
}

fn tool(directory: &Path, name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("LDAPNOINIT", "1").args(["-x", "-H", &ldapi_url(directory), "-D", ADMIN, "-w", PASSWORD]);
    command
}
