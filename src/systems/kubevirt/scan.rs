//! Reading the whole inventory once, and proving that it can be read.

use std::time::Instant;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::answer::{self, Unreadable};
use super::inventory::Objects;
use super::{Cluster, Error};
use crate::cancel::Cancel;
use crate::mapping::{HypervisorId, Inventory};
use crate::process::Limits;
use crate::retry::{Patience, retry};
use crate::text;

/// How long an attempt may take, and how long temporary failures are retried.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// When all must be done.
    pub deadline: Option<Instant>,
    /// How long temporary failures are retried until then.
    pub patience: Patience,
}

impl Time {
    /// Repeats an attempt that meets temporary failures. Its errors name the server.
    fn attempts<T>(
        self,
        cluster: &Cluster,
        cancel: &Cancel,
        mut attempt: impl FnMut(Limits<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        retry(self.deadline, self.patience, cancel, || {
            let limits = match self.deadline {
                Some(deadline) => Limits {
                    time: deadline.saturating_duration_since(Instant::now()),
                    ..Limits::until(cancel)
                },
                None => Limits::until(cancel),
            };
            attempt(limits).map_err(|error| error.at(cluster.server.as_deref()))
        })
    }
}

/// Reads the nodes and virtual machine instances of the cluster, in one call of kubectl, and calls `seen` for each.
pub fn scan(
    cluster: &Cluster,
    id: HypervisorId,
    time: Time,
    cancel: &Cancel,
    seen: impl Fn() + Clone + Send + 'static,
) -> Result<Inventory, Error> {
    let kinds = format!("nodes,{}", cluster.machines());
    let mut arguments = vec![kinds.as_str()];
    arguments.extend(Cluster::LIST);
    let begun = Instant::now();
    let objects = time.attempts(cluster, cancel, |limits| {
        let seen = seen.clone();
        cluster.get(&arguments, limits, move |stdout| {
            let mut objects = Objects::default();
            answer::list(stdout, |object| {
                seen();
                objects.add(object)
            })?;
            Ok(objects)
        })
    })?;
    let (nodes, machines) = objects.counts();
    let seconds = text::seconds(begun.elapsed());
    log::debug!("read {nodes} usable nodes and {machines} usable virtual machine instances in {seconds} s");
    Ok(objects.inventory(id))
}

/// Proves that the inventory can be read, and returns what the server says about itself and how much there is to read.
pub fn check(cluster: &Cluster, time: Time, cancel: &Cancel) -> Result<String, Error> {
    time.attempts(cluster, cancel, |limits| {
        let Version { git_version } = raw(cluster, "/version", limits)?;
        let api = match &cluster.version {
            Some(version) => version.clone(),
            None => {
                let group: Group = raw(cluster, "/apis/kubevirt.io", limits)?;
                group.preferred_version.version
            }
        };
        let nodes: Page = raw(cluster, "/api/v1/nodes?limit=1", limits)?;
        let machines = format!("/apis/kubevirt.io/{api}/virtualmachineinstances?limit=1");
        let machines: Page = raw(cluster, &machines, limits)?;
        let server = cluster.server.as_deref().unwrap_or("this cluster");
        let (nodes, machines) = (
            nodes.counted("node"),
            machines.counted("virtual machine instance"),
        );
        Ok(format!(
            "{server}: Kubernetes {git_version}, KubeVirt API {api}, {nodes} and {machines} can be read"
        ))
    })
}

/// The JSON at a path of the server.
fn raw<T: DeserializeOwned + Send + 'static>(
    cluster: &Cluster,
    path: &str,
    limits: Limits<'_>,
) -> Result<T, Error> {
    let [limit, raw] = Cluster::RAW;
    cluster.get(&[limit, raw, path], limits, |stdout| {
        let json = serde_json::from_reader(answer::limited(stdout));
        json.map_err(|error| match error.is_eof() {
            true => Unreadable::Cut,
            false => Unreadable::Json(error),
        })
    })
}

/// What the server says about itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

/// An API of the server.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    preferred_version: GroupVersion,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

/// The first page of a list.
#[derive(Deserialize)]
struct Page {
    items: Vec<IgnoredAny>,
    #[serde(default)]
    metadata: PageMetadata,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PageMetadata {
    r#continue: String,
    remaining_item_count: Option<u64>,
}

impl Page {
    /// How many there are, or, if the server does not say, only what they are.
    fn counted(&self, noun: &str) -> String {
        let here = self.items.len() as u64;
        let all = match (
            self.metadata.remaining_item_count,
            self.metadata.r#continue.as_str(),
        ) {
            (Some(more), _) => here.saturating_add(more),
            (None, "") => here,
            (None, _) => return format!("the {noun}s"),
        };
        match all {
            1 => format!("1 {noun}"),
            _ => format!("{all} {noun}s"),
        }
    }
}
