"""Names and types of Docker's API (tests/conformance/api-facts.json, made by tools/api-facts), and what conforms to them."""

import json
import os

PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "conformance", "api-facts.json")
SCALARS = {"string": str, "integer": int, "number": (int, float), "boolean": bool}


class Facts:
    def __init__(self, version="1.55"):
        with open(PATH) as f:
            facts = json.load(f)[version]
        self.routes, self.types = facts["routes"], facts["types"]

    def fields(self, schema):
        """The fields of an object, its parts put together; None if it is no object with fields."""
        if isinstance(schema, str):
            schema = schema.lstrip("?")
            return self.fields(self.types[schema[1:]]) if schema.startswith("#") else None
        if isinstance(schema, list) or "=" in schema or "*" in schema:
            return None
        if "?" in schema:
            return self.fields(schema["?"])
        if "&" in schema:
            result = {}
            for part in schema["&"]:
                result.update(self.fields(part) or {})
            return result
        return schema

    def leaves(self, schema, prefix="", seen=()):
        """Names of all fields below a schema: "HostConfig.Mounts[].BindOptions.Propagation"."""
        if isinstance(schema, dict) and "?" in schema:
            return self.leaves(schema["?"], prefix, seen)
        if isinstance(schema, list):
            return self.leaves(schema[0], prefix + "[]", seen)
        if isinstance(schema, dict) and "*" in schema:
            return self.leaves(schema["*"], prefix + ".*", seen)
        fields = self.fields(schema)
        if isinstance(schema, str):
            if schema in seen:
                return [prefix]
            name = schema.lstrip("?")
            if name.startswith("#") and fields is None:
                return self.leaves(self.types[name[1:]], prefix, seen + (schema,))
            seen += (schema,)
        if fields is None:
            return [prefix]
        result = []
        for name, part in fields.items():
            result += self.leaves(part, prefix + "." + name if prefix else name, seen)
        return result

    def check(self, value, schema, where="", also=()):
        """What is wrong with an answer, as lines: "HostConfig.Memory: 'x' is no integer".  also: fields (with any names
        before them) that are there though the facts do not have them."""
        problems = []
        self._check(value, schema, where, also, problems)
        return problems

    def _check(self, value, schema, where, also, problems):
        nullable = False
        if isinstance(schema, str) and schema.startswith("?"):
            nullable, schema = True, schema[1:]
        elif isinstance(schema, dict) and "?" in schema:
            nullable, schema = True, schema["?"]
        if value is None:
            if not nullable and where not in also:
                problems.append("%s: is null" % where)
            return
        if isinstance(schema, str) and schema.startswith("#"):
            self._check(value, self.types[schema[1:]], where, also, problems)
        elif isinstance(schema, str):
            wanted = SCALARS.get(schema)
            if wanted and (not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool))):
                problems.append("%s: %r is no %s" % (where, value, schema))
        elif isinstance(schema, list):
            self._check_list(value, schema, where, also, problems)
        elif "&" in schema and not self.fields(schema):
            for part in schema["&"]:
                self._check(value, part, where, also, problems)
        elif "=" in schema:
            if value not in schema["="]:
                problems.append("%s: %r is none of %s" % (where, value, schema["="]))
        else:
            self._check_object(value, schema, where, also, problems)

    def _check_list(self, value, schema, where, also, problems):
        if not isinstance(value, list):
            problems.append("%s: %r is no list" % (where, value))
            return
        for item in value:
            self._check(item, schema[0], where + "[]", also, problems)

    def _check_object(self, value, schema, where, also, problems):
        if not isinstance(value, dict):
            problems.append("%s: %r is no object" % (where, value))
        elif "*" in schema:
            for item in value.values():
                self._check(item, schema["*"], where + ".*", also, problems)
        else:
            fields = self.fields(schema)
            for name, item in value.items():
                place = where + "." + name if where else name
                if name in fields:
                    self._check(item, fields[name], place, also, problems)
                elif place not in also:
                    problems.append("%s: is not in the API" % place)


def same_leaf(given, name):
    """Whether a field of a body ("Labels.a") is one of the facts ("Labels.*").  An empty object or list stands for itself."""
    given, name = given.split("."), name.split(".")
    if len(given) > len(name):
        return False
    last = len(given) - 1
    return all(same_part(a, b) or (i == last and same_part(a, b.replace("[]", ""))) for i, (a, b) in enumerate(zip(given, name)))


def same_part(given, name):
    return given.endswith(name[1:]) if name.startswith("*") else given == name
