//! What `vw-config check` finds: one table of mistakes in a configuration.

use super::Place;

/// A good section with these lines added.
pub(super) fn esx(lines: &str) -> String {
    format!("[prod]\ntype=esx\nserver=vc\nusername=u\npassword=p\nowner=o\n{lines}\n")
}

/// A configuration, and a part of the only finding in it.
type Finding = (String, &'static str);

fn keys_and_types() -> Vec<Finding> {
    vec![
        (
            esx("foo=1"),
            "warning: a.conf:7: [prod] foo: unknown key, so it is ignored",
        ),
        (
            esx("servre=1"),
            "warning: a.conf:7: [prod] servre: unknown key, so it is ignored (did you mean server?)",
        ),
        (
            esx("[default]\ntype=esx\nserver=b\nowner=o\nusername=u\npassword=p\n[global]\nintervall=60\n"),
            "warning: a.conf:14: [global] intervall: unknown key, so it is ignored (did you mean interval?)",
        ),
        (
            esx("env=x ; y"),
            "warning: a.conf:7: [prod] env: ' ;' and the text after it are part of the value (virt-who on Python 2 cut it off); \
             put a comment on a line of its own",
        ),
        (
            esx("sat_password=abc # note"),
            "warning: a.conf:7: [prod] sat_password: ' #' and the text after it are part of the value; put a comment on a line of \
             its own, or the whole value in quotes if this is no comment",
        ),
        (esx("type=exs"), "'exs' is an unknown type"),
        (
            esx("type=vdsm"),
            "error: a.conf:7: [prod] type: vdsm is not supported: there is no command vw-scan-vdsm in PATH",
        ),
        (
            esx("type=xen\nhypervisor_id=hwuuid"),
            "error: a.conf:8: [prod] hypervisor_id: 'hwuuid' is not uuid or hostname",
        ),
        (
            "[pool]\ntype=xen\nserver=xen1\npassword=p\nowner=o\n".to_owned(),
            "error: a.conf:1: [pool] username: is missing",
        ),
        (
            esx("type=hyperv"),
            "error: a.conf:7: [prod] type: hyperv is not supported: a scan of Hyper-V comes later, because its protocol",
        ),
        (esx("server=vc:port"), "error: a.conf:7: [prod] server: "),
        (
            esx("hypervisor_id=moref"),
            "'moref' is not uuid, hostname or hwuuid",
        ),
        (
            esx("owner=.."),
            "error: a.conf:7: [prod] owner: is \"..\": it would change the path of the request",
        ),
        (esx("owner="), "error: a.conf:7: [prod] owner: is empty"),
        (
            esx("encrypted_password="),
            "warning: a.conf:7: [prod] encrypted_password: is empty, so it counts as not set; give it a value, or remove the line",
        ),
        (
            esx("exclude_host_parents="),
            "warning: a.conf:7: [prod] exclude_host_parents: is empty, so it counts as not set",
        ),
        (
            esx("rhsm_hostname="),
            "warning: a.conf:7: [prod] rhsm_hostname: is empty, so it counts as not set",
        ),
        (
            esx("is_hypervisor=maybe"),
            "warning: a.conf:7: [prod] is_hypervisor: is ignored, because the type is not fake",
        ),
        (
            "[a]\ntype=fake\nowner=o\nfile=a.conf\nis_hypervisor=maybe\n".to_owned(),
            "error: a.conf:5: [a] is_hypervisor: 'maybe' is neither yes nor no",
        ),
        (
            esx("[global]\nlog_dir=logs"),
            "warning: a.conf:8: [global] log_dir: logs does not exist; the first command that writes a log makes it",
        ),
        (
            esx("[global]\nlog_dir=a.conf"),
            "warning: a.conf:8: [global] log_dir: a.conf is not a folder",
        ),
    ]
}

fn trust_and_proxies() -> Vec<Finding> {
    vec![
        (
            esx("cacert=gone.pem"),
            "error: a.conf:7: [prod] cacert: gone.pem can't be read",
        ),
        (
            esx("rhsm_cacert=a.conf"),
            "error: a.conf:7: [prod] rhsm_cacert: a.conf has no certificate in PEM format",
        ),
        (
            esx("thumbprint=abcd"),
            "error: a.conf:7: [prod] thumbprint: 'abcd' is not a thumbprint",
        ),
        (
            esx("insecure=maybe"),
            "error: a.conf:7: [prod] insecure: 'maybe' is neither yes nor no",
        ),
        (
            esx("insecure=yes"),
            "warning: a.conf:7: [prod] insecure: the server's certificate is not verified",
        ),
        (
            esx("rhsm_insecure=1"),
            "warning: a.conf:7: [prod] rhsm_insecure: the server's certificate is not verified",
        ),
        (
            esx(&format!(
                "rhsm_thumbprint={0}\nthumbprint={0}\ncacert=cert.pem",
                "ab".repeat(32)
            )),
            "error: a.conf:8: [prod] thumbprint: contradicts cacert in a.conf:9; remove one of them",
        ),
        (
            esx("proxy=socks5://u:s3cret@p"),
            "error: a.conf:7: [prod] proxy: the proxy is not usable: only http:// proxies",
        ),
        (
            esx("proxy=p:1\nproxy_password_file=gone"),
            "error: a.conf:8: [prod] proxy_password_file: gone can't be read",
        ),
        (
            esx("proxy_password_file=a.conf"),
            "warning: a.conf:7: [prod] proxy_password_file: has no effect without the key proxy",
        ),
        (
            esx("rhsm_proxy_hostname="),
            "warning: a.conf:7: [prod] rhsm_proxy_hostname: is empty, so Candlepin is reached without a proxy; remove the \
             line to use the proxy of rhsm.conf or the environment",
        ),
        (
            esx("[system_environment]\nhttps_proxy=https://proxy:3128"),
            "warning: https_proxy in [system_environment] (a.conf:8) says https://, but the connection to the proxy proxy:3128 does \
             not use TLS; write http:// instead",
        ),
        (
            esx("rhsm_proxy_user="),
            "warning: a.conf:7: [prod] rhsm_proxy_user: is empty, so the proxy gets no user name",
        ),
        (
            esx("rhsm_prefix="),
            "warning: a.conf:7: [prod] rhsm_prefix: is empty, so it counts as not set",
        ),
        (
            esx("type=ESX").replacen("type=esx\n", "", 1),
            "error: a.conf:6: [prod] type: 'ESX' is an unknown type (did you mean esx?), and there is no command vw-scan-ESX",
        ),
    ]
}

fn satellite_and_passwords() -> Vec<Finding> {
    vec![
        (
            esx("sat_server=sat\nsat_username=u\nsat_password=p\nsat_thumbprint=x"),
            "error: a.conf:10: [prod] sat_thumbprint: 'x' is not a thumbprint",
        ),
        (
            esx("sat_server=sat\nsat_username=u\nsat_password=p\nsat_insecure=1"),
            "warning: a.conf:10: [prod] sat_insecure: the server's certificate is not verified",
        ),
        (
            esx("sat_server=sat\nsat_username=u\nsat_password=p\nsat_proxy=p:port"),
            "error: a.conf:10: [prod] sat_proxy: the proxy is not usable",
        ),
        (
            esx("encrypted_password=abc"),
            "error: a.conf:7: [prod] encrypted_password: has an odd number of hexadecimal digits (3)",
        ),
        (
            esx("encrypted_password=00112233445566778899aabbccddeeff"),
            "the key file gone does not exist",
        ),
    ]
}

fn filters() -> Vec<Finding> {
    vec![
        (
            esx("filter_hosts="),
            "error: a.conf:7: [prod] filter_hosts: is empty",
        ),
        (esx("filter_hosts='a"), "the ' is never closed"),
        (esx("filter_hosts=a\\"), "ends with a backslash"),
        (
            esx("filter_type=regex\nfilter_hosts=*x"),
            "error: a.conf:8: [prod] filter_hosts: has \"*x\", which is not a valid regular",
        ),
        (esx("filter_type=glob"), "is neither wildcards nor regex"),
        (
            esx("exclude_hosts=esx1.example.com"),
            "'esx1.example.com' is not a uuid, but the ids are uuids",
        ),
        (
            esx("hypervisor_id=hostname\nfilter_hosts=564dae86-b20b-0214-0203-dc50d3be0ec2"),
            "is a uuid, but the ids are by hostname: it matches nothing",
        ),
    ]
}

fn destinations() -> Vec<Finding> {
    vec![
        (
            esx("rhsm_port=x"),
            "error: a.conf:7: [prod] rhsm_port: 'x' is not a port",
        ),
        (esx("rhsm_insecure=maybe"), "'maybe' is neither yes nor no"),
        (
            esx("rhsm_username=u"),
            "warning: a.conf:1: [prod] rhsm_password: is missing",
        ),
        (
            esx("sat_server=sat\nsat_password=p"),
            "error: a.conf:1: [prod] sat_username: is missing",
        ),
    ]
}

fn whole_sections_and_files() -> Vec<Finding> {
    vec![
        (
            esx("env=%(gone)s"),
            "error: a.conf:7: [prod] env: %(gone)s names a key that the section does not have",
        ),
        (esx("env=%(env)s"), "refer to each other"),
        (
            esx("[two]\ntype=esx\nserver=https://VC/\nusername=u\npassword=p\nowner=o"),
            "warning: a.conf:9: [two] server: is also in [prod], with the same destination",
        ),
        (
            "[a]\nowner=o\nserver=esx://vc\n".to_owned(),
            "error: a.conf:3: [a] server: esx:// is a vCenter or an ESX host; use vw-scan-esx",
        ),
        (
            "[a]\nowner=o\nserver=qemu:///system\ninsecure=0\n".to_owned(),
            "warning: a.conf:4: [a] insecure: is ignored, because virsh makes the connection",
        ),
        (
            "[a]\nserver=kvm1\npassword=p\nowner=o\n".to_owned(),
            "warning: a.conf:3: [a] password: is ignored: ssh needs a key",
        ),
        (
            "[a]\nserver=kvm1\nowner=o\nhypervisor_id=hwuuid\n".to_owned(),
            "error: a.conf:4: [a] hypervisor_id: 'hwuuid' is not uuid or hostname",
        ),
        (
            "[a]\nserver=kvm1\n".to_owned(),
            "error: a.conf:1: [a] owner: is missing",
        ),
        (
            "[a]\ntype=fake\nowner=o\nfile=gone\n".to_owned(),
            "error: a.conf:4: [a] file: gone can't be read",
        ),
        (
            "[a]\ntype=fake\nowner=o\n".to_owned(),
            "error: a.conf:1: [a] file: is missing",
        ),
        (
            esx("[global]\ninterval=30"),
            "warning: a.conf:8: [global] interval: '30' is less than 60",
        ),
        (
            esx("[global]\ndebug=maybe\n"),
            "warning: a.conf:8: [global] debug: 'maybe' is neither yes nor no",
        ),
        (
            esx("[global]\nbar=1\n"),
            "warning: a.conf:8: [global] bar: unknown key",
        ),
        (
            esx("[]\nx=1\n"),
            "warning: a.conf:7: the line is not a valid section header",
        ),
        (
            esx("owner o"),
            "error: a.conf:7: [prod] the line is neither a [section] nor 'key = value'",
        ),
        (esx("env=a\0b"), "error: a.conf:7: [prod] the line has a NUL byte"),
    ]
}

#[test]
fn check_finds_each_mistake_with_file_and_line() {
    let table = [
        keys_and_types(),
        trust_and_proxies(),
        satellite_and_passwords(),
        filters(),
        destinations(),
        whole_sections_and_files(),
    ];
    for (text, expected) in table.into_iter().flatten() {
        let place = Place::new(&text);
        place.write("cert.pem", "-----BEGIN CERTIFICATE-----\n");
        let outcome = place.command(&["check", "--key-file", "gone"]).run();
        let said: Vec<&str> = outcome
            .stdout
            .lines()
            .filter(|line| line.contains(": ") && !line.contains("not registered"))
            .filter(|line| !line.contains("is also in line") && !line.contains("sections usable"))
            .collect();
        assert!(
            said.len() == 1 && said[0].contains(expected),
            "{text}\n{said:#?}\n{expected}"
        );
        let is_error = said[0].starts_with("error: ");
        assert_eq!(outcome.status, if is_error { 78 } else { 0 }, "{text}");
        if is_error {
            outcome.failed(78, "sections usable: fix the errors above");
        }
        let json = place.json(&["check", "--json", "--key-file", "gone"]);
        let level = if is_error { "error" } else { "warning" };
        let messages = json["messages"].as_array().unwrap();
        assert!(messages.iter().any(|message| message["level"] == level), "{json}");
    }
}
