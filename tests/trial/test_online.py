"""`--online`: what is asked of the Hub, and what becomes of answers of every kind."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.submission import open_submission
from assay.trial import online
from assay.trial.catalogue import catalogue
from assay.trial.inside.hub import features
from assay.trial.inside.hub.models import facts_of
from assay.trial.inside.hub.repositories import Hub
from assay.trial.inside.hub.server import Server
from assay.trial.schemas import UserSchemas

CODE = """\
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("lab/reader")
model = AutoModelForCausalLM.from_pretrained("lab/reader")
known = AutoModelForCausalLM.from_pretrained("Qwen/Qwen3-0.6B")
rows = load_dataset("lab/letters", split="train")
others = load_dataset("openai/gsm8k", "main")
"""
CONFIG = {
    "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 512, "intermediate_size": 1024,
    "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 151936,
    "tie_word_embeddings": False, "eos_token_id": 151645,
}  # fmt: skip
CARD = """\
---
license: mit
dataset_info:
- config_name: long
  features:
  - name: text
    dtype: string
  - name: kind
    dtype:
      class_label:
        names:
          '1': letter (formal)
          '0': note|memo
  - name: turns
    list:
    - name: role
      dtype: string
  - name: tags
    sequence: int32
  - name: answers
    sequence:
    - name: start
      dtype: int64
  - name: voice
    dtype:
      audio:
        sampling_rate: 8000
  splits:
  - name: train
    num_examples: 900
  - name: test
    num_examples: 7
configs:
- config_name: long
  default: true
- config_name: short
---
# Letters
"""


def project_of(folder: Path, files: Mapping[str, str]) -> Project:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return Project(open_submission(str(folder)), load_contract("experiment"), as_of=datetime.date(2026, 11, 1))


@pytest.fixture
def project(tmp_path) -> Iterator[Project]:
    found = project_of(tmp_path / "submission", {"src/train.py": CODE})
    yield found
    found.close()


Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], tuple[str, list[BaseHTTPRequestHandler]]]]:
    """Starts a host that answers as it is told; gives its address and the requests that it got."""
    servers = []

    def start(answer: Answer) -> tuple[str, list[BaseHTTPRequestHandler]]:
        seen: list[BaseHTTPRequestHandler] = []

        class Host(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self)
                answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", seen

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def says(files: Mapping[str, str | bytes]) -> Answer:
    """A hub with these files, by what their paths end with."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        text = next((text for name, text in files.items() if request.path.endswith(name)), None)
        body = text.encode() if isinstance(text, str) else text or b""
        request.send_response(200 if text is not None else 404)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def ask(project: Project, endpoint: str, **variables: str) -> online.Online:
    return online.entries(project, environment={"HF_ENDPOINT": endpoint, **variables})


def test_what_no_table_has_is_asked_and_nothing_else(project, serve):
    address, seen = serve(says({"config.json": json.dumps(CONFIG), "README.md": CARD}))
    found = ask(project, address)
    assert [request.path for request in seen] == [
        "/lab/reader/resolve/main/config.json",
        "/lab/reader/resolve/main/generation_config.json",
        "/lab/reader/resolve/main/tokenizer_config.json",
        "/datasets/lab/letters/resolve/main/README.md",
    ]
    assert found.notes == ("127.0.0.1 was asked for the form of lab/reader, lab/letters",)
    known = catalogue(None, found.models, found.datasets)
    facts = facts_of("lab/reader", known)
    assert facts is not None
    assert (facts.basis, facts.config["tie_word_embeddings"]) == ("online", False)
    # a default of the library stays one, whatever others of the family say
    assert "rope_theta" not in facts.config
    schema = known["datasets"]["schemas"]["lab/letters"]
    assert (schema["basis"], schema["default"], schema["complete"]) == ("online", "long", False)
    assert schema["configurations"]["long"]["splits"] == {"train": 900, "test": 7}
    columns = features.parse_columns(schema["configurations"]["long"]["columns"])
    assert columns["kind"].names == ("note|memo", "letter (formal)")
    assert columns["turns"] == features.parse_feature("list<struct{role: string}>")
    assert columns["answers"] == features.parse_feature("struct{start: list<int64>}")
    assert columns["voice"].rate == 8000


