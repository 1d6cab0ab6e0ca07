use super::*;

fn reader(text: &str) -> Reader<&[u8]> {
    Reader::new(text.as_bytes())
}

/// Everything in the document, read to its end.
fn whole(text: &str) -> Result<(), Error> {
    reader(text).finish()
}

#[test]
fn elements_are_read_one_by_one() {
    let mut xml =
        reader("<?xml version='1.0'?><s:a xmlns:s='u'>\n<b>1 &lt; 2</b><c><d>in</d>out</c><e/></s:a>\n");
    assert_eq!(xml.child().unwrap(), Some("a"));
    assert_eq!(xml.child().unwrap(), Some("b"));
    assert_eq!(xml.text().unwrap(), "1 < 2");
    assert_eq!(xml.child().unwrap(), Some("c"));
    assert_eq!(xml.text().unwrap(), "out");
    assert_eq!(xml.child().unwrap(), Some("e"));
    assert_eq!(xml.text().unwrap(), "");
    assert_eq!(xml.child().unwrap(), None);
    xml.finish().unwrap();
}

#[test]
fn an_element_is_skipped_with_all_that_is_in_it() {
    let mut xml = reader("<a><b><c>x</c><c/></b><d>y</d></a>");
    xml.child().unwrap();
    assert_eq!(xml.child().unwrap(), Some("b"));
    xml.skip().unwrap();
    assert_eq!(xml.child().unwrap(), Some("d"));
}

#[test]
fn attributes_with_and_without_a_prefix_differ() {
    let mut xml = reader("<val a='\"=' type = \"Compute&amp;\" xmlns:p='i' p:type='p:Ref' type='b'>x</val>");
    xml.child().unwrap();
    assert_eq!(xml.attribute("type").as_deref(), Some("Compute&"));
    assert_eq!(xml.prefixed_attribute("type").as_deref(), Some("p:Ref"));
    assert_eq!(xml.attribute("none"), None);
    for broken in [
        "<a type>",
        "<a type=>",
        "<a type=b>",
        "<a type='b>\"'",
        "<a =>",
        "<a type='&none;'>",
    ] {
        let mut xml = reader(broken);
        if xml.child().is_ok() {
            assert_eq!(xml.attribute("type"), None, "{broken}");
        }
    }
}

#[test]
fn a_cut_document_is_detected() {
    let document = "<a x='1'><!-- c --><b>t&amp;</b><![CDATA[x]]></a>";
    whole(document).unwrap();
    for length in 1..document.len() {
        let error = whole(&document[..length]).unwrap_err();
        assert_eq!(error.kind(), Kind::TempFail, "{length}: {error}");
    }
}

#[test]
fn hostile_documents_are_refused() {
    let deep = "<a>".repeat(1000);
    let long = format!("<a>{}</a>", "x".repeat(MAX_LENGTH + 1));
    let long_tag = format!("<a {}></a>", "x".repeat(MAX_LENGTH + 1));
    let documents = [
        &*deep,
        &long,
        &long_tag,
        "<!DOCTYPE a [<!ENTITY e 'x'>]><a/>",
        "<a>&e;</a>",
        "<a>&e</a>",
        "<a></b>",
        "</a>",
        "<a><!x></a>",
    ];
    for document in documents {
        let start = &document[..document.len().min(20)];
        let error = whole(document).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{start}: {error}");
    }
    let many = format!("<a>{}</a>", "&lt;".repeat(MAX_LENGTH + 1));
    let mut xml = reader(&many);
    xml.child().unwrap();
    assert_eq!(xml.text().unwrap_err().kind(), Kind::Protocol);
}

#[test]
fn text_before_a_child_is_read_as_it_is() {
    let mut xml = reader("<a> 1 &lt; <![CDATA[<2>]]>&#10;<b/> end </a>");
    xml.child().unwrap();
    let mut text = String::from("=");
    assert_eq!(xml.child_after(&mut text).unwrap(), Some("b"));
    assert_eq!((text.as_str(), xml.name()), ("= 1 < <2>\n", "b"));
    assert_eq!(xml.text().unwrap(), "");
    text.clear();
    assert_eq!(xml.child_after(&mut text).unwrap(), None);
    assert_eq!(text, " end ");

    let many = format!("<a>{}</a>", "&lt;".repeat(MAX_LENGTH + 1));
    let mut xml = reader(&many);
    xml.child().unwrap();
    let error = xml.child_after(&mut String::new()).unwrap_err();
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
}

#[test]
fn a_web_page_is_recognised_by_its_document_type() {
    for page in ["<!DOCTYPE html><html/>", "<!doctype HTML PUBLIC \"x\"><html/>"] {
        assert!(matches!(whole(page), Err(Error::Html)), "{page}");
    }
    assert!(matches!(
        whole("<!DOCTYPE htmlx><a/>"),
        Err(Error::Refused { .. })
    ));
}

#[test]
fn a_document_that_begins_with_text_is_no_xml() {
    for json in ["{}", " \r\n[1]", "\"no\"", "{\"a\":\"<b/>\"}"] {
        assert!(matches!(reader(json).child(), Err(Error::Json)), "{json}");
    }
    for text in [
        "Not Found",
        "x<a/>",
        "<?xml version=\"1.0\"?>no<a/>",
        "\u{feff}\u{feff}<a/>",
        " \u{feff}<a/>",
    ] {
        assert!(matches!(whole(text), Err(Error::Text)), "{text}");
        assert_eq!(whole(text).unwrap_err().kind(), Kind::Protocol);
    }
    for document in [
        "",
        " \n<a/>",
        "\u{feff}<a/>",
        "\u{feff}<?xml version=\"1.0\"?>\n<!-- x -->\n<a/>\n",
    ] {
        whole(document).unwrap();
    }
}

#[test]
fn a_document_is_as_long_as_its_units_allow() {
    let unit = format!("<b>{}</b>", "x".repeat(MAX_LENGTH - 100));
    let document = format!("<a>{}</a>", unit.repeat(20));
    let error = whole(&document).unwrap_err();
    assert!(error.to_string().contains("more than 16 MiB"), "{error}");
    assert_eq!(error.kind(), Kind::Protocol);
    let mut xml = reader(&document);
    xml.child().unwrap();
    while xml.child().unwrap().is_some() {
        xml.skip().unwrap();
        xml.renew();
    }
    xml.finish().unwrap();
}

#[test]
fn an_escaped_text_is_read_back() {
    let text = "a<b>&\"'\r\né😀";
    let document = format!("<a>{}</a>", escape(text));
    let mut xml = reader(&document);
    xml.child().unwrap();
    assert_eq!(xml.text().unwrap(), text);
}
mod comparison;
#[expect(unreachable_pub, reason = "the fuzz target uses it, too")]
mod reference;
