"""YAML files read strictly: no key twice, numbers as people write them, errors with their line."""

import re
from pathlib import Path
from typing import Any

import yaml


class YamlFileError(Exception):
    """A YAML file that cannot be used.

    Attributes
    ----------
    problems
        One line each: place, rule, value.
    """

    def __init__(self, path: Path | str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))
        self.problems = problems


def read_yaml(path: Path, error_type: type[YamlFileError]) -> Any:
    """What a YAML file holds, in builtin types.

    Raises
    ------
    YamlFileError
        Of the type given, with the place and the reason.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise error_type(path, [error.strerror or str(error)]) from error
    except UnicodeDecodeError as error:
        raise error_type(path, [f"not a text file in UTF-8: {error}"]) from error
    return parse_yaml(text, path, error_type)


def parse_yaml(text: str, path: Path, error_type: type[YamlFileError]) -> Any:
    """What the text of a YAML file holds; errors as of `read_yaml`."""
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except yaml.YAMLError as error:
        raise error_type(path, [_yaml_problem(error)]) from error
    except RecursionError as error:
        raise error_type(path, ["nested too deeply"]) from error


def _yaml_problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"not YAML: {' '.join(str(error).split())}"
    mark = error.problem_mark
    message = ", ".join(part for part in (error.context, error.problem) if part)
    return f"line {mark.line + 1}, column {mark.column + 1}: {message}"


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, where YAML would silently keep the last."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value; one that its own tag does not allow is refused with its line."""
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()  # "\ud800" is YAML, but no text
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            shown = f"{node.value!r:.60}" if isinstance(node, yaml.ScalarNode) else "this"
            raise yaml.constructor.ConstructorError(
                problem=f"{shown} cannot be read: {error}", problem_mark=node.start_mark
            ) from error
        return value


_KEY_TAGS = {f"tag:yaml.org,2002:{tag}" for tag in ("str", "merge", "value")}


def _unique_mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[str, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        problem = None
        if not isinstance(key_node, yaml.ScalarNode):
            problem = f"a key must be text, got a {key_node.id}"
        elif key_node.tag not in _KEY_TAGS:
            problem = f"a key must be text, got {key_node.value:.60}; put it in quotes"
        elif key_node.value in seen:
            problem = f"the key {key_node.value!r:.60} is given twice"
        if problem:
            raise yaml.constructor.ConstructorError(
                problem=problem, problem_mark=key_node.start_mark
            )
        seen.add(key_node.value)
    loader.flatten_mapping(node)  # after the check: a key may override one that "<<" merges in
    return {
        loader.construct_object(key_node, deep=True): loader.construct_object(value_node, deep=True)
        for key_node, value_node in node.value
    }


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
# YAML 1.1, which PyYAML reads, takes 1e-6 and 5.8e9 for text; YAML 1.2 and people do not.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
