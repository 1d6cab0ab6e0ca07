//! The objects and properties that a PropertyFilterSpec selects.

use std::collections::HashSet;
use std::io::{self, Write};

use super::inventory::Inventory;
use super::object::Node;
use super::property::{check, is_a, is_type};
use super::soap::{Element, Fault, escape};

/// A PropertyFilterSpec.
#[derive(Debug)]
pub(super) struct Spec {
    properties: Vec<(String, Vec<String>)>,
    objects: Vec<ObjectSpec>,
    traversals: Vec<Traversal>,
}

#[derive(Debug)]
struct ObjectSpec {
    kind: String,
    id: String,
    skip: bool,
    select: Vec<usize>,
}

#[derive(Debug)]
struct Traversal {
    kind: String,
    path: String,
    skip: bool,
    select: Vec<usize>,
}

/// The types of views; a view has one property of interest, its objects.
fn is_view(kind: &str) -> bool {
    matches!(kind, "ContainerView" | "ManagedObjectView" | "View")
}

impl Spec {
    /// Reads a `specSet` or `spec` and refuses unknown types and properties.
    pub(super) fn parse(spec: &Element) -> Result<Spec, Fault> {
        let mut properties = Vec::new();
        for set in spec.children("propSet") {
            let kind = set.need("type")?.text();
            if !is_type(kind) {
                return Err(Fault::invalid_argument("propSet.type"));
            }
            if set.flag("all")? {
                let message = "The simulator sends no object whole: name the properties";
                return Err(Fault::new("NotSupported", message, String::new()));
            }
            let paths: Vec<String> = set.children("pathSet").map(|p| p.text().to_owned()).collect();
            for path in &paths {
                check(kind, path)?;
            }
            properties.push((kind.to_owned(), paths));
        }
        if properties.is_empty() {
            return Err(Fault::invalid_argument("specSet.propSet"));
        }
        let mut parsed = Spec {
            properties,
            objects: Vec::new(),
            traversals: Vec::new(),
        };
        for set in spec.children("objectSet") {
            let mut names = Vec::new();
            parsed.number(set, &mut names)?;
            let mut next = parsed.traversals.len() - names.len();
            let select = parsed.connect(set, &names, &mut next)?;
            let (kind, id) = set.need("obj")?.reference()?;
            parsed.objects.push(ObjectSpec {
                kind: kind.to_owned(),
                id: id.to_owned(),
                skip: set.flag("skip")?,
                select,
            });
        }
        match parsed.objects.is_empty() {
            true => Err(Fault::invalid_argument("specSet.objectSet")),
            false => Ok(parsed),
        }
    }

    /// Writes the objects that the spec starts from as missing. It is a guess, from the description of
    /// `PropertyFilterUpdate.missingSet`, that a real server reports a lost view like this.
    pub(super) fn write_missing(&self, out: &mut dyn Write) -> io::Result<()> {
        for ObjectSpec { kind, id, .. } in &self.objects {
            let obj = format!("<obj type=\"{}\">{}</obj>", escape(kind), escape(id));
            write!(
                out,
                "<missingSet>{obj}<fault><fault xsi:type=\"ManagedObjectNotFound\">{obj}</fault><localizedMessage/></fault>\
                 </missingSet>"
            )?;
        }
        Ok(())
    }

    /// Collects every traversal within an element, at any depth, with the name that others may refer to.
    fn number<'a>(&mut self, within: &'a Element, names: &mut Vec<(usize, &'a str)>) -> Result<(), Fault> {
        for set in within.children("selectSet").filter(|set| is_traversal(set)) {
            let (kind, path) = (set.need("type")?.text(), set.need("path")?.text());
            match is_view(kind) {
                true if path == "view" => {}
                true => return Err(Fault::invalid_property(path)),
                false if is_type(kind) => check(kind, path)?,
                false => return Err(Fault::invalid_argument("selectSet.type")),
            }
            let name = set.child("name").map_or("", Element::text);
            names.push((self.traversals.len(), name));
            self.traversals.push(Traversal {
                kind: kind.to_owned(),
                path: path.to_owned(),
                skip: set.flag("skip")?,
                select: Vec::new(),
            });
            self.number(set, names)?;
        }
        Ok(())
    }

