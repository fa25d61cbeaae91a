"""Judges recorded requests (see serve.py) by scim2-models, a library that rolecall has no part in.

validate.py RECORD: prints what was judged, or each request that is wrong, and exits with 1.
"""

import json
import sys
from collections import Counter
from urllib.parse import parse_qsl

from scim2_models import BulkRequest
from scim2_models import Context
from scim2_models import EnterpriseUser
from scim2_models import Group
from scim2_models import PatchOp
from scim2_models import SearchRequest
from scim2_models import User

MODELS = {"Users": User[EnterpriseUser], "Groups": Group}
DESCRIPTIONS = ("ServiceProviderConfig", "ResourceTypes", "Schemas")
MEDIA_TYPE = "application/scim+json"


def judge_write(method, path, data):
    """A change of one resource, by itself or as one operation of many."""
    collection, _, rest = path.strip("/").partition("/")
    model = MODELS[collection]
    assert (method == "POST") == (rest == ""), f"{method} {path}"
    if method == "POST":
        model.model_validate(data, scim_ctx=Context.RESOURCE_CREATION_REQUEST)
    elif method == "PUT":
        model.model_validate(data, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
    elif method == "PATCH":
        PatchOp[model].model_validate(data, scim_ctx=Context.RESOURCE_PATCH_REQUEST)
    else:
        assert method == "DELETE" and data is None, f"{method} {path}"


def judge(request):
    """Returns what kind of request it is, or raises."""
    method = request["method"]
    path = request["path"].removeprefix("/v2")
    if method == "GET":
        collection, _, rest = path.strip("/").partition("/")
        query = dict(parse_qsl(request["query"], strict_parsing=True)) if request["query"] else {}
        if collection in DESCRIPTIONS:
            assert not query, query
            return collection
        SearchRequest[MODELS[collection]].model_validate(query, scim_ctx=Context.SEARCH_REQUEST)
        return "GET one" if rest else "GET many"
    if method == "DELETE":
        assert request["body"] == "", "a DELETE with a body"
        judge_write(method, path, None)
        return method
    assert request["content_type"] == MEDIA_TYPE, request["content_type"]
    assert MEDIA_TYPE in request["accept"], request["accept"]
    body = json.loads(request["body"])
    if path == "/Bulk":
        everything = User[EnterpriseUser] | Group
        BulkRequest[everything].model_validate(body, scim_ctx=Context.BULK_REQUEST)
        for operation in body["Operations"]:
            judge_write(operation["method"], operation["path"], operation.get("data"))
        return "Bulk"
    judge_write(method, path, body)
    return method


judged, wrong = Counter(), 0
with open(sys.argv[1], encoding="utf-8") as record:
    for line in record:
        request = json.loads(line)
        try:
            judged[judge(request)] += 1
        except Exception as error:
            wrong += 1
            print(f"{request['method']} {request['path']}?{request['query']}\n{request['body']}\n{error}\n")
print(json.dumps(judged))
sys.exit(1 if wrong else 0)
