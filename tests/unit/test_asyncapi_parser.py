"""The AsyncAPI document, judged by the parser of those who define the language."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.tools

DOCUMENT = Path(__file__).parents[2] / "schemas" / "asyncapi.yaml"

PROGRAM = """
const { Parser } = require('@asyncapi/parser');
const source = process.argv[1];
const text = require('fs').readFileSync(0, 'utf8');
new Parser().parse(text, { source }).then(({ document, diagnostics }) =>
  console.log(JSON.stringify({
    parsed: document !== undefined,
    findings: diagnostics.map(({ code, message, path }) => [code, message, path.join('.')]),
  })));
"""


def _judge(text: str) -> dict[str, Any]:
    """What the parser finds in a document that stands beside the schemas."""
    modules = os.environ.get("STREAMER_ASYNCAPI_PARSER", "")
    assert modules, "STREAMER_ASYNCAPI_PARSER must name the node_modules that has @asyncapi/parser"
    done = subprocess.run(  # noqa: S603 - the program is above
        ["node", "-e", PROGRAM, str(DOCUMENT)],  # noqa: S607 - wherever it is installed
        env={"PATH": os.environ["PATH"], "NODE_PATH": modules},
        input=text,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_document_passes_without_a_remark() -> None:
    """Also the schemas that it refers to are resolved, and no recommendation is missed."""
    assert _judge(DOCUMENT.read_text()) == {"parsed": True, "findings": []}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("asyncapi: 3.1.0", "asyncapi: 9.9.9"), ("./audit-record-1.schema.json", "./missing.json")],
)
def test_a_wrong_document_does_not_pass(right: str, wrong: str) -> None:
    """A version that is not, or a schema that is not there, is found."""
    text = DOCUMENT.read_text()
    assert right in text
    assert _judge(text.replace(right, wrong))["findings"]
