//! Servers to play with.

mod configuration;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use rolecall_testkit::{HttpApplication, Postgres, Recorded, Slapd};
use tokio::signal::unix::{SignalKind, signal};

use configuration::{Files, configuration, rules};

/// A signing secret as Scalekit gives them out; it signs nothing but play.
const WEBHOOK_SECRET: &str = "whsec_cm9sZWNhbGwgcGxheSBzaWduaW5nIHNlY3JldCEhIQ==";
const TOKEN: &str = "play-token";

/// Brings the servers up, says how to use them, and ends them at SIGINT or SIGTERM.
pub(crate) async fn play() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let running = async {
        let (slapd, postgres, application) =
            tokio::join!(Slapd::start(), Postgres::start(), HttpApplication::options().bearer(TOKEN).start());
        let directory = tempfile::Builder::new().prefix("rolecall-play-").tempdir()?;
        let files = write_files(directory.path(), &slapd, &postgres, &application)?;
        explain(&files, &slapd, &postgres, &application)?;
        show_requests(&application).await
    };
    tokio::select! {
        ended = running => ended,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

fn write_files(
    directory: &Path,
    slapd: &Slapd,
    postgres: &Postgres,
    application: &HttpApplication,
) -> io::Result<Files> {
    let files = Files::in_directory(directory);
    fs::write(&files.webhook_secret, WEBHOOK_SECRET)?;
    fs::write(&files.ldap_password, slapd.bind_password())?;
    fs::write(&files.postgres_password, postgres.password())?;
    fs::write(&files.token, TOKEN)?;
    fs::write(&files.rules, rules())?;
    fs::write(&files.configuration, configuration(&files, slapd, postgres, application))?;
    Ok(files)
}

fn explain(
    files: &Files,
    slapd: &Slapd,
    postgres: &Postgres,
    application: &HttpApplication,
) -> io::Result<()> {
    let configuration = fs::read_to_string(&files.configuration)?;
    let config = files.configuration.display();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "# {config}\n\n{configuration}
# Run rolecall on it, in another terminal:
cargo run -- check --config {config} --connect
cargo run -- serve --config {config}

# Look into the directory:
LDAPTLS_CACERT={ldap_ca} ldapsearch -x -LLL -ZZ -H {ldap} -D {admin} -w {admin_password} -b {base}

# Look into the database:
psql '{postgres}' -c 'SELECT * FROM rolecall.users'

# Look into the application (its requests are shown below as they come):
curl -s {application}/users

# Ctrl-C ends it all.",
        ldap_ca = slapd.ca_path().display(),
        ldap = slapd.url(),
        admin = slapd.admin_dn(),
        admin_password = slapd.admin_password(),
        base = slapd.base_dn(),
        postgres = postgres.url(),
        application = format_args!("-H 'Authorization: Bearer {TOKEN}' {}", application.url()),
    )?;
    out.flush()
}

async fn show_requests(application: &HttpApplication) -> io::Result<()> {
    let mut requests = application.subscribe();
    let mut shown = 0;
    loop {
        let new: Vec<Recorded> = requests.borrow_and_update()[shown..].to_vec();
        shown += new.len();
        let mut out = io::stdout().lock();
        for request in new {
            let status = request.status.map_or("no answer".to_owned(), |status| status.to_string());
            writeln!(out, "{} -> {status}  {}", request.line(), request.body)?;
        }
        drop(out);
        if requests.changed().await.is_err() {
            return Ok(());
        }
    }
}
