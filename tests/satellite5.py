#!/usr/bin/env python3
"""A strict little Satellite 5, made of Python's own XML-RPC and pickle, as the other side of vw-report-sat5.

    python3 tests/satellite5.py

It prints its port, then obeys the lines on stdin, whose words are separated by tabs, each with one line of JSON as its answer, until they end:

    state                   the systems with their guests, the channels, the maps and the open sessions
    load FOLDER             whether pickle reads each systemid file of FOLDER, and has what this server answered
    store FOLDER PROTOCOL   writes the file of each system, as virt-who does, with this protocol of pickle
    delete PROFILE          deletes the systems with this name

The real server's programs read and write XML-RPC with the same library (/XMLRPC is Python). Python 2.7 runs this file, too.
"""

from __future__ import print_function, unicode_literals

import hashlib
import json
import os
import pickle
import re
import sys
import threading

try:
    from socketserver import ThreadingMixIn
    from xmlrpc import client
    from xmlrpc.server import MultiPathXMLRPCServer, SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler
    TEXT, NUMBERS = (str,), (int,)
except ImportError:
    from SocketServer import ThreadingMixIn
    import xmlrpclib as client
    from SimpleXMLRPCServer import MultiPathXMLRPCServer, SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler
    TEXT, NUMBERS = (str, type("")), (int, long)

USER, PASSWORD, ORG = "sim", "sim-secret", 1
SECRET = "a secret of the server"
FIELDS = ["system_id", "os_release", "operating_system", "architecture", "username", "type"]
STATES = {"nostate": "running", "running": "running", "blocked": "running", "paused": "paused",
          "shutdown": "stopped", "shutoff": "stopped", "crashed": "crashed"}


def wants(values, *kinds):
    """Refuses what has another type; a boolean is not a number."""
    for value, kind in zip(values, kinds):
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError("%r is not %r" % (value, kind))


