//! 389 Directory Server.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::authority::CertificateAuthority;
use crate::ldap_client::{LdapClient, LdapProgram};
use crate::port::Port;
use crate::server::{Program, Server, Setup};
use crate::tool;

const BASE: &str = "dc=example,dc=com";
const ADMIN: &str = "cn=Directory Manager";
const SERVICE: &str = "cn=rolecall,ou=services,dc=example,dc=com";
const PASSWORD: &str = "Secret-12345";

/// What the server's own setup fills in to make a configuration.
const TEMPLATE: &str = "/usr/share/dirsrv/data/template-dse.ldif";

/// A 389 Directory Server with an empty directory: `ou=people`, `ou=groups`, `ou=roles`, and the account that
/// rolecall binds as.
///
/// It keeps `memberOf` and moves and drops members with their entries (plugins MemberOf and referential integrity).
/// The server's own setup wants root and writes all over the system; here everything stands in one directory, and no
/// root is needed.
pub type Ds389 = Server<Instance>;

/// What runs as a [`Ds389`].
pub struct Instance {
    client: LdapClient,
    plain: Port,
    tls: Port,
}

impl Program for Instance {
    const NAME: &'static str = "389ds";

    fn command(&self, directory: &Path) -> Vec<OsString> {
        let configuration = directory.join("config").into_os_string();
        let pid = directory.join("pid").into_os_string();
        // With a debug level it stays in the foreground; 0 is what is always worth writing. Without a file for its pid
        // it writes that to /dev/null, and as root it would take that device away from everybody else (mode 0644).
        vec![
            "/usr/sbin/ns-slapd".into(),
            "-D".into(),
            configuration,
            "-i".into(),
            pid,
            "-d".into(),
            "0".into(),
        ]
    }

    async fn answers(&self, _: &Path) -> Result<(), String> {
        self.client.answers().await
    }
}

impl LdapProgram for Instance {
    fn client(&self) -> &LdapClient {
        &self.client
    }
}

struct New;

impl Setup for New {
    type Program = Instance;

    async fn set_up(&self, directory: &Path) -> Instance {
        let (plain, tls) = (Port::take(), Port::take());
        let client = LdapClient {
            url: format!("ldap://127.0.0.1:{}", plain.number()),
            bind_dn: ADMIN.to_owned(),
            password: PASSWORD.to_owned(),
            ca: directory.join("ca.pem"),
            log: directory.join("log"),
        };
        configure(directory, plain.number(), tls.number()).await;
        Instance { client, plain, tls }
    }
}

impl Ds389 {
    /// Starts one.
    pub async fn start() -> Self {
        let server = Server::make(&New).await;
        server.modify_ldif(&first_entries()).await;
        server
    }

    /// `ldap://127.0.0.1:PORT`: plain, or with StartTLS.
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.program.plain.number())
    }

    /// `ldaps://127.0.0.1:PORT`.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.program.tls.number())
    }

    /// A client certificate by which SASL EXTERNAL is rolecall's account, and its key, both in PEM.
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        (self.directory().join("client.pem"), self.directory().join("client.key"))
    }

    /// The suffix: `dc=example,dc=com`.
    pub fn base_dn(&self) -> &'static str {
        BASE
    }

    /// The account that rolecall binds as: it may do everything below the suffix, and nothing elsewhere.
    pub fn bind_dn(&self) -> &'static str {
        SERVICE
    }

    /// Its password.
    pub fn bind_password(&self) -> &'static str {
        PASSWORD
    }
}

