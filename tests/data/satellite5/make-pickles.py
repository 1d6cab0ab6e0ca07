#!/usr/bin/env python
# -*- coding: utf-8 -*-
"""Writes what new_system_user_pass returned as virt-who keeps it: one pickle for each protocol of this Python.

    for python in python2.7 python3.6 python3.11; do $python make-pickles.py; done
"""
import pickle
import sys

certificate = (u'<?xml version="1.0"?>\n<params><param><value><struct><member><name>profile_name</name><value><string>'
               u"esx hypervisor \u00e9\\u0041 it's \"\U0001F600\"</string></value></member></struct></value></param></params>\n")
for label, text in (("ascii", "<?xml version=\"1.0\"?>\n<params>it's \\ \"x\"</params>\t"), ("unicode", certificate)):
    struct = {
        "system_id": text,
        "channels": ["hypervisor-base-1"],
        "failed_channels": [],
        "failed_options": [],
        "system_slots": ["enterprise_entitled"],
        "failed_system_slots": [],
        "universal_activation_key": [],
        "numbers": [0, 1, -1, 70000, 1 << 70, 1.5, True, None, (), (1,), (1, 2, 3, 4)],
    }
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        name = "systemid-%s-python%d.%d-protocol%d.pickle" % (label, sys.version_info[0], sys.version_info[1], protocol)
        with open(name, "wb") as f:
            pickle.dump(struct, f, protocol)
