//! Headless Chromium, driven through the DevTools protocol over a pipe: messages of JSON, each ended by a zero byte.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one page.
pub struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    next: u64,
    /// What happened on the page since it was opened.
    events: Vec<Value>,
    /// Whether it is a phone.
    touch: bool,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser, if there is one; a line on standard output says so where there is none.
    pub fn start() -> Option<Self> {
        let named = std::env::var("CHROMIUM").ok();
        let names = named.iter().map(String::as_str).chain(["chromium", "chromium-browser", "google-chrome"]);
        let exists = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
        let Some(name) = names.into_iter().find(exists) else {
            println!("skipped: no Chromium was found ($CHROMIUM, chromium, chromium-browser, google-chrome)");
            return None;
        };
        Some(Self::of(name))
    }

    fn of(name: &str) -> Self {
        let profile = TempDir::new().unwrap();
        // Chromium reads commands from descriptor 3 and answers on 4; the shell puts them there.
        let script = format!(
            "exec {name} --headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run \
             --remote-debugging-pipe --user-data-dir={} 3<&0 4>&1 1>/dev/null 2>/dev/null",
            profile.path().display()
        );
        let mut command = Command::new("sh");
        let mut process = command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (commands, mut answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let (mut buffer, mut message) = ([0; 1 << 16], Vec::new());
            while let Ok(count @ 1..) = answers.read(&mut buffer) {
                for byte in &buffer[..count] {
                    match byte {
                        0 => {
                            let text = std::mem::take(&mut message);
                            let _ = serde_json::from_slice(&text).map(|value: Value| sender.send(value));
                        }
                        byte => message.push(*byte),
                    }
                }
            }
        });
        let session = String::new();
        let mut browser =
            Self { process, commands, messages, session, next: 0, events: Vec::new(), touch: false, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends a command and waits for its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.commands.write_all(&[message.to_string().as_bytes(), &[0]].concat()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).unwrap_or_else(|_| panic!("no answer to {method}"));
            if message["id"] != json!(self.next) {
                self.events.push(message);
                continue;
            }
            assert!(message.get("error").is_none(), "{method}: {message}");
            return message["result"].clone();
        }
    }

    /// Opens a file at a width, in light or dark, and waits until it is there.
    pub fn open(&mut self, file: &Path, (width, height): (u32, u32), dark: bool) {
        let mobile = width < 500;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": mobile }));
        self.touch = mobile;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
        self.events.clear();
        self.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        let deadline = Instant::now() + PATIENCE;
        while self.evaluate("document.readyState === 'complete' && location.protocol === 'file:'") != json!(true) {
            assert!(Instant::now() < deadline, "the page does not load");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The value of an expression in the page, which may be a promise.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", parameters);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits for two frames, so that everything asked for is drawn.
    pub fn settle(&mut self) {
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))");
    }

    /// Presses the mouse, or a finger on a phone, at the first point, moves it along the others and lets it go. Points are shares of an
    /// element's box.
    pub fn drag(&mut self, selector: &str, points: &[(f64, f64)]) {
        let find = format!(
            "(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView({{ block: 'center' }}); \
             const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()"
        );
        let found = self.evaluate(&find);
        let of = |i: usize| found[i].as_f64().unwrap();
        let at = |(x, y): (f64, f64)| (of(0) + x * of(2), of(1) + y * of(3));
        if self.touch {
            let mut finger = |kind: &str, point: Option<&(f64, f64)>| {
                let points: Vec<Value> =
                    point.map(|point| at(*point)).iter().map(|(x, y)| json!({ "x": x, "y": y })).collect();
                self.call("Input.dispatchTouchEvent", json!({ "type": kind, "touchPoints": points }));
            };
            finger("touchStart", points.first());
            points[1..].iter().for_each(|point| finger("touchMove", Some(point)));
            finger("touchEnd", None);
            // A click comes of a touch when the browser is sure that it was no more than that.
            std::thread::sleep(Duration::from_millis(400));
            return self.settle();
        }
        let mut mouse = |kind: &str, (x, y): (f64, f64), buttons: u32| {
            let button = if kind == "mouseMoved" && buttons == 0 { "none" } else { "left" };
            let event = json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        };
        mouse("mouseMoved", at(points[0]), 0);
        mouse("mousePressed", at(points[0]), 1);
        points[1..].iter().for_each(|point| mouse("mouseMoved", at(*point), 1));
        mouse("mouseReleased", at(points[points.len() - 1]), 0);
        self.settle();
    }

    /// Presses a key on the element that has the focus.
    pub fn key(&mut self, key: &str, shift: bool) {
        let modifiers = if shift { 8 } else { 0 };
        for kind in ["rawKeyDown", "keyUp"] {
            let code = json!({ "type": kind, "key": key, "code": key, "modifiers": modifiers });
            self.call("Input.dispatchKeyEvent", code);
        }
        self.settle();
    }

    /// What was asked of the network, the page itself aside, and what went wrong.
    pub fn faults(&mut self) -> Vec<String> {
        self.settle();
        let is_fault = |event: &&Value| match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
                !url.starts_with("file://") && !url.starts_with("data:")
            }
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_fault).map(ToString::to_string).collect()
    }

    /// Keeps a picture of the whole page where `EXPLORER_PICTURES` names a folder.
    pub fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("EXPLORER_PICTURES") else { return };
        let shot = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        let png = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
