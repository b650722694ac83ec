//! What the city's plan asks for, year by year, and how it is filled with stations: every figure with its status.

/// What is new in a year, on top of the years before.
pub(super) struct Tranche {
    pub(super) year: i32,
    /// First local day of its 365 days.
    pub(super) start: &'static str,
    /// The 15th of July, days after the start.
    pub(super) july: u32,
    /// Charging stations by scene, in the order of [`SCENES`]. Their sum is the plan's (part 3 (3) 4).
    pub(super) stations: [usize; 8],
    /// Swap stations (the plan).
    pub(super) swaps: usize,
    /// Capacity of the connections, MVA (the plan).
    pub(super) capacity_mva: f64,
    /// Piles in all, where the plan says so: homes take what the other scenes leave.
    pub(super) piles: Option<u32>,
    /// Mean sizes over those of [`SCENES`] (assumption).
    pub(super) scale: f64,
    /// What exports.
    pub(super) projects: &'static [Project],
    /// Days of 35 °C outside July to September.
    pub(super) hot_days: &'static [&'static str],
    /// Public holidays.
    pub(super) holidays: &'static [&'static str],
    /// How sure the two lists are.
    pub(super) calendar_status: &'static str,
}

/// A kind of facility; its name is that of its session profile.
pub(super) struct Scene {
    pub(super) profile: &'static str,
    /// Mean numbers of piles of a station (assumption); sizes spread around them as in Shenzhen.
    pub(super) ac: f64,
    pub(super) dc: f64,
    /// Which kind of pile exports.
    pub(super) exports: Exports,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Exports {
    Ac,
    Dc,
}

/// Stations with exporting piles that belong together.
pub(super) struct Project {
    /// Ids of its stations begin with this.
    pub(super) prefix: &'static str,
    pub(super) piles: u32,
    /// How many stations of which scenes.
    pub(super) stations: &'static [(&'static str, usize)],
    /// Slots of one swap station that export too, among the stations' number.
    pub(super) exporting_swaps: usize,
}

/// Slots of a swap station.
pub(super) const SLOTS: u32 = 24;
/// What a slot draws at most, kW: as in `baiyun-scenes.toml`.
pub(super) const SLOT_KW: f64 = 40.0;
pub(super) const SWAP: &str = "swap-taxis";
pub(super) const EXPORTING_SWAP: &str = "swap-v2g";
/// Ids of the other stations begin with this.
pub(super) const CITY: &str = "gz";

const fn scene(profile: &'static str, ac: f64, dc: f64, exports: Exports) -> Scene {
    Scene {
        profile,
        ac,
        dc,
        exports,
    }
}

/// The seven scenes of the plan (part 3 (4) 2) that have piles, and public stations. The eighth is the swap station.
pub(super) const SCENES: [Scene; 8] = [
    // 18.3 DC piles is the mean of Shenzhen's stations that have any.
    scene("public", 8.0, 18.3, Exports::Ac),
    scene("residential", 84.0, 0.0, Exports::Ac),
    scene("industrial-park", 30.0, 10.0, Exports::Ac),
    scene("office-park", 40.0, 6.0, Exports::Ac),
    scene("government", 30.0, 4.0, Exports::Ac),
    scene("park", 20.0, 10.0, Exports::Ac),
    scene("bus-depot", 0.0, 40.0, Exports::Dc),
    scene("logistics", 0.0, 30.0, Exports::Dc),
];

/// The plan says nothing of exporting piles beyond 2025: they grow as the energy that it asks for, from 1.5 over 2.0 to 2.5 GWh.
const GROWTH: Project = Project {
    prefix: "v2g",
    piles: 370,
    stations: &[
        ("residential", 10),
        ("public", 6),
        ("industrial-park", 3),
        ("office-park", 2),
        ("bus-depot", 4),
    ],
    exporting_swaps: 0,
};

