# SPDX-License-Identifier: Apache-2.0
"""
The AWS provider's schema, as far as configurations use it: schema.py BINDINGS FOLDER... prints it as JSON.

BINDINGS is the wheel of cdktf-cdktf-provider-aws, which is generated from the provider's own schema. Each
source, kept in its source map, names every argument with "computed", "optional" and "required", and blocks.
"""

import base64
import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path

MAP = re.compile(r"sourceMappingURL=data:application/json;base64,(\S+)")
CLASS = re.compile(r"^export class (\w+) extends cdktf\.(\w+) \{\n(.*?)^\}", re.M | re.S)
MEMBER = re.compile(
    r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n(.*?)(?=\n  // \w+ - computed|\Z)", re.S
)
ARGUMENT = re.compile(
    r'(\w+): \{\n +value: .*\n +isBlock: (\w+),\n +type: "(\w+)",\n +storageClassType: "(\w+)"'
)
GETTER = re.compile(r"this\.get(\w+)Attribute\(")
SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}


def attribute_type(kind, storage):
    """cty's JSON for what the bindings call a type."""
    if kind == "simple":
        return SIMPLE[storage]
    element = re.match("string|number|boolean", storage)
    return [kind, SIMPLE[element[0]] if element else "dynamic"]


def getter_type(text):
    """The same for what can only be read. What has a structure of its own is not told apart."""
    getter = GETTER.search(text)
    return {
        "String": "string",
        "Number": "number",
        "StringMap": ["map", "string"],
        "List": ["list", "string"],
    }.get(getter[1] if getter else "", "dynamic")


class Bindings:
    """The classes of one resource or data source."""

    def __init__(self, source):
        self._source = source
        self._classes = {name: (base, body) for name, base, body in CLASS.findall(source)}

    def whole(self):
        for name, (base, body) in self._classes.items():
            if base in ("TerraformResource", "TerraformDataSource", "TerraformProvider"):
                return self._block(body, body)
        raise ValueError("no resource in these bindings")

    def _nested(self, kind, storage, required):
        struct = storage.removesuffix("List")
        base, body = self._classes[struct + "OutputReference"]
        function = f"export function {struct[0].lower()}{struct[1:]}ToHclTerraform"
        start = self._source.index(function)
        arguments = self._source[start : self._source.index("\n}\n", start)]
        single = "super(terraformResource, terraformAttribute, false, 0);" in body
        return {
            "nesting": kind,
            "min": int(required and kind != "struct"),
            "max": int(single and kind != "struct"),
            "block": self._block(body, arguments),
        }

    def _block(self, members, arguments):
        kinds = {
            name: (is_block == "true", kind, storage)
            for name, is_block, kind, storage in ARGUMENT.findall(arguments)
        }
        block = {"attributes": {}, "blocks": {}}
        for name, computed, optional, required, text in MEMBER.findall(members):
            is_block, kind, storage = kinds.get(name, (False, None, None))
            if is_block and storage.removesuffix("List") + "OutputReference" not in self._classes:
                continue  # the provider's own blocks
            if is_block:
                block["blocks"][name] = self._nested(kind, storage, required == "true")
                continue
            block["attributes"][name] = {
                "type": attribute_type(kind, storage) if kind else getter_type(text),
                "computed": computed == "true",
                "optional": optional == "true",
                "required": required == "true",
                "write_only": name.endswith("_wo"),
            }
        return block


def used(folders):
    """Resources and data sources of *.tf below the folders: ("resource" or "data", "aws_...")."""
    for folder in folders:
        for file in Path(folder).rglob("*.tf"):
            yield from re.findall(r'^(resource|data) "(aws_\w+)"', file.read_text(), re.M)


def main(wheel, *folders):
    wanted = {}
    for kind, name in sorted(set(used(folders))):
        folder = name.removeprefix("aws_").replace("_", "-")
        wanted[f"package/lib/{'data-aws-' if kind == 'data' else ''}{folder}/index.js"] = (kind, name)
    wanted["package/lib/provider/index.js"] = ("provider", None)
    schema = {"resource": {}, "data": {}, "provider": {}}
    with zipfile.ZipFile(wheel) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(inner)), mode="r:gz") as archive:
            for member in archive:
                if member.name not in wanted:
                    continue
                kind, name = wanted.pop(member.name)
                text = archive.extractfile(member).read().decode()
                source = json.loads(base64.b64decode(MAP.search(text)[1]))["sourcesContent"][0]
                block = Bindings(source).whole()
                schema[kind][name] = block
    if wanted:
        sys.exit(f"the provider has no such thing: {', '.join(sorted(wanted))}")
    json.dump(
        {"provider": schema["provider"][None], "resources": schema["resource"], "data": schema["data"]},
        sys.stdout,
    )


main(*sys.argv[1:])
