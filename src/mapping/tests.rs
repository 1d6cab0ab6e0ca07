use super::*;

fn pass(text: &str, layout: Layout, style: Style) -> Result<String, Error> {
    let mut out = Vec::new();
    let mut reader = Reader::new(text.as_bytes());
    while let Some(mut document) = reader.next_document()? {
        let mut writer = Writer::new(&mut out, layout, style);
        while let Some(entry) = document.next_entry()? {
            writer.entry(&entry)?;
        }
        writer.finish(&document.finish()?)?;
    }
    Ok(String::from_utf8(out).unwrap())
}

const SEED: &str = r#"{"hypervisors":[{"uuid":"9705df9f-76d4-4343-bf10-229e8692ecee","guests":[{"guestId":"564dae86-b20b-0214-0203-dc50d3be0ec2","state":5,"attributes":{"active":0,"virtWhoType":"esx"}}],"facts":{"hypervisor.type":"VMware ESXi","cpu.cpu_socket(s)":"2","hypervisor.version":"5.5.0"},"name":"localhost"}]}
"#;

#[test]
fn a_mapping_passes_unchanged() {
    assert_eq!(pass(SEED, Layout::Mapping, Style::Compact).unwrap(), SEED);
    let pretty = pass(SEED, Layout::Mapping, Style::Pretty).unwrap();
    let value: serde_json::Value = serde_json::from_str(SEED).unwrap();
    let again: serde_json::Value = serde_json::from_str(&pretty).unwrap();
    assert_eq!(value, again);
    assert_eq!(pass(&pretty, Layout::Mapping, Style::Compact).unwrap(), SEED);
}