/// Does what `dscreate` would, below `directory` alone.
async fn configure(directory: &Path, plain: u16, tls: u16) {
    let config = directory.join("config");
    for name in ["schema", "db", "files"] {
        fs::create_dir_all(config.join(name)).expect("the directory is ours");
    }
    for (from, to) in [
        ("/etc/dirsrv/schema/99user.ldif", "schema/99user.ldif"),
        ("/etc/dirsrv/config/slapd-collations.conf", "slapd-collations.conf"),
    ] {
        fs::copy(from, config.join(to)).unwrap_or_else(|e| panic!("{from}: {e}; tests/run installs it"));
    }
    // A client certificate is whose common name it bears.
    let mapping =
        "certmap default default\ndefault:DNComps\ndefault:FilterComps cn\ndefault:verifycert off\n";
    fs::write(config.join("certmap.conf"), mapping).expect("the directory is ours");

    let template =
        fs::read_to_string(TEMPLATE).unwrap_or_else(|e| panic!("{TEMPLATE}: {e}; tests/run installs it"));
    let password = tool::succeed(Command::new("pwdhash").args(["-s", "SSHA512", PASSWORD]), "").await;
    let user = tool::succeed(Command::new("id").arg("-un"), "").await;
    let files = config.join("files").display().to_string();
    let mut dse = template
        .replace("%config_dir%", &config.display().to_string())
        .replace("%cert_dir%", &config.display().to_string())
        .replace("%schema_dir%", &config.join("schema").display().to_string())
        .replace("%db_dir%", &config.join("db").display().to_string())
        .replace("%db_home_dir%", &config.join("db").display().to_string())
        .replace("%ldapi%", &config.join("ldapi").display().to_string())
        // Nobody's data is at stake: what a crash would lose need not be on the disk at once.
        .replace("%db_lib%", "bdb\nnsslapd-db-durable-transaction: off")
        .replace("%ds_passwd%", password.trim())
        .replace("%ds_port%", &plain.to_string())
        .replace("%ds_suffix%", BASE)
        .replace("%ds_user%", user.trim())
        .replace("%fqdn%", "localhost")
        .replace("%rootdn%", ADMIN)
        .replace("%log_dir%/errors", &directory.join("log").display().to_string())
        .replace("%ldapi_enabled%", "off")
        .replace("%ldapi_autobind%", "off")
        .replace(
            "nsslapd-rootdn:",
            &format!(
                "nsslapd-security: on\nnsslapd-secureport: {tls}\nnsslapd-listenhost: 127.0.0.1\n\
                 nsslapd-securelistenhost: 127.0.0.1\nnsslapd-rootdn:"
            ),
        );
    for plugin in ["cn=MemberOf Plugin,", "cn=referential integrity postoperation,"] {
        dse = enable(&dse, plugin);
    }
    for place in ["bak", "inst", "ldif", "lock", "log", "run", "tmp"] {
        dse = dse.replace(&format!("%{place}_dir%"), &files);
    }
    fs::write(config.join("dse.ldif"), dse).expect("the directory is ours");
    certificates(directory, &config).await;
}

/// The configuration with a plugin that is turned off turned on.
fn enable(dse: &str, plugin: &str) -> String {
    let at = dse.find(&format!("dn: {plugin}")).unwrap_or_else(|| panic!("{TEMPLATE} has no {plugin}"));
    let (before, entry) = dse.split_at(at);
    format!("{before}{}", entry.replacen("nsslapd-pluginenabled: off", "nsslapd-pluginenabled: on", 1))
}

/// The server keeps certificates in a database of its own kind.
async fn certificates(directory: &Path, config: &Path) {
    let authority = CertificateAuthority::new();
    authority.equip(directory);
    authority.equip_client(directory, "rolecall");
    let path = |name: &str| directory.join(name).display().to_string();
    let database = format!("sql:{}", config.display());
    let bundle = path("server.p12");
    let steps: [(&str, &[&str]); 4] = [
        ("certutil", &["-N", "-d", &database, "--empty-password"]),
        (
            "openssl",
            &[
                "pkcs12",
                "-export",
                "-in",
                &path("server.pem"),
                "-inkey",
                &path("server.key"),
                "-name",
                "Server-Cert",
                "-passout",
                "pass:x",
                "-out",
                &bundle,
            ],
        ),
        ("pk12util", &["-i", &bundle, "-d", &database, "-W", "x", "-K", ""]),
        ("certutil", &["-A", "-d", &database, "-n", "authority", "-t", "CT,,", "-i", &path("ca.pem")]),
    ];
    for (command, arguments) in steps {
        tool::succeed(Command::new(command).args(arguments), "").await;
    }
}

/// The database, what stands in it at first, and rolecall's right to it.
fn first_entries() -> String {
    let units: String = ["people", "groups", "roles", "services"]
        .iter()
        .map(|unit| {
            format!("dn: ou={unit},{BASE}\nchangetype: add\nobjectClass: organizationalUnit\nou: {unit}\n\n")
        })
        .collect();
    format!(
        "dn: cn=userroot,cn=ldbm database,cn=plugins,cn=config\nchangetype: add\nobjectClass: top\n\
         objectClass: extensibleObject\nobjectClass: nsBackendInstance\ncn: userroot\nnsslapd-suffix: {BASE}\n\n\
         dn: cn=\"{BASE}\",cn=mapping tree,cn=config\nchangetype: add\nobjectClass: top\n\
         objectClass: extensibleObject\nobjectClass: nsMappingTree\ncn: {BASE}\nnsslapd-state: backend\n\
         nsslapd-backend: userroot\n\n\
         dn: {BASE}\nchangetype: add\nobjectClass: domain\ndc: example\n\
         aci: (targetattr=\"*\")(version 3.0; acl \"rolecall\"; allow (all) userdn=\"ldap:///{SERVICE}\";)\n\n\
         {units}\
         dn: {SERVICE}\nchangetype: add\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n\
         cn: rolecall\nuserPassword: {PASSWORD}\n"
    )
}