class Satellite(object):
    def __init__(self):
        self.lock = threading.Lock()
        self.sessions, self.channels, self.maps, self.systems = {}, {}, {}, []
        self.made = 0

    # /rpc/api

    def login(self, user, password):
        wants((user, password), TEXT, TEXT)
        if (user, password) != (USER, PASSWORD):
            raise client.Fault(2950, "Either the password or username is incorrect.")
        key = "%dx%s" % (len(self.sessions) + 1, hashlib.sha256(os.urandom(16)).hexdigest())
        self.sessions[key] = True
        return key

    def in_session(self, key, *texts):
        wants((key,) + texts, *[TEXT] * (1 + len(texts)))
        if key not in self.sessions:
            raise client.Fault(-1, "Could not find session with id: %s" % key.split("x")[0])

    def logout(self, key):
        self.in_session(key)
        del self.sessions[key]
        return 1

    def user_details(self, key, login):
        self.in_session(key, login)
        if login != USER:
            raise client.Fault(-23, "no permission")
        return {"first_name": "Sim", "org_id": ORG, "org_name": "Sim", "enabled": True, "use_pam": False,
                "read_only": False, "errata_notification": True}

    def roles(self, key, login):
        self.user_details(key, login)
        return ["org_admin"]

    def maps_of_org(self, key):
        self.in_session(key)
        return [{"os": os_name, "release": release, "arch_name": arch, "channel_label": label}
                for (release, arch), (os_name, label) in self.maps.items()]

    def channel_details(self, key, label):
        self.in_session(key, label)
        if label not in self.channels:
            raise client.Fault(-210, "No such channel: %s" % label)
        return dict(self.channels[label], id=101, last_modified=client.DateTime(), contentSources=[], checksum_label="")

    def create_channel(self, key, label, name, summary, arch, parent):
        self.in_session(key, label, name, summary, arch, parent)
        if not summary or parent or arch != "channel-x86_64" or not re.match("^[a-z0-9][-a-z0-9._]{5,}$", label):
            raise client.Fault(-1, "invalid channel")
        if label in self.channels:
            raise client.Fault(1201, "in use")
        self.channels[label] = {"label": label, "name": name, "summary": summary, "arch_label": arch}
        return 1

    def set_map(self, key, os_name, release, arch, label):
        self.in_session(key, os_name, release, arch, label)
        if arch != "x86_64" or label not in self.channels:
            raise client.Fault(-210, "No such channel: %s" % label)
        self.maps[release, arch] = (os_name, label)
        return 1

    def ids_of(self, key, name):
        self.in_session(key, name)
        return [{"id": system["number"], "name": name, "last_checkin": client.DateTime()}
                for system in self.systems if system["profile"] == name]

    def systemid_of(self, key, number):
        self.in_session(key)
        wants((number,), NUMBERS)
        for system in self.systems:
            if system["number"] == number:
                return system["answer"]["system_id"]
        raise client.Fault(-208, "No such system")

    # /XMLRPC

    def register(self, profile, os_name, release, arch, user, password, other):
        wants((profile, os_name, release, arch, user, password, other), *([TEXT] * 6 + [dict]))
        if (user, password) != (USER, PASSWORD):
            raise client.Fault(-2, "Invalid username and password combination")
        if (release, arch) not in self.maps:
            raise client.Fault(-70, "no base channel")
        number = 1000010000 + self.made
        self.made += 1
        members = {"system_id": "ID-%d" % number, "os_release": release, "operating_system": os_name, "architecture": arch,
                   "username": user, "type": "REAL", "profile_name": profile[:128], "description": "it's \\ \"x\"\n",
                   "fields": FIELDS}
        members["checksum"] = checksum(members)
        answer = {"system_id": '<?xml version="1.0"?>\n' + text(client.dumps((members,))), "channels": ["hypervisor-base-1"],
                  "failed_channels": [], "failed_options": [], "system_slots": ["enterprise_entitled"],
                  "failed_system_slots": [], "universal_activation_key": []}
        self.systems.append({"number": number, "profile": profile[:128], "answer": answer, "guests": {}, "plans": 0,
                             "refreshed": 0})
        return answer

    def system(self, systemid):
        wants((systemid,), TEXT)
        try:
            (members,), _ = client.loads(systemid.strip().encode("utf-8"))
            known = members["checksum"] == checksum(members)
        except Exception:
            known = False
        for system in self.systems:
            if known and members["system_id"] == "ID-%d" % system["number"]:
                return system
        raise client.Fault(-9, "\nError Message:\n    Please run rhn_register as root on this client\n")

    def refresh(self, systemid, hardware):
        wants((hardware,), list)
        self.system(systemid)["refreshed"] += 1
        return 0

    def notify(self, systemid, plan):
        wants((plan,), list)
        system, guests, confirmed = self.system(systemid), None, set()
        for event in plan:
            time, action, target, properties = event
            wants((time, action, target, properties), NUMBERS, TEXT, TEXT, dict)
            if (action, target) == ("exists", "system"):
                if properties["identity"] != "host" or properties["uuid"].strip("0"):
                    raise ValueError("not the host: %r" % properties)
            elif (action, target) == ("crawl_began", "system"):
                guests = {uuid: dict(guest) for uuid, guest in system["guests"].items()}
            elif (action, target) == ("exists", "domain"):
                wants([properties[name] for name in ("uuid", "name", "virt_type", "state", "vcpus", "memory_size")],
                      TEXT, TEXT, TEXT, TEXT, NUMBERS, NUMBERS)
                uuid = "%032x" % int(properties["uuid"], 16)
                if not uuid.strip("0") or len(properties["name"]) > 128 or properties["virt_type"] != "fully_virtualized":
                    raise ValueError("not a guest: %r" % properties)
                guests[uuid] = {"name": properties["name"], "state": STATES[properties["state"]]}
                confirmed.add(uuid)
            elif (action, target) == ("crawl_ended", "system"):
                for uuid in set(guests) - confirmed:
                    guests[uuid]["state"] = "stopped"
                system["guests"] = guests
                system["plans"] += 1
            else:
                raise ValueError("unknown event: %r" % event)
        return 0

    # stdin

    def state(self):
        systems = [{"profile": system["profile"], "guests": system["guests"], "plans": system["plans"],
                    "refreshed": system["refreshed"]} for system in self.systems]
        maps = [[release, arch, os_name, label] for (release, arch), (os_name, label) in self.maps.items()]
        return {"systems": systems, "channels": list(self.channels.values()), "maps": maps, "sessions": len(self.sessions)}

    def load(self, folder):
        """The differences to what this server answered; a file of an adopted system has its systemid only."""
        answers = {system["answer"]["system_id"]: system["answer"] for system in self.systems}
        result = {}
        for name in os.listdir(folder):
            if name.startswith("hypervisor-systemid-"):
                with open(os.path.join(folder, name), "rb") as file:
                    loaded = pickle.load(file)
                answer = answers.get(loaded["system_id"])
                result[name] = answer is not None and loaded in (answer, {"system_id": answer["system_id"]})
        return result

    def store(self, folder, protocol):
        for system in self.systems:
            name = "hypervisor-systemid-" + system["profile"].split(" hypervisor ", 1)[1]
            with open(os.path.join(folder, name), "wb") as file:
                pickle.dump(system["answer"], file, int(protocol))
        return len(self.systems)

    def delete(self, profile):
        before = len(self.systems)
        self.systems = [system for system in self.systems if system["profile"] != profile]
        return before - len(self.systems)


