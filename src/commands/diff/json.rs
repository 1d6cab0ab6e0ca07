//! Differences as JSON, for scripts.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use crate::diff::{Change, Differences, GuestRef, HostRef};

/// When a document of a stream was compared, and its section.
#[derive(Debug, Default, Serialize)]
pub(super) struct Moment<'m> {
    /// In RFC 3339 format, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<&'m str>,
}

/// Writes the differences, or only their numbers, in one line.
pub(super) fn write(
    mut out: impl Write,
    differences: &Differences<'_>,
    summary: bool,
    moment: Moment<'_>,
) -> io::Result<()> {
    let Differences { hosts, guests } = differences;
    if summary {
        let document = Document {
            moment,
            hosts: Hosts {
                came: hosts.came.len(),
                went: hosts.went.len(),
                changed: hosts.changed.len(),
            },
            guests: Guests {
                came: guests.came.len(),
                went: guests.went.len(),
                moved: guests.moved.len(),
                changed: guests.changed.len(),
            },
        };
        serde_json::to_writer(&mut out, &document)?;
    } else {
        let moved = guests.moved.iter();
        let changed = guests.changed.iter();
        let document = Document {
            moment,
            hosts: Hosts {
                came: hosts.came.iter().map(Host::of).collect(),
                went: hosts.went.iter().map(Host::of).collect(),
                changed: (hosts.changed.iter())
                    .map(|changed| Host {
                        what: Some(What(&changed.what)),
                        ..Host::of(&changed.new)
                    })
                    .collect::<Vec<_>>(),
            },
            guests: Guests {
                came: guests.came.iter().map(Guest::of).collect(),
                went: guests.went.iter().map(Guest::of).collect(),
                moved: moved
                    .map(|moved| Guest {
                        way: Some(Way {
                            from: moved.from.id(),
                            to: moved.guest.host().id(),
                        }),
                        ..Guest::of(&moved.guest)
                    })
                    .collect(),
                changed: changed
                    .map(|changed| Guest {
                        what: Some(What(&changed.what)),
                        ..Guest::of(&changed.new)
                    })
                    .collect::<Vec<_>>(),
            },
        };
        serde_json::to_writer(&mut out, &document)?;
    }
    writeln!(out)?;
    out.flush()
}

/// `H` and `G` are lists, or how long they are.
#[derive(Serialize)]
struct Document<'m, H, G> {
    #[serde(flatten)]
    moment: Moment<'m>,
    hosts: Hosts<H>,
    guests: Guests<G>,
}

#[derive(Serialize)]
struct Hosts<H> {
    came: H,
    went: H,
    changed: H,
}

#[derive(Serialize)]
struct Guests<G> {
    came: G,
    went: G,
    moved: G,
    changed: G,
}

#[derive(Serialize)]
struct Host<'d> {
    /// Null for this machine itself.
    id: Option<&'d str>,
    name: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<What<'d>>,
}

impl<'d> Host<'d> {
    fn of(host: &HostRef<'d>) -> Self {
        Host {
            id: host.id(),
            name: host.name(),
            what: None,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Guest<'d> {
    guest_id: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'d str>,
    /// Null for this machine itself.
    host: Option<&'d str>,
    #[serde(flatten)]
    way: Option<Way<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<What<'d>>,
}

/// From which hypervisor to which a guest moved.
#[derive(Serialize)]
struct Way<'d> {
    from: Option<&'d str>,
    to: Option<&'d str>,
}

impl<'d> Guest<'d> {
    fn of(guest: &GuestRef<'d>) -> Self {
        Guest {
            guest_id: guest.id(),
            name: guest.name(),
            host: guest.host().id(),
            way: None,
            what: None,
        }
    }
}

/// The changed members, each with its old and its new value.
struct What<'d>(&'d [Change<'d>]);

impl Serialize for What<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = self.0.iter();
        serializer.collect_map(pairs.map(|change| (change.member, [change.old, change.new])))
    }
}
