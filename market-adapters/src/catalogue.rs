//! All rule packs that come with this crate, figure by figure: what it is, since when, where from and how sure.

use toml::Value;

use crate::rules::{self, PackId, Status};

/// The packs' names and texts.
const PACKS: [&str; 11] = [
    include_str!("../rules/guangdong-2025.toml"),
    include_str!("../rules/shenzhen-2025.toml"),
    include_str!("../rules/guangzhou-residential-2025.toml"),
    include_str!("../rules/baselines.toml"),
    include_str!("../rules/response-payments.toml"),
    include_str!("../rules/subsidies-guangzhou.toml"),
    include_str!("../rules/hunan-2025.toml"),
    include_str!("../rules/southern-2025.toml"),
    include_str!("../rules/pjm-performance.toml"),
    include_str!("../rules/primary-frequency.toml"),
    include_str!("../rules/capability-test.toml"),
];

/// One figure of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The pack.
    pub pack: PackId,
    /// Its key in the pack.
    pub key: String,
    /// The figure; several where they belong together.
    pub value: String,
    /// First day on which it holds, `YYYY-MM-DD`.
    pub valid_from: String,
    /// First day on which it no longer holds; empty when no end is known.
    pub valid_to: String,
    /// Where it comes from.
    pub source: String,
    /// How sure it is.
    pub status: Status,
}

/// All figures of all packs.
///
/// # Panics
/// Never: a test reads them all.
#[must_use]
pub fn figures() -> Vec<Figure> {
    let packs = PACKS.iter().flat_map(|text| {
        let pack: toml::Table = toml::from_str(text).expect("a pack of the crate is sound");
        let id = rules::id_of(text).expect("a pack of the crate is sound");
        let mut figures = Vec::new();
        for (key, value) in &pack {
            collect(&id, key, value, &mut figures);
        }
        figures
    });
    packs.collect()
}

/// A table with a status is a figure; others are looked into, and what follows each other in time.
fn collect(pack: &PackId, key: &str, value: &Value, figures: &mut Vec<Figure>) {
    if let Value::Array(values) = value {
        for value in values {
            collect(pack, key, value, figures);
        }
    }
    let Value::Table(table) = value else { return };
    let status = table.get("status").and_then(|status| {
        let status = status.clone().try_into::<Status>();
        status.ok()
    });
    let Some(status) = status else {
        for (below, value) in table {
            collect(pack, &format!("{key}.{below}"), value, figures);
        }
        return;
    };
    let about = ["status", "source", "valid_from", "valid_to", "value"];
    let value = match table.get("value") {
        Some(value) => plain(value),
        None => {
            let others = table
                .iter()
                .filter(|(name, _)| !about.contains(&name.as_str()));
            let all: Vec<String> = others
                .map(|(name, value)| format!("{name} {}", plain(value)))
                .collect();
            all.join(", ")
        }
    };
    figures.push(Figure {
        pack: pack.clone(),
        key: key.to_owned(),
        value,
        valid_from: text_of(table.get("valid_from")),
        valid_to: text_of(table.get("valid_to")),
        source: text_of(table.get("source")),
        status,
    });
}

fn text_of(value: Option<&Value>) -> String {
    value.map(plain).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Datetime(date) => date.to_string(),
        Value::Array(values) => {
            let all: Vec<String> = values.iter().map(plain).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Table(table) => {
            let all = table
                .iter()
                .map(|(name, value)| format!("{name} {}", plain(value)));
            format!("({})", all.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settlements name the version of a pack: whoever changes a figure gives the pack a new one, and writes both here. The
    /// number is FNV-1a of the pack without its comments.
    const PUBLISHED: [(&str, u64); 11] = [
        ("guangdong-2025@1", 0x3a20_ac29_87c5_a8d4),
        ("shenzhen-2025@1", 0x54af_4ea9_3a19_f832),
        ("guangzhou-residential-2025@1", 0xbb23_a534_a97d_d545),
        ("baselines@1", 0x9c4f_c12f_8689_5eea),
        ("response-payments@1", 0x10ef_a917_3450_592d),
        ("subsidies-guangzhou@1", 0x0c84_02bc_bc6a_7932),
        ("hunan-2025@1", 0xf82f_8196_9f47_1dfb),
        ("southern-2025@1", 0x865f_240f_b47a_52da),
        ("pjm-performance@2", 0xc8ca_dcf8_a3d0_1b11),
        ("primary-frequency@1", 0xc529_67f0_b00b_f780),
        ("capability-test@1", 0xa8c8_2014_b8a9_5be5),
    ];

    #[test]
    fn a_figure_that_changes_makes_a_new_version() {
        let found = PACKS.map(|text| {
            let id = rules::id_of(text).expect("sound").to_string();
            let pack: toml::Table = toml::from_str(text).expect("TOML");
            let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            (
                id,
                pack.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, fold),
            )
        });
        let published = PUBLISHED.map(|(id, hash)| (id.to_owned(), hash));
        assert_eq!(found, published, "{found:#x?}");
    }

    /// Whoever adds a pack adds it here as well, and every figure says where it comes from.
    #[test]
    fn every_pack_is_listed_and_every_figure_has_a_source() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");
        // The city's plan lies beside them: targets, no figures that money is worked out with.
        let files = std::fs::read_dir(folder).expect("the folder").count();
        assert_eq!(files, PACKS.len() + 1);
        let figures = figures();
        let mut packs: Vec<&str> = figures
            .iter()
            .map(|figure| figure.pack.name.as_str())
            .collect();
        packs.dedup();
        assert_eq!(packs.len(), PACKS.len(), "{packs:?}");
        for figure in &figures {
            assert!(
                !figure.source.is_empty()
                    && figure.valid_from.len() == 10
                    && !figure.value.is_empty(),
                "{figure:?}"
            );
        }
        let feed_in = figures
            .iter()
            .find(|f| f.pack.name == "guangdong-2025" && f.key == "feed_in");
        let feed_in = feed_in.expect("there");
        assert_eq!(
            (feed_in.value.as_str(), feed_in.status),
            ("0.453", Status::Sourced)
        );
        assert!(
            figures
                .iter()
                .any(|figure| figure.key == "multiplier.sharp")
        );
    }
}