def text(xml):
    return xml if isinstance(xml, type("")) else xml.decode("utf-8")


def checksum(members):
    values = [SECRET] + [text(members[name]) for name in FIELDS] + FIELDS
    return hashlib.sha256("".join(values).encode("utf-8")).hexdigest()


class Server(ThreadingMixIn, MultiPathXMLRPCServer):
    daemon_threads = True


class Handler(SimpleXMLRPCRequestHandler):
    protocol_version = "HTTP/1.1"
    rpc_paths = ("/rpc/api", "/XMLRPC")


def main():
    satellite = Satellite()
    server = Server(("127.0.0.1", 0), Handler, logRequests=False)
    methods = {
        "/rpc/api": {
            "auth.login": satellite.login, "auth.logout": satellite.logout, "user.getDetails": satellite.user_details,
            "user.listRoles": satellite.roles, "channel.software.getDetails": satellite.channel_details,
            "channel.software.create": satellite.create_channel, "distchannel.setMapForOrg": satellite.set_map,
            "distchannel.listMapsForOrg": satellite.maps_of_org, "system.getId": satellite.ids_of,
            "system.downloadSystemId": satellite.systemid_of,
        },
        "/XMLRPC": {
            "registration.new_system_user_pass": satellite.register, "registration.refresh_hw_profile": satellite.refresh,
            "registration.virt_notify": satellite.notify,
        },
    }

    def one_at_a_time(function):
        def call(*parameters):
            with satellite.lock:
                return function(*parameters)
        return call

    for path, functions in methods.items():
        dispatcher = SimpleXMLRPCDispatcher(allow_none=False, encoding=None)
        for name, function in functions.items():
            dispatcher.register_function(one_at_a_time(function), str(name))
        server.add_dispatcher(path, dispatcher)
    serving = threading.Thread(target=server.serve_forever)
    serving.daemon = True
    serving.start()

    print(server.server_address[1])
    sys.stdout.flush()
    for line in iter(sys.stdin.readline, ""):
        words = text(line).rstrip("\n").split("\t")
        with satellite.lock:
            answer = getattr(satellite, words[0])(*words[1:])
        print(json.dumps(answer))
        sys.stdout.flush()


main()
