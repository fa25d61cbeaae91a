//! A url with several hosts, as one configuration for each.
//!
//! The driver would try them by itself, but with one time limit for all: a first host that hangs, or whose packets go
//! nowhere, would use it up, and the one that took over would never be asked.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// One server that may answer.
pub(crate) struct Candidate {
    pub(crate) postgres: Config,
    /// Host and port, or the socket's directory.
    pub(crate) name: String,
}

/// What `config` names, in its order.
pub(crate) fn candidates(config: &Config) -> Vec<Candidate> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let candidate = |n: usize| {
        let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
        let mut postgres = without_hosts(config);
        postgres.port(port);
        let mut name = String::new();
        if let Some(address) = addresses.get(n) {
            postgres.hostaddr(*address);
            name = format!("{address}:{port}");
        }
        match hosts.get(n) {
            Some(Host::Tcp(host)) => {
                postgres.host(host);
                name = format!("{host}:{port}");
            }
            Some(Host::Unix(path)) => {
                postgres.host_path(path);
                name = path.display().to_string();
            }
            None => {}
        }
        Candidate { postgres, name }
    };
    (0..hosts.len().max(addresses.len())).map(candidate).collect()
}

fn without_hosts(config: &Config) -> Config {
    let mut copy = Config::new();
    copy.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding());
    if let Some(user) = config.get_user() {
        copy.user(user);
    }
    if let Some(database) = config.get_dbname() {
        copy.dbname(database);
    }
    if let Some(options) = config.get_options() {
        copy.options(options);
    }
    if let Some(name) = config.get_application_name() {
        copy.application_name(name);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        copy.connect_timeout(*timeout);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        copy.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        copy.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        copy.keepalives_retries(retries);
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_port_and_everything_else() {
        let url = "postgresql://rolecall@a,b:5433/app?target_session_attrs=read-write&sslmode=require&\
                   application_name=x&options=-c%20geqo%3Doff&connect_timeout=3&keepalives_idle=7";
        let config: Config = url.parse().unwrap();
        let found = candidates(&config);
        let names: Vec<&str> = found.iter().map(|candidate| candidate.name.as_str()).collect();
        assert_eq!(names, ["a:5432", "b:5433"]);
        for (candidate, host) in found.iter().zip(["a:5432", "b:5433"]) {
            let (host, port) = host.split_once(':').unwrap();
            let alone = url.replace("a,b:5433/app", &format!("{host}:{port}/app"));
            assert_eq!(candidate.postgres, alone.parse().unwrap());
        }
    }
}
