"""An example record for every documented topic, made by the code that makes real ones.

For those who write a consumer or a rule, and for a person to read: what does each topic look like
once it is archived? Deterministic, so that a test can tell whether what is checked in is current.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from streamer.audit.catalog import TOPICS
from streamer.audit.chain import genesis
from streamer.audit.encoder import Encoder
from streamer.audit.names import Named
from streamer.audit.normalize import read
from streamer.audit.sentence import parse, sentence
from streamer.flatfile.models import Environment
from streamer.flatfile.rows import read_row

if TYPE_CHECKING:
    from collections.abc import Mapping

_AS_OF: Final = "2026-11-23T20:41:00Z"
_OBSERVED: Final = "2026-11-23T20:46:05.012Z"
_ENVIRONMENT: Final = Environment(id="us_env_Kx7Qm2Rw", name="production", is_prod=True)
_NAMES: Final = {
    one.id: one
    for one in (
        Named("us_usr_Ada4Park", "Ada Park", "ada.park@example.com", "resolved", _AS_OF),
        Named("us_g_Ben8Ode", "Ben Ode", "ben@partner.example.com", "resolved", _AS_OF),
        Named("us_ag_Im7porter", "importer", None, "resolved", _AS_OF),
        Named("us_sp_On3board", "Onboarding", None, "resolved", _AS_OF),
    )
}
_SLUGS: Final = {"space": "onboarding", "workbook": "payroll", "sheet": "employees"}
_PLACE: Final = {"spaceId": "us_sp_On3board", "workbookId": "us_wb_Pay5roll", "slugs": _SLUGS}
_SHEET: Final = {**_PLACE, "sheetId": "us_sh_Emp6loye", "sheetSlug": "employees"}
_JOB: Final = {
    "domain": "file",
    "operation": "extract",
    "job": "file:extract",
    "status": "executing",
    "isPart": False,
}

_CONTEXTS: Final[dict[str, Mapping[str, Any]]] = {
    "agent": {},
    "space": {"spaceId": "us_sp_On3board"},
    "document": {"spaceId": "us_sp_On3board", "documentId": "us_dc_Gu1de"},
    "workbook": _PLACE,
    "flag": {},
    "sheet": _SHEET,
    "snapshot": {**_SHEET, "snapshotId": "us_ss_Snap1"},
    "records": {**_SHEET, "commitId": "us_vr_Com1mit"},
    "file": {"spaceId": "us_sp_On3board", "fileId": "us_fl_File1"},
    "job": {**_PLACE, "jobId": "us_jb_Job1"},
    "program": {"programId": "us_pr_Prog1"},
    "commit": {**_SHEET, "commitId": "us_vr_Com1mit"},
    "layer": {**_SHEET, "commitId": "us_vr_Com1mit"},
    "secret": {"spaceId": "us_sp_On3board"},
    "environment": {},
    "action": {"actionId": "us_act_Act1", "actionName": "Submit", "spaceId": "us_sp_On3board"},
    "data-clip": {**_PLACE, "dataClipId": "us_dclp_Clip1"},
    "canvas": {"spaceId": "us_sp_On3board", "canvasId": "us_cv_Canv1"},
    "thread": {"spaceId": "us_sp_On3board", "threadId": "us_th_Thread1"},
}
_PAYLOADS: Final[dict[str, Mapping[str, Any]]] = {
    "agent": {"agentId": "us_ag_Im7porter", "environmentId": _ENVIRONMENT.id},
    "space": {"space": {"id": "us_sp_On3board", "name": "Onboarding", "accessToken": "an example"}},
    "document": {"title": "How to begin"},
    "workbook": {"name": "Payroll"},
    "flag": {"flagId": "us_flg_Flag1", "name": "beta"},
    "records": {"sheetId": "us_sh_Emp6loye", "recordIds": ["us_rc_Rec1"], "recordCount": 1},
    "file": {"name": "employees.csv"},
    "job": _JOB,
    "program": {"name": "Mapping of employees"},
    "secret": {"secretId": "us_sec_Sec1", "name": "CARRIER_PASSWORD", "value": "an example"},
    "environment": {"environmentId": _ENVIRONMENT.id},
    "action": {"label": "Submit"},
    "data-clip": {"name": "Conflicts"},
    "canvas": {"id": "us_cv_Canv1", "name": "Overview"},
    "canvas-area": {"id": "us_cva_Area1", "name": "Header"},
    "thread": {"title": "Missing salaries"},
}
_ITSELF: Final = ("cron:", ":expired", ":thawed", "recompute", "recomputing")
"""Topics that contain one of these are nobody's doing."""


def records() -> list[bytes]:
    """Return one record per documented topic, in the catalog's order, as one chain."""
    drafts = [
        read(read_row(orjson.dumps(_element(number, topic))))
        for number, topic in enumerate(TOPICS, start=1)
    ]
    encoder = Encoder(_ENVIRONMENT, "us_acc_Acc1", max_record_bytes=1_000_000)
    sealed, _ = encoder.encode(drafts, _NAMES, _OBSERVED, genesis(_ENVIRONMENT.id))
    return [one.value for one in sealed]


def lines() -> bytes:
    """Return the example records, one a line."""
    return b"".join(record + b"\n" for record in records())


def table() -> str:
    """Return target and sentence of each example, for a person to read."""
    rows = ["| topic | target | sentence |", "|---|---|---|"]
    for record in map(parse, records()):
        target = record.get("target", {})
        shown = " ".join(str(target[key]) for key in ("type", "name", "id") if key in target)
        rows.append(f"| `{record['action']}` | {shown} | {sentence(record)} |")
    return "\n".join(rows) + "\n"


def files() -> dict[str, bytes]:
    """Return what `schemas/examples` holds, by file name."""
    return {"audit-records.jsonl": lines(), "topics.md": table().encode()}


def _element(number: int, topic: str) -> dict[str, Any]:
    """Return an event as `GET /events` would."""
    noun, _, verb = topic.partition(":")
    context: dict[str, Any] = {"accountId": "us_acc_Acc1", "environmentId": _ENVIRONMENT.id}
    context |= _CONTEXTS.get(noun, {})
    if verb.startswith("guest"):
        context["actorId"] = "us_g_Ben8Ode"
    elif not any(part in topic for part in _ITSELF):
        context["actorId"] = "us_ag_Im7porter" if noun == "job" else "us_usr_Ada4Park"
    payload = dict(_PAYLOADS.get(noun, {}))
    if topic == "job:failed":
        payload |= {"status": "failed", "info": "The file has no header row"}
    return {
        "id": f"us_evt_Example{number:02}",
        "topic": topic,
        "domain": noun,
        "createdAt": f"2026-11-23T20:{number // 60:02}:{number % 60:02}.000Z",
        "deletedAt": None,
        "acknowledgedAt": None,
        "acknowledgedBy": None,
        "context": context,
        "payload": payload,
        "callbackUrl": "",
        "dataUrl": "",
        "target": None,
        "namespaces": [noun],
    }
