//! KubeVirt: the virtual machines of a Kubernetes cluster, read with kubectl or oc, because these bring every login that Kubernetes
//! has.
//!
//! - `cluster`: the calls of kubectl; `complaint`: what its messages mean; `kubeconfig`: the secrets that they must not show
//! - `answer`: the stream that it prints; `object`: a node, or a virtual machine instance (VMI); `quantity`: numbers of CPUs
//! - `scan` reads all of them once, `inventory` makes hypervisors of them, and `listen` listens to their changes

pub mod answer;
mod cluster;
mod complaint;
mod error;
mod inventory;
mod kubeconfig;
mod listen;
mod object;
mod quantity;
mod scan;

pub use self::answer::Unreadable;
pub use self::cluster::Cluster;
pub use self::complaint::Complaint;
pub use self::error::Error;
pub use self::inventory::Objects;
pub use self::kubeconfig::Secrets;
pub use self::listen::listen;
pub use self::scan::{Time, check, scan};

/// virt-who's type of this source.
pub const TYPE: &str = "kubevirt";