pub(super) const TRANCHES: [Tranche; 3] = [
    Tranche {
        year: 2025,
        // The first day on which the feed-in price for V2G holds: a year that began before would have none.
        start: "2025-05-01",
        july: 75,
        stations: [230, 170, 50, 50, 25, 30, 25, 20],
        swaps: 130,
        capacity_mva: 850.0,
        piles: Some(28_000),
        scale: 1.0,
        projects: &[
            // Part 3 (4) 1: 810 piles; homes, industrial parks, buses, public stations.
            Project {
                prefix: "benchmark",
                piles: 810,
                stations: &[
                    ("residential", 24),
                    ("public", 10),
                    ("industrial-park", 8),
                    ("office-park", 4),
                    ("bus-depot", 8),
                ],
                exporting_swaps: 0,
            },
            // Part 3 (4) 2: 300 piles in eight scenes, 24 of them the slots of a swap station.
            Project {
                prefix: "baiyun",
                piles: 276,
                stations: &[
                    ("residential", 6),
                    ("industrial-park", 3),
                    ("office-park", 3),
                    ("government", 2),
                    ("park", 2),
                    ("bus-depot", 2),
                    ("logistics", 2),
                ],
                exporting_swaps: 1,
            },
        ],
        hot_days: &[
            "2025-05-21",
            "2025-06-05",
            "2025-06-11",
            "2025-06-20",
            "2025-06-21",
            "2025-06-27",
            "2025-10-02",
            "2025-10-03",
        ],
        holidays: &[
            "2025-05-01",
            "2025-05-02",
            "2025-05-03",
            "2025-05-04",
            "2025-05-05",
            "2025-05-31",
            "2025-06-01",
            "2025-06-02",
            "2025-10-01",
            "2025-10-02",
            "2025-10-03",
            "2025-10-04",
            "2025-10-05",
            "2025-10-06",
            "2025-10-07",
            "2025-10-08",
            "2026-01-01",
            "2026-01-02",
            "2026-01-03",
            "2026-02-15",
            "2026-02-16",
            "2026-02-17",
            "2026-02-18",
            "2026-02-19",
            "2026-02-20",
            "2026-02-21",
            "2026-02-22",
            "2026-02-23",
            "2026-04-04",
            "2026-04-05",
            "2026-04-06",
        ],
        calendar_status: "holidays: the State Council's (general knowledge, not verified)",
    },
    Tranche {
        year: 2026,
        start: "2026-01-01",
        july: 195,
        stations: [60, 40, 14, 14, 6, 6, 6, 4],
        swaps: 20,
        capacity_mva: 150.0,
        piles: None,
        scale: 0.82,
        projects: &[GROWTH],
        hot_days: &[
            "2026-05-22",
            "2026-06-04",
            "2026-06-10",
            "2026-06-18",
            "2026-06-22",
            "2026-06-29",
            "2026-10-01",
            "2026-10-04",
        ],
        holidays: &[
            "2026-01-01",
            "2026-01-02",
            "2026-01-03",
            "2026-02-15",
            "2026-02-16",
            "2026-02-17",
            "2026-02-18",
            "2026-02-19",
            "2026-02-20",
            "2026-02-21",
            "2026-02-22",
            "2026-02-23",
            "2026-04-04",
            "2026-04-05",
            "2026-04-06",
            "2026-05-01",
            "2026-05-02",
            "2026-05-03",
            "2026-05-04",
            "2026-05-05",
            "2026-06-19",
            "2026-06-20",
            "2026-06-21",
            "2026-09-25",
            "2026-09-26",
            "2026-09-27",
            "2026-10-01",
            "2026-10-02",
            "2026-10-03",
            "2026-10-04",
            "2026-10-05",
            "2026-10-06",
            "2026-10-07",
        ],
        calendar_status: "holidays: the State Council's (general knowledge, not verified)",
    },
    Tranche {
        year: 2027,
        start: "2027-01-01",
        july: 195,
        stations: [60, 40, 14, 14, 6, 6, 6, 4],
        swaps: 30,
        capacity_mva: 200.0,
        piles: None,
        scale: 1.1,
        projects: &[GROWTH],
        hot_days: &[
            "2027-05-20",
            "2027-06-03",
            "2027-06-09",
            "2027-06-17",
            "2027-06-23",
            "2027-06-28",
            "2027-10-02",
            "2027-10-05",
        ],
        holidays: &[
            "2027-01-01",
            "2027-02-05",
            "2027-02-06",
            "2027-02-07",
            "2027-02-08",
            "2027-04-05",
            "2027-05-01",
            "2027-05-02",
            "2027-06-09",
            "2027-09-15",
            "2027-10-01",
            "2027-10-02",
            "2027-10-03",
        ],
        calendar_status: "holidays: the days that the law names; the State Council's schedule is not out",
    },
];
