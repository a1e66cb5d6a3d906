# SPDX-License-Identifier: Apache-2.0
"""Whether EventBridge would pass an event: the part of its patterns that ours use."""

from fnmatch import fnmatchcase


def matches(pattern, event):
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html"""
    return all(_member(name, wanted, event) for name, wanted in pattern.items())


def _member(name, wanted, event):
    if name == "$or":
        return any(matches(each, event) for each in wanted)
    if isinstance(wanted, dict):
        inner = event.get(name) or {}
        return isinstance(inner, dict) and matches(wanted, inner)
    values = event.get(name)
    values = values if isinstance(values, list) else [values]
    return any(_value(each, value) for each in wanted for value in values)


def _value(wanted, value):
    if not isinstance(wanted, dict):
        return value == wanted
    ((operator, operand),) = wanted.items()
    if operator == "exists":
        return (value is not None) == operand
    assert operator == "wildcard", operator
    return isinstance(value, str) and fnmatchcase(value.replace("[", "("), operand.replace("[", "("))
