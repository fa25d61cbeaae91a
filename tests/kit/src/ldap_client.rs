//! An LDAP server looked into and changed by somebody other than rolecall: OpenLDAP's own command-line tools.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;

use tokio::process::Command;

use crate::ldif::{self, Entry};
use crate::server::{Program, Server};
use crate::tool;

/// The tools `ldapsearch`, `ldapadd` and `ldapmodify`, bound as a server's administrator.
pub struct LdapClient {
    pub(crate) url: String,
    pub(crate) bind_dn: String,
    pub(crate) password: String,
    /// The authority that signed the server's certificate, for `ldaps://`.
    pub(crate) ca: PathBuf,
    /// What the server writes, to be shown when a tool fails.
    pub(crate) log: PathBuf,
}

impl LdapClient {
    /// What stands under `base` (itself included) and fits `filter`. `attributes` are the names to return; none means
    /// all, and `+` means the operational ones. None when `base` does not exist.
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
        let mut command = self.tool("ldapsearch");
        command.args(["-LLL", "-s", "base", "-b", dn, "(objectClass=*)"]).args(attributes);
        let output = tool::run(&mut command, "").await;
        match output.status.code() {
            Some(0) => ldif::entries(&String::from_utf8_lossy(&output.stdout)).pop(),
            Some(32) => None,
            _ => panic!("ldapsearch failed: {}\n{}", String::from_utf8_lossy(&output.stderr), self.log()),
        }
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
        let output = tool::run(&mut self.knock(dn, password), "").await;
        match output.status.code() {
            Some(0) => true,
            // invalidCredentials (a locked account too), or unwillingToPerform (an empty password, and what 389
            // Directory Server says of a locked account).
            Some(49 | 53) => false,
            _ => panic!("ldapsearch failed: {}\n{}", String::from_utf8_lossy(&output.stderr), self.log()),
        }
    }

    /// Whether the server answers its administrator; if not, what the tool said.
    pub(crate) async fn answers(&self) -> Result<(), String> {
        let output = tool::run(&mut self.knock(&self.bind_dn, &self.password), "").await;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// What the server wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Binds, and asks for next to nothing.
    fn knock(&self, dn: &str, password: &str) -> Command {
        let mut command = self.tool_as("ldapsearch", dn, password);
        command.args(["-LLL", "-s", "base", "-b", "", "(objectClass=*)", "1.1"]);
        command
    }

    fn tool(&self, name: &str) -> Command {
        self.tool_as(name, &self.bind_dn, &self.password)
    }

    fn tool_as(&self, name: &str, dn: &str, password: &str) -> Command {
        let mut command = Command::new(name);
        // Nobody's own settings, which the tools would read otherwise.
        command.env("LDAPCONF", "/dev/null").env("LDAPRC", "/dev/null").env("HOME", "/nonexistent");
        command.env("LDAPTLS_CACERT", &self.ca).args(["-x", "-H", &self.url, "-D", dn, "-w", password]);
        command
    }
}

/// A server that its administrator's tools look into.
pub trait LdapProgram: Program {
    /// The tools.
    fn client(&self) -> &LdapClient;
}

/// Its administrator's tools.
impl<P: LdapProgram> Deref for Server<P> {
    type Target = LdapClient;

    fn deref(&self) -> &LdapClient {
        self.program.client()
    }
}
