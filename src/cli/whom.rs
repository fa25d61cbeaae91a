//! Whom the commands ask: the daemon of this host's configuration, or another one on the network.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use rolecall_sink_api::tls::Tls;
use rolecall_sink_api::{Secret, SecretSource};

use super::{DEFAULT_CONFIG, Failure};
use crate::admin::{AdminClient, AdminUrl, Plaintext, Remote, RemoteError};

/// The variable that stands for `--admin`. It concerns those alone who ask a daemon, so that a shell that looks after another
/// host can do something on its own too.
const URL_VARIABLE: &str = "ROLECALL_ADMIN";
/// The variable that the token may stand in. There is no option for it: others can read a command line.
const TOKEN_VARIABLE: &str = "ROLECALL_ADMIN_TOKEN";
/// What the help puts the options for another daemon under.
const ELSEWHERE: &str = "Asking a daemon on another host";

/// The options of every command.
#[derive(Args, Clone, Debug)]
pub(super) struct Whom {
    /// The configuration file
    #[arg(long, short, global = true, env = "ROLECALL_CONFIG", hide_env_values = true, default_value = DEFAULT_CONFIG, value_name = "PATH")]
    pub(super) config: PathBuf,
    #[command(flatten)]
    elsewhere: Elsewhere,
}

/// Another host's daemon, and as whom it is asked.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = ELSEWHERE)]
struct Elsewhere {
    /// The address of its `admin.listen`, such as https://rolecall.example.com:8443 [env: ROLECALL_ADMIN]
    #[arg(long, global = true, value_name = "URL")]
    admin: Option<AdminUrl>,
    /// A file with the token to ask with [default: the token in the variable ROLECALL_ADMIN_TOKEN]
    #[arg(
        long,
        global = true,
        env = "ROLECALL_ADMIN_TOKEN_FILE",
        hide_env_values = true,
        value_name = "PATH"
    )]
    admin_token_file: Option<PathBuf>,
    /// A PEM file with the authorities to trust instead of the system's
    #[arg(long, global = true, env = "ROLECALL_ADMIN_CA", hide_env_values = true, value_name = "PATH")]
    admin_ca: Option<PathBuf>,
    /// A PEM file with the client certificate to ask with, and its chain
    #[arg(
        long,
        global = true,
        env = "ROLECALL_ADMIN_CERTIFICATE",
        hide_env_values = true,
        value_name = "PATH"
    )]
    admin_certificate: Option<PathBuf>,
    /// A PEM file with the client certificate's key
    #[arg(long, global = true, env = "ROLECALL_ADMIN_KEY", hide_env_values = true, value_name = "PATH")]
    admin_key: Option<PathBuf>,
    /// Ask by http:// a host that is not this one: others may read along, the token too
    #[arg(long, global = true)]
    admin_allow_plaintext: bool,
}

impl Whom {
    /// The configuration, for a command that works on what is on this host.
    ///
    /// # Errors
    /// When another daemon is named on the command line.
    pub(super) fn here(&self) -> Result<&Path, Failure> {
        match &self.elsewhere.admin {
            None => Ok(&self.config),
            Some(url) => Err(Failure::Usage(anyhow!(
                "this command works on the files of the host where it runs, and asks no other daemon: run it on the \
                 host of {url}, without --admin"
            ))),
        }
    }

    /// The daemon on the network that is named on the command line, or by a variable.
    ///
    /// # Errors
    /// When the variable's value is no address.
    pub(super) fn url(&self) -> Result<Option<AdminUrl>, Failure> {
        self.elsewhere.url(std::env::var_os(URL_VARIABLE))
    }

    /// A client of the daemon on the network, if one is named; `socket` is one on this host, which was named.
    ///
    /// # Errors
    /// When it may not be asked so, or what it is to be asked with cannot be used.
    pub(super) fn elsewhere(&self, socket: Option<&Path>) -> Result<Option<AdminClient>, Failure> {
        if socket.is_some() {
            return match &self.elsewhere.admin {
                None => Ok(None),
                Some(_) => Err(Failure::Usage(anyhow!(
                    "--socket names a daemon on this host and --admin another one: which is meant?"
                ))),
            };
        }
        let Some(url) = self.url()? else { return Ok(None) };
        self.elsewhere.remote(url, std::env::var_os(TOKEN_VARIABLE)).map(AdminClient::at).map(Some)
    }
}

