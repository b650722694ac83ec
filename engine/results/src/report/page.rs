//! The page around the figures: one file with its style, its script, its words and its data.

use serde::Serialize;

/// In which language a page speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese.
    Chinese,
}

/// What a page shows.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// One run.
    Report,
    /// Several runs.
    Compare,
}

const STYLE: &str = include_str!("assets/style.css");
const CHARTS: &str = include_str!("assets/charts.js");
const REPORT: &str = include_str!("assets/report.js");
const COMPARE: &str = include_str!("assets/compare.js");
const ENGLISH: &str = include_str!("assets/en.json");
const CHINESE: &str = include_str!("assets/zh.json");

/// Nothing is fetched, whatever a scenario's text says.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// The page. Text of the scenario is data in it, never markup.
pub(crate) fn page(title: &str, kind: Kind, language: Language, model: &impl Serialize) -> String {
    let (lang, words) = match language {
        Language::English => ("en", ENGLISH),
        Language::Chinese => ("zh-CN", CHINESE),
    };
    let script = match kind {
        Kind::Report => REPORT,
        Kind::Compare => COMPARE,
    };
    let title = escape(title);
    // A model has only strings as keys and finite numbers: it can always be written.
    let data = in_script(&serde_json::to_string(model).unwrap_or_default());
    let words = in_script(words);
    format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main id=\"page\"></main>\n\
         <script type=\"application/json\" id=\"words\">{words}</script>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n\
         <script>\n{CHARTS}{script}</script>\n</body>\n</html>\n"
    )
}

/// Text as text of HTML.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

/// JSON that cannot end the element that it stands in.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn text_of_a_scenario_stays_text() {
        let evil = "</script><script>alert(1)</script>\"&";
        let page = page(evil, Kind::Report, Language::English, &evil);
        assert!(!page.contains("alert(1)</script>"));
        assert!(page.contains(
            "<title>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;</title>"
        ));
        assert!(page.contains("\\u003c/script>\\u003cscript>alert(1)"));
    }

    #[test]
    fn both_languages_have_the_same_words() {
        let words = |text| serde_json::from_str::<BTreeMap<String, String>>(text).expect("words");
        let (english, chinese) = (words(ENGLISH), words(CHINESE));
        assert!(english.keys().eq(chinese.keys()), "other keys");
        assert!(
            english
                .values()
                .chain(chinese.values())
                .all(|word| !word.is_empty())
        );
    }
}
