"""The hub on loopback, asked over HTTP and by the real libraries."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from assay.trial.catalogue import catalogue
from assay.trial.inside.hub.repositories import Found, Hub, Repository
from assay.trial.inside.hub.server import Server, read_path


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return []


@pytest.fixture(scope="module")
def server(tmp_path_factory, events) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "catalogue.json").write_text(json.dumps(catalogue()), encoding="utf-8")
    settings = {"hub": {"catalogue": str(folder / "catalogue.json")}, "standins": str(folder)}
    hub = Hub(settings, lambda kind, **fields: events.append({"kind": kind, **fields}))
    found = Server(hub)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()
    hub.close()


def ask(
    server: Server, path: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, body=body, headers=dict(headers or {}))
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def test_a_model_is_described_with_its_files(server):
    status, _, body = ask(server, "/api/models/Qwen/Qwen3-0.6B")
    found = json.loads(body)
    assert status == 200
    assert found["id"] == "Qwen/Qwen3-0.6B"
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= {item["rfilename"] for item in found["siblings"]}


def test_a_file_comes_with_the_headers_that_clients_read(server):
    status, headers, body = ask(server, "/Qwen/Qwen3-0.6B/resolve/main/config.json", "HEAD")
    assert (status, body) == (200, b"")
    assert len(headers["x-repo-commit"]) == 40
    assert headers["etag"].startswith('"')
    whole = ask(server, "/Qwen/Qwen3-0.6B/resolve/main/config.json")[2]
    assert int(headers["content-length"]) == len(whole)
    status, headers, part = ask(server, "/Qwen/Qwen3-0.6B/resolve/main/config.json", headers={"Range": "bytes=5-9"})
    assert (status, part) == (206, whole[5:10])


def test_sizes_are_shrunk_and_facts_are_kept(server):
    config = json.loads(ask(server, "/Qwen/Qwen3-0.6B/resolve/main/config.json")[2])
    assert config["num_hidden_layers"] == 2
    assert config["tie_word_embeddings"] is True
    assert config["head_dim"] * config["num_attention_heads"] != config["hidden_size"]
    tokenizer = json.loads(ask(server, "/Qwen/Qwen3-0.6B/resolve/main/tokenizer.json")[2])
    assert config["vocab_size"] - len(tokenizer["model"]["vocab"]) >= 8
    generation = json.loads(ask(server, "/Qwen/Qwen3-0.6B/resolve/main/generation_config.json")[2])
    assert generation["do_sample"] is True
    assert max(generation["eos_token_id"]) < config["vocab_size"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/models/no-such-model-of-old", 401, "RepoNotFound"),
        ("/api/models/somebody/unheard-of-xyz", 401, "RepoNotFound"),
        ("/meta-llama/Llama-2-7b-hf/resolve/main/config.json", 401, "GatedRepo"),
        ("/Qwen/Qwen3-0.6B/resolve/main/nothing.json", 404, "EntryNotFound"),
        ("/Qwen/Qwen3-0.6B/resolve/refs%2Fpr%2F7/config.json", 404, "RevisionNotFound"),
        ("/api/whoami-v2", 401, None),
    ],
)
def test_errors_are_those_of_the_hub(server, path, status, code):
    found, headers, _ = ask(server, path)
    assert (found, headers.get("x-error-code")) == (status, code)


def test_former_names_lead_to_the_present_one(server):
    status, headers, _ = ask(server, "/gpt2/resolve/main/config.json", "HEAD")
    assert (status, headers["location"]) == (307, "/openai-community/gpt2/resolve/main/config.json")


def test_paths_are_described_from_json_and_from_forms(server):
    path = "/api/models/openai-community/gpt2/paths-info/main"
    asked = json.dumps({"paths": ["config.json", "none"]}).encode()
    found = json.loads(ask(server, path, "POST", asked, {"Content-Type": "application/json"})[2])
    assert [item["path"] for item in found] == ["config.json"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    found = json.loads(ask(server, path, "POST", b"paths=merges.txt", form)[2])
    assert [item["path"] for item in found] == ["merges.txt"]


def test_listings_come_in_pages(server):
    _, headers, body = ask(server, "/api/models/openai-community/gpt2/tree/main?limit=2")
    assert len(json.loads(body)) == 2
    assert 'rel="next"' in headers["link"]


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/Qwen/Qwen3-0.6B/resolve/main/../../../../etc/passwd",
        "/Qwen/Qwen3-0.6B/resolve/main/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/api/models/%00/%0d%0aX: y",
        "/api/models/" + "a/" * 3000,
        "/" + "%ff" * 200,
    ],
)
def test_hostile_paths_find_nothing(server, path):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.putrequest("GET", path.replace(" ", "%20"), skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status >= 400
    assert b"root:" not in answer.read()
    connection.close()


def test_nothing_can_be_written(server):
    assert ask(server, "/api/models/Qwen/Qwen3-0.6B/preupload/main", "POST", b"{}")[0] == 401
    assert ask(server, "/api/models/Qwen/Qwen3-0.6B", "POST", b"x", {"Content-Length": "99999999999"})[0] == 413


def test_each_request_is_an_event(server, events):
    ask(server, "/api/models/somebody/unheard-of-abc")
    found = [event for event in events if event.get("repo") == "somebody/unheard-of-abc"]
    assert [(event["status"], event["known"]) for event in found] == [(401, "unknown")]


def test_a_client_that_waits_for_weights_hears_that_they_are_made(server, monkeypatch):
    monkeypatch.setattr("assay.trial.inside.hub.server._PATIENCE", 0.02)
    heard = threading.Event()

    def made() -> bytes:
        assert heard.wait(60)
        return b"weights"

    server.hub._found["model", "somebody/slow"] = Found(Repository("somebody/slow", {"a.bin": made}))
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as connection:
        connection.sendall(b"GET /somebody/slow/resolve/main/a.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with connection.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
            heard.set()
            rest = answer.read()
    assert rest.endswith(b"weights")
    assert b"HTTP/1.1 200 OK" in rest
    # the clients of Python skip these lines
    heard.clear()
    server.hub._found["model", "somebody/slow"] = Found(Repository("somebody/slow", {"b.bin": made}))
    threading.Timer(0.2, heard.set).start()
    assert ask(server, "/somebody/slow/resolve/main/b.bin")[::2] == (200, b"weights")


def test_the_part_of_a_path_after_an_id_is_told_from_it():
    found = read_path("/api/models/gpt2/tree/main")
    assert found is not None
    assert (found.id, found.part, found.revision) == ("gpt2", "tree", "main")
    found = read_path("/datasets/openai/gsm8k/resolve/main/main/train.parquet")
    assert found is not None
    assert (found.type, found.id, found.file) == ("dataset", "openai/gsm8k", "main/train.parquet")


_LOADS = """
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("Qwen/Qwen3-0.6B")
model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen3-0.6B")
ids = tokenizer("The film was good.", return_tensors="pt")
assert tokenizer.decode(ids.input_ids[0]) == "The film was good."
assert len(tokenizer) < model.config.vocab_size
assert model(**ids).logits.isfinite().all()
try:
    AutoTokenizer.from_pretrained("no-such-model-of-old")
except OSError as error:
    assert "not a valid model identifier" in str(error)
else:
    raise SystemExit("it was found")
"""


def test_transformers_loads_a_model_and_its_tokenizer(server, tmp_path: Path):
    pytest.importorskip("transformers")
    pytest.importorskip("torch")
    variables = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "HF_ENDPOINT": server.address,
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run([sys.executable, "-c", _LOADS], env=variables, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