impl Elsewhere {
    fn url(&self, variable: Option<OsString>) -> Result<Option<AdminUrl>, Failure> {
        if self.admin.is_some() {
            return Ok(self.admin.clone());
        }
        let Some(value) = variable.filter(|value| !value.is_empty()) else { return Ok(None) };
        let url = value.to_str().unwrap_or_default().parse();
        let wrong = |why| Failure::Usage(anyhow!("{URL_VARIABLE} cannot be used: {why}"));
        url.map(Some).map_err(wrong)
    }

    fn remote(&self, url: AdminUrl, variable: Option<OsString>) -> Result<Remote, Failure> {
        let token = match (&self.admin_token_file, variable) {
            (Some(path), _) => {
                let read = SecretSource::File(path.clone()).read();
                Some(read.map_err(|error| Failure::Usage(anyhow!("--admin-token-file: {error}")))?)
            }
            (None, Some(token)) if !token.is_empty() => {
                // What is no text is no token, which is said of it then.
                Some(Secret::new(token.into_string().unwrap_or_default()))
            }
            (None, _) => None,
        };
        let tls = Tls {
            ca: self.admin_ca.clone(),
            certificate: self.admin_certificate.clone(),
            key: self.admin_key.clone(),
        };
        let plaintext = if self.admin_allow_plaintext { Plaintext::Anywhere } else { Plaintext::OnThisHost };
        Remote::new(url, &tls, token.as_ref(), plaintext).map_err(|error| {
            Failure::Usage(match error {
                // The options are called as the keys of the section are.
                RemoteError::Tls(error) => {
                    let key = error.path.trim_start_matches("tls.");
                    anyhow!("--admin-{key}: {}", error.message.replace("tls.", "--admin-"))
                }
                error => error.into(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whom(arguments: &[&str]) -> Whom {
        use clap::Parser;
        #[derive(Parser)]
        struct Options {
            #[command(flatten)]
            whom: Whom,
        }
        Options::try_parse_from([&["rolecall"], arguments].concat()).unwrap().whom
    }

    fn text(failure: Result<impl std::fmt::Debug, Failure>) -> String {
        failure.unwrap_err().to_string()
    }

    #[test]
    fn what_works_on_files_is_not_done_for_another_host() {
        assert_eq!(whom(&["--config", "/a.yaml"]).here().unwrap(), Path::new("/a.yaml"));
        let refused = text(whom(&["--admin", "https://other.example"]).here());
        assert!(refused.contains("https://other.example:443") && refused.contains("--admin"), "{refused}");
    }

    #[test]
    fn the_command_line_counts_before_the_variable_and_a_socket_before_both() {
        let named = whom(&["--admin", "https://a.example"]);
        let variable = || Some(OsString::from("https://b.example"));
        let url = |whom: &Whom, variable| whom.elsewhere.url(variable).unwrap().map(|url| url.to_string());
        assert_eq!(url(&named, variable()).unwrap(), "https://a.example:443");
        assert_eq!(url(&whom(&[]), variable()).unwrap(), "https://b.example:443");
        assert_eq!((url(&whom(&[]), Some(OsString::new())), url(&whom(&[]), None)), (None, None));
        assert!(text(whom(&[]).elsewhere.url(Some("b.example".into()))).contains("ROLECALL_ADMIN"));

        let socket = Some(Path::new("/run/admin.sock"));
        assert!(whom(&[]).elsewhere(socket).unwrap().is_none());
        assert!(text(named.elsewhere(socket)).contains("--socket"));
    }

    #[test]
    fn what_it_is_to_be_asked_with_is_named_as_the_option_is() {
        let asked = |arguments: &[&str], token: &str| {
            let whom = whom(&[&["--admin", "https://a.example"], arguments].concat());
            let url = whom.elsewhere.url(None).unwrap().unwrap();
            whom.elsewhere.remote(url, Some(token.into()))
        };
        for (arguments, token, words) in [
            (&["--admin-ca", "/none.pem"][..], "", "--admin-ca: /none.pem"),
            (&["--admin-key", "/none.key"], "", "--admin-key: also needs --admin-certificate"),
            (&["--admin-token-file", "/none"], "", "--admin-token-file: "),
            (&[], "two words", "the token for https://a.example:443"),
        ] {
            let told = text(asked(arguments, token));
            assert!(told.contains(words) && !told.contains("two words"), "{told}");
        }
        assert!(asked(&[], "do-all-do-all-do-all").is_ok());
    }
}
