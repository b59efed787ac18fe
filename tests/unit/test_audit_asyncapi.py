"""The AsyncAPI document names what is published; its syntax is another tool's to judge."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.audit_records import event, sealed

SCHEMAS = Path(__file__).parents[2] / "schemas"
DOCUMENT = (SCHEMAS / "asyncapi.yaml").read_text()


def test_the_document_names_every_header_of_a_record_and_no_other() -> None:
    """Whoever adds a header documents it."""
    context = {
        "actorId": "us_usr_1",
        "workbookId": "us_wb_1",
        "jobId": "j",
        "precedingEventId": "e",
    }
    published = {name for name, _ in sealed(event(context=context), revision=2)[0].headers}
    documented = set(re.findall(r"^          (ce_[a-z]+|content-type):$", DOCUMENT, re.MULTILINE))
    assert documented == published


def test_the_headers_that_it_requires_are_on_every_record() -> None:
    """Also on one without actor, target and time."""
    fewest = {
        name for name, _ in sealed(event("flag:created", context={}, createdAt="x"))[0].headers
    }
    required = re.search(r"required: \[(ce_specversion[^\]]*)\]", DOCUMENT)
    assert required is not None
    assert set(re.split(r",\s*", required[1])) == fewest


def test_every_schema_that_it_refers_to_is_there_and_every_one_is_referred_to() -> None:
    """References are by path, and no schema is forgotten."""
    references = set(re.findall(r"\$ref: '\./([^']+)'", DOCUMENT))
    assert references == {path.name for path in SCHEMAS.glob("*.schema.json")}


def test_every_local_reference_leads_somewhere() -> None:
    """The last part of each is a key of the document."""
    for reference in re.findall(r"\$ref: '#/([^']+)'", DOCUMENT):
        assert re.search(rf"^ +{reference.rpartition('/')[2]}:$", DOCUMENT, re.MULTILINE)
