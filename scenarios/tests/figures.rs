//! Every figure of the scenarios and templates says beside it where it is from, or that it is assumed.

use std::path::Path;

/// Words that say so.
const STATUS: [&str; 5] = ["assumption", "assumed", "sourced", "as above", "The plan"];
/// Sections whose figures describe the world.
const DESCRIBE: [&str; 7] = [
    "assumptions",
    "warranty",
    "subsidy",
    "sessions.",
    "swaps.",
    "regulation",
    "node",
];
/// Figures that stand between others of another origin: their own comment is right above.
const OWN: [&str; 3] = ["dc_energy_kwh", "dc_dwell_minutes", "weekend_factor"];

fn says(comment: &str) -> bool {
    STATUS.iter().any(|word| comment.contains(word))
}

/// Figures of a file that do not say what they are, with their lines.
fn silent(text: &str) -> Vec<String> {
    // Of the nodes' limits one comment speaks for all, if it does for each kind of limit.
    let tree = text.lines().filter(|line| line.starts_with('#'));
    let tree: String = tree.skip_while(|line| !line.contains("tree")).collect();
    let of_tree = says(&tree) && tree.contains("export_limit_kw");
    let mut silent = Vec::new();
    let (mut section, mut header, mut said, mut above) =
        (String::new(), false, false, String::new());
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() {
            header = false;
        } else if line.starts_with('#') {
            header |= says(line);
            said |= says(line);
        } else if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
            said = header;
            header = false;
        } else if let Some((key, value)) = line.split_once(" = ")
            && DESCRIBE.iter().any(|known| section.starts_with(known))
            && value.contains(|c: char| c.is_ascii_digit())
            && !key.starts_with([' ', '"'])
        {
            let own = OWN.contains(&key) && !(above.starts_with('#') && says(&above));
            let all = said || (section == "node" && of_tree);
            let names = ["id", "parent", "kind"].contains(&key);
            if !names && (!all || (own && !section.starts_with("swaps."))) {
                silent.push(format!("{number}: {line}"));
            }
        }
        above = line.to_owned();
    }
    silent
}

#[test]
fn every_figure_says_what_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        "baiyun-scenes",
        "guangzhou-2025",
        "guangzhou-2026",
        "guangzhou-2027",
        "guangzhou-pilot",
        "pilot-community",
        "templates/city",
        "templates/community",
        "templates/minimal",
        "templates/swap",
    ];
    for file in files {
        let path = folder.join(format!("{file}.toml"));
        let text = std::fs::read_to_string(&path).expect("a scenario");
        assert_eq!(silent(&text), Vec::<String>::new(), "{file}");
    }
    // The small fleet says it of all of them.
    let small = include_str!("../fleet-small.toml");
    assert!(small.contains("All figures are invented"));
}

#[test]
fn a_figure_that_says_nothing_is_found() {
    let text = "# The tree is assumption, export_limit_kw too.\n[[node]]\nexport_limit_kw = 5\n\n[sessions.a]\nstay_h = [1]\n\
                # sourced (x)\nenergy_kwh = [1]\ndc_energy_kwh = [8, 44]\n# assumption\ndc_dwell_minutes = 5\n";
    assert_eq!(
        silent(text),
        ["6: stay_h = [1]", "9: dc_energy_kwh = [8, 44]"]
    );
}
