"""Checks modules without running them: parses each handler's file and what it
imports from the project, and looks for the handler among its names.

Reads [{"file", "name"}] as JSON and prints one finding a line, see pythonFinding.
"""

import ast
import json
import os
import sys


def names_of(tree):
    """Names a module binds at its top level, and whether it may bind others."""
    names, open_ended = [], False
    todo = list(tree.body)
    while todo:
        node = todo.pop(0)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(node.name)
            open_ended = open_ended or node.name == "__getattr__"
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                if alias.name == "*":
                    open_ended = True
                else:
                    names.append(alias.asname or alias.name.split(".")[0])
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("globals", "exec", "setattr"):
            open_ended = True
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        if not isinstance(node, ast.Lambda):
            todo.extend(ast.iter_child_nodes(node))
    return names, open_ended


def imported_files(tree, file):
    """Files of the project that a module imports."""
    found = []

    def add(base, parts):
        for end in range(1, len(parts) + 1):
            stem = os.path.join(base, *parts[:end])
            for path in (stem + ".py", os.path.join(stem, "__init__.py")):
                if os.path.isfile(path):
                    found.append(os.path.normpath(path))

    here = os.path.dirname(file)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                for base in ("", here):
                    add(base, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            bases = ["", here]
            if node.level:
                bases = [os.path.normpath(os.path.join(here, *[".."] * (node.level - 1)))]
            module = node.module.split(".") if node.module else []
            for base in bases:
                add(base, module)
                for alias in node.names:
                    add(base, module + [alias.name])
    return found


def parse(file, handler):
    """The tree of a file, or None after its error was printed."""
    try:
        with open(file, "rb") as source:
            return ast.parse(source.read(), file)
    except SyntaxError as error:
        found(kind="syntax", file=file, line=error.lineno or 1, column=error.offset or 1, text=error.msg, handler=handler)
    except (ValueError, OSError) as error:
        found(kind="syntax", file=file, line=1, column=1, text=str(error), handler=handler)
    return None


def found(**finding):
    finding["file"] = finding["file"].replace(os.sep, "/")
    print(json.dumps(finding))


def main():
    seen = {}
    for index, handler in enumerate(json.load(sys.stdin)):
        todo = [os.path.normpath(handler["file"])]
        for file in todo:
            if file in seen:
                continue
            seen[file] = parse(file, index)
            if seen[file] is not None:
                todo.extend(imported_files(seen[file], file))
        tree = seen[todo[0]]
        if tree is None:
            continue
        names, open_ended = names_of(tree)
        if handler["name"] not in names and not open_ended:
            public = sorted({n for n in names if not n.startswith("_")})
            found(kind="missing", file=handler["file"], handler=index, names=public)


main()
