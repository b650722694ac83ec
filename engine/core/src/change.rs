//! Changes to what is registered. A field that is none stays as it is.

use crate::grid::BaseLoad;
use crate::{
    Aggregator, AggregatorId, Agreement, Node, NodeId, Pile, Power, Station, StationId, StationKind,
};

macro_rules! changes {
    ($($(#[$doc:meta])* $name:ident of $whole:ident by $id:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            /// Which.
            pub id: $id,
            $(#[doc = concat!("New [`", stringify!($whole), "::", stringify!($field), "`].")]
            pub $field: Option<$type>,)*
        }

        impl $name {
            /// What the change makes of it.
            #[must_use]
            pub fn applied_to(&self, whole: &$whole) -> $whole {
                let mut changed = whole.clone();
                $(if let Some(value) = &self.$field {
                    changed.$field.clone_from(value);
                })*
                changed
            }
        }
    )*};
}

changes! {
    /// A change to an aggregator.
    AggregatorChange of Aggregator by AggregatorId {
        display_name: String,
        tested_share: Option<f64>,
    }

    /// A change to a node; its place in the tree stays.
    NodeChange of Node by NodeId {
        import_limit: Power,
        agreement: Option<Agreement>,
        export_limit: Power,
        base_load: BaseLoad,
    }

    /// A change to a station; its aggregator and its node stay.
    StationChange of Station by StationId {
        kind: StationKind,
        piles: Vec<Pile>,
        import_limit: Power,
        export_limit: Power,
        ramp_per_second: Power,
        default_setpoint: Power,
        charge_efficiency: f64,
        discharge_efficiency: f64,
        regulates: bool,
    }
}
