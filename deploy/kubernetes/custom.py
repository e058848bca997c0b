"""Holds custom resources against their definitions, as strictly as kubectl does: unknown fields are errors.

    custom.py RENDERED DEFINITION…      definitions are files or URLs
"""

import sys
import urllib.request

import jsonschema
import yaml

# Groups of Kubernetes itself, which kubernetes-validate knows.
BUILT_IN = ("", "apps", "autoscaling", "policy", "networking.k8s.io")


def read(place):
    if place.startswith("https://"):
        with urllib.request.urlopen(place, timeout=30) as answer:
            return answer.read()
    with open(place, "rb") as file:
        return file.read()


def strict(schema):
    """The schema with everything forbidden that it does not name."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        schema["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    if isinstance(schema.get("pattern"), str):
        # Python takes flags at the beginning alone, Go anywhere.
        schema["pattern"] = schema["pattern"].replace("^(?i)", "(?i)^")
    return schema


def main(rendered, *definitions):
    schemas = {}
    for definition in definitions:
        for crd in yaml.safe_load_all(read(definition)):
            for version in crd["spec"]["versions"]:
                kind = f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]
                schemas[kind] = strict(version["schema"]["openAPIV3Schema"])
                # The definition says no more of it than that it is an object.
                schemas[kind]["properties"]["metadata"] = {"type": "object"}
    for document in yaml.safe_load_all(read(rendered)):
        kind = document["apiVersion"], document["kind"]
        if kind in schemas:
            jsonschema.validate(document, schemas[kind])
            print(f"{document['kind']} {document['metadata']['name']} fits its definition")
        elif kind[0].rpartition("/")[0] not in BUILT_IN:
            sys.exit(f"no definition of {kind[0]} {kind[1]} was given")


main(*sys.argv[1:])
