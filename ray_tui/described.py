"""A model's JSON Schema with the docstrings under its fields, read from the source only when it is asked for.

Pydantic can do so while a class is made (``use_attribute_docstrings``), which every start of the program would pay.
"""

import ast
import inspect
import sys
import textwrap
from typing import Any

from pydantic import BaseModel


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON Schema; each property has the text under its field as ``description``."""
    found: dict[str, Any] = model.model_json_schema()
    for name, part in {model.__name__: found, **found.get("$defs", {})}.items():
        owner = _model_named(name, model)
        for field, text in (_docs(owner) if owner else {}).items():
            if field in part.get("properties", {}):
                part["properties"][field].setdefault("description", text)
    return found


def _model_named(name: str, root: type[BaseModel]) -> type[BaseModel] | None:
    if name == root.__name__:
        return root
    modules = {root.__module__} | {vars(sys.modules[root.__module__]).get(name, root).__module__}
    found = [vars(sys.modules[module]).get(name) for module in modules]
    return next((one for one in found if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _docs(model: type[BaseModel]) -> dict[str, str]:
    """Field -> the string that stands right under it, those of the bases included."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if owner in (BaseModel, object) or not issubclass(owner, BaseModel):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            said = text.value.value if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) else None
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(said, str):
                found[field.target.id] = inspect.cleandoc(said)
    return found
