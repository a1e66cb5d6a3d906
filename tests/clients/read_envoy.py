# SPDX-License-Identifier: Apache-2.0
"""
Reads Envoy's files as messages of its API, strictly: a field that there is not, or a value of another type, is an error.
read_envoy.py DIRECTORY; prints what the messages say, as JSON.
"""

import importlib
import json
import sys
from pathlib import Path

import yaml
from google.protobuf.json_format import MessageToDict, ParseDict

TYPES = {
    "envoy.yaml": ("envoy.config.bootstrap.v3.bootstrap_pb2", "Bootstrap"),
    "sds-client.yaml": ("envoy.service.discovery.v3.discovery_pb2", "DiscoveryResponse"),
    "sds-ca.yaml": ("envoy.service.discovery.v3.discovery_pb2", "DiscoveryResponse"),
}
# What is named by "@type".
NAMED = (
    "filters.http.router.v3.router_pb2",
    "filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "transport_sockets.tls.v3.secret_pb2",
    "transport_sockets.tls.v3.tls_pb2",
    "upstreams.http.v3.http_protocol_options_pb2",
)


def main():
    for module in NAMED:
        importlib.import_module(f"envoy.extensions.{module}")
    read = {}
    for name, (module, message) in TYPES.items():
        text = (Path(sys.argv[1]) / name).read_text()
        parsed = ParseDict(yaml.safe_load(text), getattr(importlib.import_module(module), message)())
        read[name] = MessageToDict(parsed, preserving_proto_field_name=True)
    print(json.dumps(read))


if __name__ == "__main__":
    main()
