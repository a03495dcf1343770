"""The two API documents are what the code says, are what the repository holds, and are valid."""

from pathlib import Path

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from derivasys.publish import asyncapi, openapi
from derivasys.publish.api_documents import rendered
from derivasys.wire.messages import ClientMessage, ServerMessage

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", sorted(rendered()))
def test_the_file_is_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == rendered()[name], "run `make types`"


def test_the_openapi_document_is_valid():
    assert list(OpenAPIV31SpecValidator(openapi.document("1")).iter_errors()) == []


@pytest.mark.parametrize("name", sorted(openapi.document("1")["components"]["schemas"]))
def test_every_schema_is_a_schema(name):
    jsonschema.Draft202012Validator.check_schema(openapi.document("1")["components"]["schemas"][name])


def test_every_message_of_the_socket_is_in_the_asyncapi_document():
    document = asyncapi.document("1")
    named = {message["name"] for message in document["components"]["messages"].values()}
    sent = {each.__struct_config__.tag for each in (*ServerMessage.__args__, *ClientMessage.__args__)}
    assert named == sent
    used = [message["$ref"] for operation in document["operations"].values() for message in operation["messages"]]
    assert len(used) == len(set(used)) == len(document["components"]["messages"])