def test_our_own_hub_can_be_asked_and_what_it_says_can_be_served_again(project, tmp_path):
    user = UserSchemas.model_validate(
        {
            "models": {"lab/reader": {"like": "llama", "config": {"hidden_size": 128, "tie_word_embeddings": True}}},
            "datasets": {
                "lab/letters": {"configurations": {"a": {"splits": {"train": 9}, "columns": {"x": "label(p|q)"}}}}
            },
        }
    )
    (tmp_path / "catalogue.json").write_text(json.dumps(catalogue(user)), encoding="utf-8")
    real = Hub(
        {"hub": {"catalogue": str(tmp_path / "catalogue.json")}, "standins": str(tmp_path)}, lambda *_, **__: None
    )
    server = Server(real)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        found = ask(project, server.address)
    finally:
        server.shutdown()
        server.server_close()
        real.close()
    (tmp_path / "again.json").write_text(json.dumps(catalogue(None, found.models, found.datasets)), encoding="utf-8")
    again = Hub({"hub": {"catalogue": str(tmp_path / "again.json")}, "standins": str(tmp_path)}, lambda *_, **__: None)
    model = again.find("model", "lab/reader").repository
    assert model is not None
    assert model.basis == "online"
    held = {name: json.loads(text) for name, text in model.files.items() if name.endswith("config.json")}  # type: ignore[arg-type]
    assert held["config.json"]["tie_word_embeddings"] is True
    settings = held["tokenizer_config.json"]
    assert (settings["bos_token"], settings["pad_token"]) == ("<s>", None)
    dataset = again.find("dataset", "lab/letters").repository
    assert dataset is not None
    assert (dataset.basis, "a/train-00000-of-00001.parquet" in dataset.files) == ("online", True)


def test_special_tokens_are_those_that_the_hub_tells(project, serve):
    told = {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": {
            "151643": {"content": "<end>", "special": True},
            "151700": {"content": "<mine>", "special": False},
        },
        "eos_token": {"content": "<end>"},
        "pad_token": None,
        "model_max_length": 77,
    }
    files = {"/config.json": json.dumps(CONFIG), "tokenizer_config.json": json.dumps(told), "README.md": CARD}
    facts = facts_of("lab/reader", catalogue(None, ask(project, serve(says(files))[0]).models))
    assert facts is not None
    assert (facts.tokenizer["specials"], facts.tokenizer["extras"]) == ({"<end>": 151643}, {"<mine>": 151700})
    assert (facts.tokenizer["roles"]["pad_token"], facts.tokenizer["roles"]["eos_token"]) == (None, "<end>")
    assert (facts.tokenizer["max"], facts.tokenizer["length"], facts.basis) == (77, 151701, "online")


def test_the_callers_token_is_sent_to_the_hub_and_to_nobody_else(project, serve):
    other, reached = serve(says({}))

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", other + "/stolen")
        request.end_headers()

    address, seen = serve(elsewhere)
    found = ask(project, address, HF_TOKEN="hf_secret")
    assert [request.headers["Authorization"] for request in seen] == ["Bearer hf_secret"] * 2
    assert reached == []
    assert all("could not be asked: it leads to another host" in note for note in found.notes)
    assert "hf_secret" not in repr(found)
    ask(project, address)
    assert seen[-1].headers["Authorization"] is None


def test_a_redirect_within_the_host_is_followed(project, serve):
    def moved(request: BaseHTTPRequestHandler) -> None:
        if request.path.startswith("/new"):
            says({"/config.json": json.dumps(CONFIG), "README.md": CARD})(request)
            return
        request.send_response(307)
        request.send_header("Location", "/new" + request.path)
        request.end_headers()

    found = ask(project, serve(moved)[0])
    assert [entry["id"] for entry in found.models] == ["lab/reader"]
    assert list(found.datasets or {}) == ["lab/letters"]


