// Command vcsim serves govmomi's simulator to the tests: a vCenter, or an ESX host, that this project did not write.
//
// It prints one line of JSON with its address and its hosts, and serves until stdin ends or SIGTERM comes.
// Then it prints how many sessions were left open, which should be none.
//
// A line on stdin changes the inventory, and is answered by a line like the first:
//
//	create VM HOST, power-off VM, power-on VM, move VM HOST, remove VM
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/google/uuid"
	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

type host struct {
	Name string   `json:"name"`
	UUID string   `json:"uuid"`
	VMs  []string `json:"vms"` // each one's config.uuid
}

func main() {
	kind := flag.String("model", "vcenter", "vcenter or esx")
	hosts := flag.Int("hosts", 1, "standalone hosts of a vCenter")
	clusters := flag.Int("clusters", 1, "clusters of a vCenter")
	clusterHosts := flag.Int("cluster-hosts", 3, "hosts of each cluster")
	datacenters := flag.Int("datacenters", 1, "datacenters of a vCenter")
	folders := flag.Int("folders", 0, "folders of each kind in each datacenter, which hold all but the first of what there is")
	pools := flag.Int("pools", 0, "resource pools of each cluster")
	vms := flag.Int("vms", 2, "virtual machines of each standalone host and each cluster")
	copies := flag.Int("copies", 0, "more virtual machines, on the first host: copies in the registry alone, so thousands take no time")
	hostCopies := flag.Int("host-copies", 0, "more hosts, beside the first one: such copies, and -copies are then spread over all of them")
	plain := flag.Bool("plain", false, "HTTP instead of HTTPS")
	user := flag.String("user", "user", "the only user name accepted")
	password := flag.String("password", "pass", "its password")
	flag.Parse()

	model := simulator.ESX()
	if *kind == "vcenter" {
		model = simulator.VPX()
		model.Host, model.Cluster, model.ClusterHost = *hosts, *clusters, *clusterHosts
		model.Datacenter, model.Folder, model.Pool = *datacenters, *folders, *pools
	} else if *kind != "esx" {
		log.Fatalf("-model %s: neither vcenter nor esx", *kind)
	}
	model.Machine = *vms
	fatal(model.Create())
	defer model.Remove()

	addCopies(model.Map(), *hostCopies, *copies)

	// By default all hosts are localhost.localdomain, and the uuid of an ESX host is the same in every simulator.
	for _, entity := range model.Map().All("HostSystem") {
		h := entity.(*simulator.HostSystem)
		name := strings.NewReplacer("_", "-", "localhost.localdomain", "esx1").Replace(strings.ToLower(h.Name))
		dns := h.Config.Network.DnsConfig.GetHostDnsConfig()
		dns.HostName, dns.DomainName = name, "example.com"
		h.Hardware.SystemInfo.Uuid = uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name+".example.com")).String()
		h.Summary.Hardware.Uuid = h.Hardware.SystemInfo.Uuid
	}

	if !*plain {
		model.Service.TLS = new(tls.Config)
	}
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(*user, *password)}
	server := model.Service.NewServer()
	defer server.Close()
	address := *server.URL
	address.User = nil // in the address only: the server compares with its own
	about := map[string]any{"url": address.String()}
	if !*plain {
		certificate, err := server.CertificateFile()
		fatal(err)
		thumbprint := sha256.Sum256(server.Certificate().Raw)
		about["cacert"], about["thumbprint"] = certificate, hex.EncodeToString(thumbprint[:])
	}
	out := json.NewEncoder(os.Stdout)
	tell := func() {
		about["hosts"] = inventory(model.Map())
		fatal(out.Encode(about))
	}
	tell()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); tell() {
			fatal(change(server.URL, model.Map(), strings.Fields(lines.Text())))
			updateMachines(model.Service.Context)
		}
		stop <- syscall.SIGTERM
	}()
	<-stop
	server.CloseClientConnections()
	registry := model.Map()
	view := simulator.Session{Registry: simulator.NewRegistry(), Map: registry}
	sessions := view.Get(registry.SessionManager().Reference()).(*simulator.SessionManager).SessionList
	_ = out.Encode(map[string]int{"sessions": len(sessions)})
}

// inventory returns the hosts and their virtual machines, as a scan should find them.
func inventory(registry *simulator.Registry) (hosts []host) {
	for _, entity := range registry.All("HostSystem") {
		h := entity.(*simulator.HostSystem)
		dns := h.Config.Network.DnsConfig.GetHostDnsConfig()
		known := host{dns.HostName + "." + dns.DomainName, h.Hardware.SystemInfo.Uuid, []string{}}
		for _, vm := range h.Vm {
			known.VMs = append(known.VMs, registry.Get(vm).(*simulator.VirtualMachine).Config.Uuid)
		}
		hosts = append(hosts, known)
	}
	slices.SortFunc(hosts, func(a, b host) int { return strings.Compare(a.Name, b.Name) })
	return hosts
}

