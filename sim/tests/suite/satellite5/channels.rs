//! New channels.

use super::*;

#[test]
fn new_channels_are_checked_as_in_satellite() {
    let server = server();
    let [admin, maker, plain] = ["sim", "channels", "plain"].map(|user| login(&server, user));
    let (arch, name) = ("channel-x86_64", "Hypervisor Base - 1");
    let code = |key: &str, label: &str, name: &str, arch: &str| {
        create(&server, key, label, name, arch)
            .map_err(|(code, _)| code)
            .err()
    };
    assert_eq!(code(&plain, LABEL, name, arch), Some(-23));
    // With label and name swapped, as virt-who calls it.
    assert_eq!(code(&maker, name, LABEL, arch), Some(1201));
    for odd in [
        "short",
        "1 digit first",
        "RHN of ours",
        "Red Hat thing",
        "an ümlaut",
        "",
    ] {
        assert_eq!(code(&maker, LABEL, odd, arch), Some(1200), "{odd}");
    }
    for odd in [
        "short",
        "Capital-label",
        "rhn-label",
        "with blank",
        "-minus-first",
    ] {
        assert_eq!(code(&maker, odd, name, arch), Some(1201), "{odd}");
    }
    assert_eq!(
        create(&server, &maker, LABEL, name, "x86_64")
            .expect_err("a fault")
            .1,
        "redstone.xmlrpc.XmlRpcFault: unhandled internal exception: Invalid architecture label"
    );
    assert_eq!(code(&maker, LABEL, name, arch), None);
    assert_eq!(code(&maker, LABEL, name, arch), Some(1200));
    assert_eq!(code(&maker, LABEL, "Another name", arch), Some(1201));
    let details = good(&server, "channel.software.getDetails", &[&plain, LABEL]);
    assert!(details.contains("<dateTime.iso8601>"), "{details}");
    assert!(
        details.contains("<name>contentSources</name><value><array><data></data></array>"),
        "{details}"
    );
    good(
        &server,
        "channel.software.getDetails",
        &[&plain, "<int>101</int>"],
    );
    assert_eq!(
        bad(
            &server,
            "channel.software.getDetails",
            &[&plain, "<string>101</string>"]
        )
        .0,
        -210
    );
    let stranger = login(&server, "stranger");
    assert_eq!(
        bad(&server, "channel.software.getDetails", &[&stranger, LABEL]).0,
        -210
    );
    assert_eq!(server.channels().len(), 1);
    let map = |key: &str, arch: &str, label: &str| {
        let response = body(call(
            &server,
            "distchannel.setMapForOrg",
            &[key, "Hypervisor OS", "unknown", arch, label],
        ));
        if !response.contains("<fault>") {
            return None;
        }
        Some(
            bad(
                &server,
                "distchannel.setMapForOrg",
                &[key, "Hypervisor OS", "unknown", arch, label],
            )
            .0,
        )
    };
    assert_eq!(map(&maker, "x86_64", LABEL), Some(-1));
    assert_eq!(map(&admin, "channel-x86_64", LABEL), Some(1205));
    assert_eq!(map(&admin, "x86_64", "nonsense"), Some(-210));
    assert_eq!(map(&admin, "x86_64", ""), Some(-215));
    assert_eq!(
        (map(&admin, "x86_64", LABEL), map(&admin, "x86_64", LABEL)),
        (None, None)
    );
    assert_eq!(server.maps().len(), 1);
}
