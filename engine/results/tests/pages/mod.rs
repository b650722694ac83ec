//! Pages in a real browser: what happened in each as it opened, what it shows, and what paper it takes.
//!
//! `make test` installs Chromium where it may; without a browser this fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Stands before all else in a page, so that it sees errors of the page's own scripts and may run whatever policy the page has.
/// Tells the window around what happened in the page, and what it shows.
const WATCH: &str = "<script>
const seen = [];
addEventListener('error', event => seen.push('error: ' + event.message));
addEventListener('unhandledrejection', event => seen.push('rejected: ' + event.reason));
addEventListener('securitypolicyviolation', event => seen.push('fetched: ' + event.blockedURI));
for (const level of ['error', 'warn']) console[level] = (...what) => seen.push(level + ': ' + what.join(' '));
const count = selector => document.querySelectorAll(selector).length;
addEventListener('load', () => setTimeout(() => parent.postMessage({ page: 'NAME', seen, fetched: performance.getEntriesByType('resource').length,
  figures: count('.figure'), plots: count('.plot > svg path, .plot > svg circle, .plot > svg rect'), canvas: count('canvas'), bars: count('.bar span'),
  rows: count('tbody tr'), empty: count('.empty'), sections: count('section'), scripts: count('script') - 1, bold: count('td b'),
  shapes: count('svg path, svg polyline, svg rect'), phone: count('meta[name=viewport]') === 1,
  broken: [...document.querySelectorAll('svg path')].filter(path => /NaN|undefined|Infinity/.test(path.getAttribute('d'))).length,
  wide: document.documentElement.scrollWidth - innerWidth, title: document.querySelector('h1').textContent,
  text: /undefined|NaN|Infinity/.test(document.querySelector('main').textContent) }, '*'), 50));
</script>";

/// What a page showed.
#[derive(Debug, serde::Deserialize)]
#[allow(dead_code)] // each test binary asks for its own part
pub(crate) struct Seen {
    page: String,
    /// Errors and warnings, and what was kept from being fetched.
    pub(crate) seen: Vec<String>,
    pub(crate) fetched: u32,
    pub(crate) figures: u32,
    pub(crate) plots: u32,
    pub(crate) canvas: u32,
    pub(crate) bars: u32,
    pub(crate) rows: u32,
    pub(crate) empty: u32,
    pub(crate) sections: u32,
    /// The page's own.
    pub(crate) scripts: u32,
    pub(crate) bold: u32,
    /// Of all drawings.
    pub(crate) shapes: u32,
    /// Whether a phone shows it as wide as it is itself.
    phone: bool,
    broken: u32,
    /// So many pixels more than the window has.
    wide: i32,
    pub(crate) title: String,
    text: bool,
}

impl Seen {
    /// No error, nothing fetched, no figure that is none, and not wider than its window.
    pub(crate) fn assert_sound(&self) {
        let name = &self.page;
        assert_eq!(self.seen, Vec::<String>::new(), "{name}");
        assert_eq!(self.fetched, 0, "{name}");
        assert_eq!(self.broken, 0, "{name}: a chart has no numbers");
        assert!(!self.text, "{name}: text without a value");
        assert!(self.phone, "{name}: a phone shows it as on a desk");
        let wide = self.wide;
        assert!(wide <= 0, "{name} is {wide} pixels wider than its window");
    }
}

/// The browser, with a profile in a folder of its own.
fn browser(folder: &Path) -> Command {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            let mut version = Command::new(name);
            version
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            version.status().is_ok_and(|status| status.success())
        })
        .expect("no browser: `make browser` installs Chromium where it may");
    let mut command = Command::new(found);
    command.args([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-extensions",
        "--virtual-time-budget=5000",
    ]);
    let profile = folder.join("profile");
    command.arg(format!("--user-data-dir={}", profile.display()));
    command
}

/// Opens pages in frames of one window, each as wide as a phone (390 pixels) or a desktop.
pub(crate) fn look_at(pages: &[(&str, u32, String)]) -> BTreeMap<String, Seen> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut frames = String::new();
    for (name, width, html) in pages {
        let watched = format!("<head>{}", WATCH.replace("NAME", name));
        let html = html.replacen("<head>", &watched, 1);
        std::fs::write(folder.path().join(format!("{name}.html")), html).expect("written");
        frames.push_str(&format!(
            "<iframe src=\"{name}.html\" width={width} height=900></iframe>"
        ));
    }
    let page = format!(
        "<!doctype html><meta charset=utf-8>{frames}<pre id=seen></pre><script>const all = [];
        onmessage = event => {{ all.push(event.data); document.getElementById('seen').textContent = 'SEEN' + JSON.stringify(all) + 'SEEN'; }}</script>"
    );
    let path = folder.path().join("all.html");
    std::fs::write(&path, page).expect("written");
    let output = browser(folder.path())
        .arg("--dump-dom")
        .arg(format!("file://{}", path.display()))
        .output()
        .expect("the browser starts");
    let dom = String::from_utf8_lossy(&output.stdout);
    let seen = dom.split("SEEN").nth(1).unwrap_or_else(|| {
        panic!(
            "the browser says nothing: {dom} {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let seen = seen
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let seen: Vec<Seen> = serde_json::from_str(&seen).expect("what was seen");
    let seen: BTreeMap<String, Seen> = seen
        .into_iter()
        .map(|seen| (seen.page.clone(), seen))
        .collect();
    assert_eq!(
        seen.len(),
        pages.len(),
        "a page is missing: {:?}",
        seen.keys()
    );
    seen
}

/// What a page is on paper.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) sheets: usize,
    /// Of the PDF.
    pub(crate) bytes: usize,
    /// Whether there is text on it.
    pub(crate) text: bool,
}

/// Prints a page. Chromium writes a PDF's objects in plain text, and each sheet is one.
pub(crate) fn print(html: &str) -> Printed {
    let folder = tempfile::tempdir().expect("a folder");
    let (page, paper) = (
        folder.path().join("page.html"),
        folder.path().join("page.pdf"),
    );
    std::fs::write(&page, html).expect("written");
    let output = browser(folder.path())
        .args(["--no-pdf-header-footer"])
        .arg(format!("--print-to-pdf={}", paper.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser starts");
    let pdf = std::fs::read(&paper).unwrap_or_else(|error| {
        panic!(
            "nothing was printed: {error}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let text = String::from_utf8_lossy(&pdf);
    assert!(text.starts_with("%PDF-") && text.trim_end().ends_with("%%EOF"));
    Printed {
        sheets: text.matches("/Type /Page\n").count(),
        bytes: pdf.len(),
        text: text.contains("/Type /Font"),
    }
}