    /// Resolves what an element selects, in the order of [`Spec::number`].
    fn connect(
        &mut self,
        within: &Element,
        names: &[(usize, &str)],
        next: &mut usize,
    ) -> Result<Vec<usize>, Fault> {
        let mut select = Vec::new();
        for set in within.children("selectSet") {
            if is_traversal(set) {
                let this = *next;
                *next += 1;
                self.traversals[this].select = self.connect(set, names, next)?;
                select.push(this);
            } else {
                let name = set.child("name").map_or("", Element::text);
                let named = names.iter().find(|(_, known)| !name.is_empty() && *known == name);
                let (at, _) = named.ok_or_else(|| Fault::invalid_argument("selectSet.name"))?;
                select.push(*at);
            }
        }
        Ok(select)
    }

    /// The paths that are requested of an object; `None` if objects of its type are not reported.
    pub(super) fn paths(&self, kind: &str) -> Option<Vec<&str>> {
        let sets = || self.properties.iter();
        let exact = sets().find(|(wanted, _)| wanted == kind);
        let found = exact.or_else(|| sets().find(|(wanted, _)| is_a(kind, wanted)));
        found.map(|(_, paths)| paths.iter().map(String::as_str).collect())
    }

    /// The objects to report, each once, in the order of the walk. `view` returns the objects of a view.
    pub(super) fn select(
        &self,
        inventory: &Inventory,
        view: impl Fn(&str) -> Option<Vec<Node>>,
    ) -> Result<Vec<Node>, Fault> {
        let mut walk = Walk {
            spec: self,
            inventory,
            seen: HashSet::new(),
            reported: HashSet::new(),
            found: Vec::new(),
        };
        for object in &self.objects {
            let not_found = || Fault::not_found(&object.kind, &object.id);
            if is_view(&object.kind) {
                let nodes = view(&object.id).ok_or_else(not_found)?;
                let views = object.select.iter().map(|at| &self.traversals[*at]);
                for traversal in views.filter(|t| is_view(&t.kind)) {
                    for node in &nodes {
                        walk.visit(*node, traversal.skip, &traversal.select);
                    }
                }
            } else {
                let node = inventory.find(&object.kind, &object.id).ok_or_else(not_found)?;
                walk.visit(node, object.skip, &object.select);
            }
        }
        Ok(walk.found)
    }
}

fn is_traversal(set: &Element) -> bool {
    set.xsi_type.as_deref() == Some("TraversalSpec")
}

struct Walk<'a> {
    spec: &'a Spec,
    inventory: &'a Inventory,
    /// Which traversals went through which objects. Specs are recursive, and inventories may have cycles.
    seen: HashSet<(Node, usize)>,
    reported: HashSet<Node>,
    found: Vec<Node>,
}

impl Walk<'_> {
    fn visit(&mut self, node: Node, skip: bool, select: &[usize]) {
        let kind = self.inventory.type_of(node);
        if !skip && self.spec.paths(kind).is_some() && self.reported.insert(node) {
            self.found.push(node);
        }
        for at in select {
            let traversal = &self.spec.traversals[*at];
            if is_a(kind, &traversal.kind) && self.seen.insert((node, *at)) {
                for next in self.inventory.follow(node, &traversal.path) {
                    self.visit(next, traversal.skip, &traversal.select);
                }
            }
        }
    }
}

impl Inventory {
    /// The objects of a container view: virtual machines first, then clusters, then hosts.
    pub(super) fn contents(&self, container: Node, types: &[String], recursive: bool) -> Vec<Node> {
        let mut found = HashSet::new();
        let mut open = self.children(container);
        if let Node::Host(host) = container {
            open.extend(self.vms_of(host).iter().copied().map(Node::Vm));
        }
        while let Some(node) = open.pop() {
            if found.insert(node) && recursive {
                open.extend(self.children(node));
            }
        }
        let wanted = |node: &Node| {
            let kind = self.type_of(*node);
            types.is_empty() || types.iter().any(|wanted| is_a(kind, wanted))
        };
        let mut found: Vec<Node> = found.into_iter().filter(wanted).collect();
        found.sort_unstable();
        found
    }

    fn children(&self, node: Node) -> Vec<Node> {
        let paths: &[&str] = match node {
            Node::Folder(_) => &["childEntity"],
            Node::Datacenter(_) => &["hostFolder", "vmFolder"],
            Node::Compute(_) => &["host", "resourcePool"],
            Node::Pool(_) => &["vm"],
            Node::Host(_) | Node::Vm(_) | Node::Task(_) => &[],
        };
        paths.iter().flat_map(|path| self.follow(node, path)).collect()
    }
}
