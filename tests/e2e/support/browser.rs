//! A real browser, Chromium without a window, that a test drives as a person would: by what stands on the page, with
//! pointer and keyboard.

use std::collections::BTreeSet;
use std::process::Stdio;

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use rolecall_testkit::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::PATIENCE;

/// A browser at one console. It ends when this goes out of scope.
pub(crate) struct Browser {
    /// It is asked to end, and takes the browser with it.
    driver: Child,
    client: Client,
    console: String,
}

/// A command of ChromeDriver's own, beyond those of WebDriver.
#[derive(Debug)]
struct Special {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Special {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// A new browser that has heard of nothing yet, for the console at this address.
    pub(crate) async fn at(address: &str) -> Self {
        // Whatever becomes of the test, it does not outlive the thread that started it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "chromedriver", "--port=0"]);
        let mut driver =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("chromedriver starts");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("chromedriver says where it listens");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        // Someone has to read what it says, or it waits.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut arguments = vec!["--headless=new", "--disable-gpu", "--hide-scrollbars"];
        // Chromium's sandbox refuses to be started by root, as which these tests run in a container. The only pages
        // it sees are those of the daemon that is tested.
        if rustix::process::geteuid().is_root() {
            arguments.push("--no-sandbox");
        }
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".into(), json!({"args": arguments}));
        capabilities.insert("goog:loggingPrefs".into(), json!({"browser": "ALL", "performance": "ALL"}));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromium starts");
        Self { driver, client, console: format!("http://{address}") }
    }

    async fn special(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Special { path, body }).await.unwrap()
    }

    /// Asks for a path.
    pub(crate) async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.console)).await.unwrap();
    }

    /// The path and the query of the page that is shown.
    pub(crate) async fn location(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url.as_str().strip_prefix(&self.console).expect("the page is the console's").to_owned()
    }

    /// The text of the page, as it is seen.
    pub(crate) async fn text(&self) -> String {
        self.find("main").await.text().await.unwrap()
    }

    /// The one thing on the page that this selects.
    pub(crate) async fn find(&self, css: &str) -> Element {
        match self.client.find(Locator::Css(css)).await {
            Ok(found) => found,
            Err(error) => panic!("{css}: {error}\n{}", self.client.source().await.unwrap()),
        }
    }

    /// How many things on the page this selects.
    pub(crate) async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    /// Clicks on a link or a button with these words, and waits for the page that comes.
    pub(crate) async fn click(&self, words: &str) {
        let xpath = format!("//*[self::a or self::button][starts-with(normalize-space(), {words:?})]");
        match self.client.find(Locator::XPath(&xpath)).await {
            Ok(found) => self.leads_on(async || found.click().await.unwrap()).await,
            Err(error) => panic!("{words}: {error}\n{}", self.client.source().await.unwrap()),
        }
    }

    /// Does something that leads to another page, and waits until the one that was shown is gone.
    async fn leads_on(&self, something: impl AsyncFnOnce()) {
        let before = self.find("html").await;
        something().await;
        until(PATIENCE, "another page is shown", async || {
            if before.tag_name().await.is_err() { Ok(()) } else { Err(self.client.current_url().await) }
        })
        .await;
    }

    /// Presses these keys and then enter, which leads to another page.
    pub(crate) async fn enter(&self, keys: &str) {
        self.leads_on(async || self.press(&format!("{keys}\u{e007}")).await).await;
    }

    /// Presses these keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Goes on with the tab key until this has the focus, which must be seen at every stop.
    pub(crate) async fn tab_to(&self, css: &str) {
        for _ in 0..60 {
            let script = "const at = document.activeElement;
                          return [at.matches(arguments[0]), getComputedStyle(at).outlineStyle, at.outerHTML]";
            let state = self.client.execute(script, vec![json!(css)]).await.unwrap();
            if state[0] == true {
                assert_ne!(state[1], "none", "the focus is not seen on {}", state[2]);
                return;
            }
            self.press("\u{e004}").await;
        }
        panic!("{css} is not reached by the tab key");
    }

    /// Signs in with a token.
    pub(crate) async fn sign_in(&self, token: &str) {
        self.open("/console").await;
        self.find("#token").await.send_keys(token).await.unwrap();
        self.click("Sign in").await;
        assert_eq!(self.location().await, "/console");
    }

    /// How wide the window is, in pixels, and whether it is dark.
    pub(crate) async fn look(&self, width: u32, dark: bool) {
        let metrics = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600});
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.cdp("Emulation.setEmulatedMedia", features).await;
    }

    async fn cdp(&self, command: &str, parameters: Value) {
        self.special("goog/cdp/execute", json!({"cmd": command, "params": parameters})).await;
    }

    /// How much wider than the window the page is, in pixels.
    pub(crate) async fn overflow(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth - window.innerWidth";
        self.client.execute(script, Vec::new()).await.unwrap().as_i64().unwrap()
    }

    /// What the page's background is: its red part, 0 to 255.
    pub(crate) async fn brightness(&self) -> i64 {
        let script = "return parseInt(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])";
        self.client.execute(script, Vec::new()).await.unwrap().as_i64().unwrap()
    }

    /// What the browser complained of since it was last asked, but for answers that are no success: refused by a policy,
    /// not understood, not found.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.special("se/log", json!({"type": "browser"})).await;
        let entries = log.as_array().unwrap().iter();
        let complaints = entries.filter(|entry| {
            let message = entry["message"].as_str().unwrap_or_default();
            entry["level"] != "INFO" && !message.contains("the server responded with a status of")
        });
        complaints.map(ToString::to_string).collect()
    }

    /// Every address that pages, or what they fetch, were asked for at.
    pub(crate) async fn asked(&self) -> BTreeSet<String> {
        let log = self.special("se/log", json!({"type": "performance"})).await;
        let entries = log.as_array().unwrap().iter();
        let messages =
            entries.map(|entry| serde_json::from_str::<Value>(entry["message"].as_str().unwrap()).unwrap());
        let sent = messages.filter(|message| message["message"]["method"] == "Network.requestWillBeSent");
        let urls =
            sent.map(|message| message["message"]["params"]["request"]["url"].as_str().unwrap().to_owned());
        urls.filter(|url| !url.starts_with("data:") && !url.starts_with("chrome")).collect()
    }

    /// Ends the visit: nothing was complained of, and nothing was fetched from anywhere else.
    pub(crate) async fn leave(self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
        let elsewhere: Vec<String> =
            self.asked().await.into_iter().filter(|url| !url.starts_with(&self.console)).collect();
        assert_eq!(elsewhere, Vec::<String>::new());
        let closed: Result<(), CmdError> = self.client.clone().close().await;
        closed.unwrap();
    }

    /// Waits until the page, asked for again and again, says this.
    pub(crate) async fn until(&self, path: &str, says: &str) {
        until(PATIENCE, says, async || {
            self.open(path).await;
            let text = self.text().await;
            if text.contains(says) { Ok(()) } else { Err(text) }
        })
        .await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(pid) = self.driver.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}
