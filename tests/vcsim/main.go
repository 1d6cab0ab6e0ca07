// Command vcsim serves govmomi's simulator to the tests: a vCenter, or an ESX host, that this project did not write.
//
// It prints one line of JSON that says where it is and which hosts it has, and serves until stdin ends or SIGTERM comes.
// Then it prints how many sessions were left open, which should be none.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
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
	} else if *kind != "esx" {
		log.Fatalf("-model %s: neither vcenter nor esx", *kind)
	}
	model.Machine = *vms
	fatal(model.Create())
	defer model.Remove()

	addCopies(model.Map(), *hostCopies, *copies)

	// All hosts would be localhost.localdomain, and an ESX host's uuid one that every simulator has.
	var named []host
	for _, entity := range model.Map().All("HostSystem") {
		h := entity.(*simulator.HostSystem)
		name := strings.NewReplacer("_", "-", "localhost.localdomain", "esx1").Replace(strings.ToLower(h.Name))
		dns := h.Config.Network.DnsConfig.GetHostDnsConfig()
		dns.HostName, dns.DomainName = name, "example.com"
		h.Hardware.SystemInfo.Uuid = uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name+".example.com")).String()
		h.Summary.Hardware.Uuid = h.Hardware.SystemInfo.Uuid
		known := host{name + ".example.com", h.Hardware.SystemInfo.Uuid, []string{}}
		for _, vm := range h.Vm {
			known.VMs = append(known.VMs, model.Map().Get(vm).(*simulator.VirtualMachine).Config.Uuid)
		}
		named = append(named, known)
	}
	slices.SortFunc(named, func(a, b host) int { return strings.Compare(a.Name, b.Name) })

	if !*plain {
		model.Service.TLS = new(tls.Config)
	}
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(*user, *password)}
	server := model.Service.NewServer()
	defer server.Close()
	address := *server.URL
	address.User = nil // in the address only: the server compares with its own
	about := map[string]any{"url": address.String(), "hosts": named}
	if !*plain {
		certificate, err := server.CertificateFile()
		fatal(err)
		thumbprint := sha256.Sum256(server.Certificate().Raw)
		about["cacert"], about["thumbprint"] = certificate, hex.EncodeToString(thumbprint[:])
	}
	out := json.NewEncoder(os.Stdout)
	fatal(out.Encode(about))

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop <- syscall.SIGTERM
	}()
	<-stop
	server.CloseClientConnections()
	registry := model.Map()
	view := simulator.Session{Registry: simulator.NewRegistry(), Map: registry}
	sessions := view.Get(registry.SessionManager().Reference()).(*simulator.SessionManager).SessionList
	_ = out.Encode(map[string]int{"sessions": len(sessions)})
}

// addCopies puts hosts and virtual machines into the registry that share all but their identity with the first ones.
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
