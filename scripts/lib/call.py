"""Calls a service of a node and prints its answer: scripts/call, which says how. An ordinary rclpy client."""

import importlib
import os
import re
import sys

import rclpy
import yaml
from rclpy.exceptions import NameValidationException
from rclpy.executors import ExternalShutdownException

# Longest wait for the service to be there, and for its answer [s].
PRESENCE_TIMEOUT = 5.0
ANSWER_TIMEOUT = 60.0
# Types of fields in the words of get_fields_and_field_types(): `sequence<double>`, `sequence<double, 3>`, `double[3]`.
LIST = re.compile(r"sequence<(?P<element>.+?)(?:, (?P<most>\d+))?>|(?P<item>.+)\[(?P<count>\d+)\]")
INTEGERS = {"octet": range(256)}
for _bits in (8, 16, 32, 64):
    INTEGERS[f"int{_bits}"] = range(-(2 ** (_bits - 1)), 2 ** (_bits - 1))
    INTEGERS[f"uint{_bits}"] = range(2**_bits)


class RequestError(Exception):
    """A type or a field that does not exist, or a value that does not fit it."""


def find_type(package, kind, name):
    """The class of the type package/kind/name."""
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError) as error:
        raise RequestError(f"there is no type {package}/{kind}/{name} here: {error}") from None


def convert(kind, value, where):
    """`value`, as YAML has it, as a field of the type `kind` takes it; `where` names the field in errors."""
    if match := LIST.fullmatch(kind):
        if not isinstance(value, list):
            raise RequestError(f"{where} must be a list ({kind}); got {value!r}")
        most, count = match["most"] or match["count"], match["count"] or 0
        if not int(count) <= len(value) <= int(most or len(value)):
            raise RequestError(f"{where} is {kind}; got {len(value)} elements")
        element = match["element"] or match["item"]
        return [convert(element, item, f"{where}[{place}]") for place, item in enumerate(value)]
    if "/" in kind:
        package, _, name = kind.partition("/")
        return fill(find_type(package, "msg", name)(), value, where)
    # A truth value is an int in Python, and no number here.
    is_truth = isinstance(value, bool)
    if kind in ("float", "double") and isinstance(value, (int, float)) and not is_truth:
        return float(value)
    if (kind == "boolean" and is_truth) or (kind.startswith(("string", "wstring")) and isinstance(value, str)):
        return value
    if isinstance(value, int) and not is_truth and value in INTEGERS.get(kind, ()):
        return bytes([value]) if kind == "octet" else value
    raise RequestError(f"{where} must be {kind}; got {value!r}")


def fill(message, values, where):
    """Sets the fields of `message` that `values` names, and returns it; the others stay as they are."""
    if not isinstance(values, dict):
        raise RequestError(f"{where} must be a map of fields, such as {{gate: 0.0}}; got {values!r}")
    kinds = message.get_fields_and_field_types()
    for name, value in values.items():
        if name not in kinds:
            raise RequestError(f"{where} has no field `{name}`; it has: {' '.join(kinds) or 'none'}")
        try:
            setattr(message, name, convert(kinds[name], value, f"{where}.{name}"))
        except (AssertionError, OverflowError) as error:
            raise RequestError(f"{where}.{name}: {error}") from None
    return message


def plain(value):
    """A message, or what is in one, as YAML has it."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, bytes):
        return value[0]
    # Arrays of numbers are those of numpy and of the module `array`.
    value = value.tolist() if hasattr(value, "tolist") else value
    return [plain(item) for item in value] if isinstance(value, list) else value


def read_request(type_name, text):
    """The type of a service, and the request for it that `text` describes."""
    parts = type_name.split("/")
    if len(parts) != 3 or not all(parts) or parts[1] != "srv":
        raise RequestError(f"{type_name!r} is no type of a service, such as std_srvs/srv/Trigger")
    service = find_type(*parts)
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RequestError(f"the request is no YAML: {error}") from None
    return service, fill(service.Request(), {} if values is None else values, "request")


def call(node, name, type_name, service, request):
    """The answer; None when there is none, which is then said."""
    client = node.create_client(service, name)
    name = node.resolve_service_name(name)
    is_there = client.wait_for_service(PRESENCE_TIMEOUT)
    # This client counts as well; a server of another type would never hear it.
    others = set(dict(node.get_service_names_and_types()).get(name, [])) - {type_name}
    if others:
        raise RequestError(f"{name} is a service of the type {' '.join(sorted(others))}, not {type_name}")
    if not is_there:
        domain = os.environ.get("ROS_DOMAIN_ID", "0")
        complain(f"nobody serves {name} within {PRESENCE_TIMEOUT:.0f} s (ROS_DOMAIN_ID={domain}); does its node run?")
        return None
    future = client.call_async(request)
    rclpy.spin_until_future_complete(node, future, timeout_sec=ANSWER_TIMEOUT)
    if not future.done():
        complain(f"no answer of {name} within {ANSWER_TIMEOUT:.0f} s")
        return None
    return future.result()


def complain(text):
    print(f"call: {text}", file=sys.stderr)


def main(arguments):
    if not 2 <= len(arguments) <= 3:
        complain("Usage: scripts/call SERVICE TYPE [REQUEST]")
        return 2
    name, type_name, *text = arguments
    try:
        service, request = read_request(type_name, *(text or ["{}"]))
        rclpy.init(args=[])
        answer = call(rclpy.create_node(f"call_{os.getpid()}"), name, type_name, service, request)
    except (RequestError, NameValidationException) as error:
        complain(error)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    finally:
        rclpy.try_shutdown()
    if answer is None:
        return 1
    print(yaml.safe_dump(plain(answer), allow_unicode=True, sort_keys=False, width=float("inf")), end="")
    return 1 if getattr(answer, "success", True) is False else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