NESTED = '{"model_type": "qwen2", "a": ' + "[" * 50 + "]" * 50 + "}"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (b" " * 1_000_001, "its config.json is larger than 1,000,000 bytes"),
        ("[" * 100_000, "not readable as JSON"),
        (NESTED, "nested too deeply"),
        ("[1]", "is no mapping"),
        ("{}", "names no model_type"),
        (b"\xff\xfe", "is no UTF-8 text"),
        (json.dumps({**CONFIG, "quantization_config": {}}), "its weights are quantized"),
        (json.dumps({**CONFIG, "vocab_size": 10**12}), "its vocabulary is larger than any"),
        (json.dumps({"model_type": "own", "auto_map": {"AutoModel": "x.Y"}}), "code of its own"),
        (json.dumps({**CONFIG, "depths": 3}), "no stand-in can be made of what it says"),
        ('{"model_type": "qwen2", "hidden_size": ' + "9" * 5000 + "}", "not readable as JSON"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_a_note(project, serve, config, reason):
    found = ask(project, serve(says({"/config.json": config, "README.md": CARD}))[0])
    assert found.models == ()
    assert found.notes[0].startswith("model lab/reader could not be asked: ")
    assert reason in found.notes[0]


def card(features: str, head: str = "") -> str:
    return f"---\n{head}dataset_info:\n  features: {features}\n  splits: [{{name: train, num_examples: 3}}]\n---\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no head", "no card that describes it"),
        ("---\n[1\n---\n", "not readable as YAML"),
        ("---\n- 1\n---\n", "no mapping"),
        ("---\n" + "[" * 5_000 + "\n---\n", "not readable as YAML"),
        ("---\na: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: !!python/name:os.system x\n---\n", "not readable"),
        ("---\nlicense: mit\n---\n", "lists no columns and splits"),
        (card("[{name: a, dtype: array9d}]"), "a type that no stand-in has"),
        (card("[{name: 'a; b', dtype: string}]"), "a name that no stand-in can have"),
        (card("[{name: a, dtype: {class_label: {names: 7}}}]"), "labels has no names"),
        (card("[3]"), "a name that no stand-in can have"),
        (card("[{name: a, " + "list: {" * 30 + "dtype: string" + "}" * 30 + "}]"), "a form that no stand-in has"),
    ],
)
def test_a_card_that_cannot_be_used_is_a_note(project, serve, text, reason):
    found = ask(project, serve(says({"/config.json": json.dumps(CONFIG), "README.md": text}))[0])
    assert not found.datasets
    assert found.notes[0].startswith("dataset lab/letters could not be asked: ")
    assert reason in found.notes[0]


def test_a_gated_dataset_stays_gated(project, serve):
    text = card("[{name: a, dtype: string}]", head="extra_gated_prompt: agree\n")
    found = ask(project, serve(says({"/config.json": json.dumps(CONFIG), "README.md": text}))[0])
    assert (found.datasets or {})["lab/letters"]["gated"] is True


def test_a_host_that_drips_is_given_up_and_asked_nothing_else(project, serve, monkeypatch):
    monkeypatch.setattr(online, "SECONDS", 0.2)
    done = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(100):
            if done.wait(0.02):
                return
            request.wfile.write(b" ")
            request.wfile.flush()

    address, seen = serve(drip)
    found = ask(project, address)
    done.set()
    assert len(seen) == 1
    assert [note.partition("asked: ")[2] for note in found.notes] == ["127.0.0.1 did not answer within 0.2 seconds"] * 2


@pytest.mark.parametrize("endpoint", ["file:///etc", "nonsense", "http://", "http://[", "ftp://127.0.0.1"])
def test_an_endpoint_that_is_none_is_a_note(project, endpoint):
    assert "HF_ENDPOINT is no address" in ask(project, endpoint).notes[0]


def test_a_hub_that_is_not_there_is_a_note_for_each(project):
    found = ask(project, "http://127.0.0.1:1")
    assert [("127.0.0.1 cannot be reached" in note) for note in found.notes] == [True, True]


def test_an_answer_that_is_no_http_is_a_note(project, serve):
    found = ask(project, serve(lambda request: request.wfile.write(b"\x00\x01nothing\r\n" * 3))[0])
    assert (found.models, found.datasets) == ((), {})
    assert len(found.notes) == 2


def test_ids_in_run_files_are_asked_and_twenty_at_most(tmp_path, serve):
    runs = {f"config/runs/r{n}.yaml": f"model: {{name: lab/m{n}}}\ndataset: {{name: made}}\n" for n in range(23)}
    found = project_of(tmp_path, runs)
    address, seen = serve(says({}))
    notes = ask(found, address).notes
    found.close()
    assert len(seen) == 20
    assert notes[-1].startswith("3 further ids were not asked")
    assert all(note.endswith("it has no config.json") for note in notes[:-1])


def test_what_a_user_describes_is_not_asked(project, serve):
    user = UserSchemas.model_validate(
        {
            "models": {"lab/reader": {"like": "llama"}},
            "datasets": {
                "lab/letters": {"configurations": {"a": {"splits": {"train": 9}, "columns": {"x": "string"}}}}
            },
        }
    )
    address, seen = serve(says({}))
    assert online.entries(project, user, {"HF_ENDPOINT": address}) == online.Online()
    assert seen == []
