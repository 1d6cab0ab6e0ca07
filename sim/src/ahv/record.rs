//! The records as each API writes them, with some of the many members that a scan does not need.

use serde_json::{Value, json};

use super::{Cluster, Host, Machine};

const AOS: &str = "6.5.2";
const AHV: &str = "Nutanix 20220304.480";

impl Cluster {
    pub(super) fn element(&self) -> Value {
        json!({
            "id": format!("{}::1", self.uuid), "uuid": self.uuid, "name": self.name, "version": AOS,
            "full_version": "el7.3-release-fraser-6.5.2-stable", "num_nodes": 4, "external_subnet": null,
            "hypervisor_types": [self.hypervisor_type()], "stats": {"hypervisor_num_iops": "12"},
        })
    }

    pub(super) fn central(&self) -> Value {
        json!({
            "metadata": {"kind": "cluster", "uuid": self.uuid, "categories": {}},
            "spec": {"name": self.name, "resources": {"config": {"timezone": "UTC"}}},
            "status": {"state": "COMPLETE", "name": self.name, "resources": {
                "config": {"service_list": ["AOS"], "build": {"version": AOS, "build_type": "release"}},
                "nodes": {"hypervisor_server_list": [
                    {"ip": "10.0.0.11", "version": AHV, "type": self.hypervisor},
                    {"ip": "10.0.0.12", "version": AHV, "type": self.hypervisor},
                ]},
            }},
        })
    }

    /// Prism Central itself, which is in its list of clusters.
    pub(super) fn prism_central() -> Value {
        json!({
            "metadata": {"kind": "cluster", "uuid": "00000000-0a0b-4c0d-8e0f-00000000cccc"},
            "spec": {"name": "Unnamed", "resources": {}},
            "status": {"state": "COMPLETE", "name": "Unnamed", "resources": {
                "config": {"service_list": ["PRISM_CENTRAL"], "build": {"version": "pc.2022.6.0.3"}},
                "nodes": {},
            }},
        })
    }

    /// The type in v2.0's words.
    fn hypervisor_type(&self) -> &'static str {
        match &*self.hypervisor {
            "VMWARE" => "kVMware",
            _ => "kKvm",
        }
    }
}

impl Host {
    pub(super) fn element(&self) -> Value {
        json!({
            "service_vmid": "0005809e::4", "uuid": self.uuid, "name": self.name, "block_serial": "15SM60250038",
            "num_cpu_sockets": self.sockets, "num_cpu_cores": 36, "hypervisor_type": self.hypervisor,
            "hypervisor_full_name": AHV, "hypervisor_password": null, "cluster_uuid": self.cluster,
            "disk_hardware_configs": {"1": {"mount_path": "/home/nutanix/data"}}, "host_gpus": [], "num_vms": 4,
        })
    }

    pub(super) fn central(&self) -> Value {
        let cluster = self
            .cluster
            .as_ref()
            .map(|uuid| json!({"kind": "cluster", "uuid": uuid}));
        json!({
            "metadata": {"kind": "host", "uuid": self.uuid, "spec_version": 1, "categories": {}},
            "spec": without_nulls(json!({"name": self.name, "resources": {}})),
            "status": without_nulls(json!({
                "state": "COMPLETE", "name": self.name, "cluster_reference": cluster,
                "resources": without_nulls(json!({
                    "num_cpu_sockets": self.sockets, "num_cpu_cores": 36, "cpu_model": "Intel(R) Xeon(R) Gold 6240",
                    "hypervisor": {"num_vms": 4, "ip": "10.0.0.11", "hypervisor_full_name": AHV},
                    "controller_vm": {"ip": "10.0.0.21"}, "host_disks_reference_list": [],
                })),
            })),
        })
    }
}

impl Machine {
    pub(super) fn element(&self) -> Value {
        let record = json!({
            "uuid": self.uuid, "name": self.name, "power_state": self.power, "memory_mb": 4096, "num_vcpus": 2,
            "timezone": "UTC", "vm_features": {"AGENT_VM": false}, "vm_logical_timestamp": 7,
        });
        let mut record = without_nulls(record);
        // Unlike other members it is there, but null.
        record["host_uuid"] = self.host.clone().into();
        record
    }

    pub(super) fn central(&self) -> Value {
        let host = self
            .host
            .as_ref()
            .map(|uuid| json!({"kind": "host", "uuid": uuid}));
        let power = self.power.as_ref().map(|power| power.to_uppercase());
        let resources = without_nulls(json!({
            "power_state": power, "host_reference": host, "hypervisor_type": "AHV", "num_sockets": 2,
            "memory_size_mib": 4096, "disk_list": [{"uuid": "d", "device_properties": {"device_type": "DISK"}}],
            "nic_list": [{"mac_address": "50:6b:8d:00:00:01", "is_connected": true}],
        }));
        json!({
            "metadata": {"kind": "vm", "uuid": self.uuid, "spec_version": 3, "categories": {"Env": "prod"}},
            "spec": {"name": self.name, "resources": {"power_state": power}},
            "status": {"state": "COMPLETE", "name": self.name, "resources": resources},
        })
    }
}

/// An object without its null members, as v3 writes it.
fn without_nulls(mut object: Value) -> Value {
    if let Value::Object(members) = &mut object {
        members.retain(|_, value| !value.is_null());
    }
    object
}