// change carries out a line of stdin as a client of the server, in its own session.
func change(server *url.URL, registry *simulator.Registry, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("not a command: %q", words)
	}
	ctx := context.Background()
	client, err := govmomi.NewClient(ctx, server, true)
	if err != nil {
		return err
	}
	defer func() { fatal(client.Logout(ctx)) }()
	var host *object.HostSystem
	if len(words) == 3 {
		host = object.NewHostSystem(client.Client, named(registry, "HostSystem", words[2]))
	}
	if words[0] == "create" {
		datacenter := registry.Get(named(registry, "Datacenter", "DC0")).(*simulator.Datacenter)
		folder := object.NewFolder(client.Client, datacenter.VmFolder)
		pool, err := host.ResourcePool(ctx)
		if err != nil {
			return err
		}
		config := types.VirtualMachineConfigSpec{Name: words[1], GuestId: "otherGuest", Version: "vmx-13",
			Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"}}
		return wait(folder.CreateVM(ctx, config, pool, host))
	}
	vm := object.NewVirtualMachine(client.Client, named(registry, "VirtualMachine", words[1]))
	switch words[0] {
	case "power-off":
		return wait(vm.PowerOff(ctx))
	case "power-on":
		return wait(vm.PowerOn(ctx))
	case "move":
		to := host.Reference()
		return wait(vm.Relocate(ctx, types.VirtualMachineRelocateSpec{Host: &to}, types.VirtualMachineMovePriorityDefaultPriority))
	case "remove":
		return wait(vm.Destroy(ctx))
	}
	return fmt.Errorf("not a command: %q", words)
}

func named(registry *simulator.Registry, kind, name string) types.ManagedObjectReference {
	for _, entity := range registry.All(kind) {
		if entity.Entity().Name == name {
			return entity.Reference()
		}
	}
	log.Fatalf("there is no %s %s", kind, name)
	return types.ManagedObjectReference{}
}

// updateMachines sets each host's list of machines and sends the update to watching clients, as a vCenter does. The simulator
// itself sends no update when a machine is created or removed, and does not change the list when one moves.
func updateMachines(ctx *simulator.Context) {
	machines := map[string][]types.ManagedObjectReference{}
	for _, entity := range ctx.Map.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		machines[vm.Runtime.Host.Value] = append(machines[vm.Runtime.Host.Value], vm.Self)
	}
	for _, entity := range ctx.Map.All("HostSystem") {
		h := entity.(*simulator.HostSystem)
		ctx.WithLock(h, func() {
			ctx.Update(h, []types.PropertyChange{{Name: "vm", Val: machines[h.Self.Value]}})
		})
	}
}

func wait(task *object.Task, err error) error {
	if err != nil {
		return err
	}
	return task.Wait(context.Background())
}

// addCopies adds hosts and virtual machines to the registry that are copies of the first ones, except for their identity.
func addCopies(registry *simulator.Registry, hosts, vms int) {
	if hosts == 0 && vms == 0 {
		return
	}
	original := registry.Any("VirtualMachine").(*simulator.VirtualMachine)
	folder := registry.Get(*original.Parent).(*simulator.Folder)
	first := registry.Get(*original.Runtime.Host).(*simulator.HostSystem)
	all := []*simulator.HostSystem{first}
	for i := range hosts {
		host := &simulator.HostSystem{HostSystem: first.HostSystem}
		host.Self.Value = fmt.Sprintf("host-%d", 1_000_000+i)
		host.Name = fmt.Sprintf("copy-%d", i)
		host.Vm = nil
		hardware, config, network := *first.Hardware, *first.Config, *first.Config.Network
		dns := *first.Config.Network.DnsConfig.GetHostDnsConfig()
		network.DnsConfig, config.Network = &dns, &network
		host.Hardware, host.Config = &hardware, &config
		summary := *first.Summary.Hardware
		host.Summary.Hardware = &summary
		registry.Put(host)
		parent := registry.Get(*first.Parent)
		if resource, ok := parent.(*mo.ComputeResource); ok {
			resource.Host = append(resource.Host, host.Self)
		} else if cluster, ok := parent.(*simulator.ClusterComputeResource); ok {
			cluster.Host = append(cluster.Host, host.Self)
		}
		all = append(all, host)
	}
	for i := range vms {
		vm := &simulator.VirtualMachine{VirtualMachine: original.VirtualMachine}
		vm.Self.Value = fmt.Sprintf("vm-%d", 1_000_000+i)
		config := *original.Config
		config.Uuid = uuid.NewSHA1(uuid.NameSpaceOID, []byte(vm.Self.Value)).String()
		vm.Config = &config
		host := all[i%len(all)]
		vm.Runtime.Host = &host.Self
		registry.Put(vm)
		folder.ChildEntity = append(folder.ChildEntity, vm.Self)
		host.Vm = append(host.Vm, vm.Self)
	}
}

func fatal(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
