"""The scripts that `evaluate.load` runs: each imports what the real one imports, so that what is missing is missed.

What they compute is what the real ones say that they compute (https://huggingface.co/evaluate-metric); the code is
ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Script(NamedTuple):
    """One metric.

    Args:
        imports: Its lines of imports, beside `datasets` and `evaluate`.
        features: The expression of its features.
        arguments: What its computation takes after predictions and references.
        body: The lines of its computation.
        inputs: What it compares; two names, or one.
    """

    imports: tuple[str, ...]
    features: str
    arguments: str
    body: str
    inputs: str = "predictions, references"


def _columns(kind: str) -> str:
    return f'datasets.Features({{"predictions": {kind}, "references": {kind}}})'


_INTEGERS = """(
            datasets.Features({
                "predictions": datasets.Sequence(datasets.Value("int32")),
                "references": datasets.Sequence(datasets.Value("int32")),
            })
            if self.config_name == "multilabel"
            else datasets.Features({"predictions": datasets.Value("int32"), "references": datasets.Value("int32")})
        )"""
_FLOATS = """(
            datasets.Features({
                "predictions": datasets.Sequence(datasets.Value("float")),
                "references": datasets.Sequence(datasets.Value("float")),
            })
            if self.config_name == "multilist"
            else datasets.Features({"predictions": datasets.Value("float"), "references": datasets.Value("float")})
        )"""
_STRINGS = _columns('datasets.Value("string", id="sequence")')
_ONE_OR_MORE = """[
            datasets.Features({
                "predictions": datasets.Value("string", id="sequence"),
                "references": datasets.Sequence(datasets.Value("string", id="sequence"), id="references"),
            }),
            datasets.Features({
                "predictions": datasets.Value("string", id="sequence"),
                "references": datasets.Value("string", id="sequence"),
            }),
        ]"""
_ANSWERED = """{
                "id": datasets.Value("string"),
                "answers": datasets.features.Sequence(
                    {"text": datasets.Value("string"), "answer_start": datasets.Value("int32")}
                ),
            }"""
_SQUAD = f"""datasets.Features({{
            "predictions": {{"id": datasets.Value("string"), "prediction_text": datasets.Value("string")}},
            "references": {_ANSWERED},
        }})"""
_SQUAD_V2 = f"""datasets.Features({{
            "predictions": {{
                "id": datasets.Value("string"),
                "prediction_text": datasets.Value("string"),
                "no_answer_probability": datasets.Value("float32"),
            }},
            "references": {_ANSWERED},
        }})"""
_AVERAGED = "labels=None, pos_label=1, average='binary', sample_weight=None"


def _averaged(name: str, function: str, more: str = "") -> Script:
    passed = "labels=labels, pos_label=pos_label, average=average, sample_weight=sample_weight"
    if more:
        passed += ", zero_division=zero_division"
    body = f"""
        score = {function}(references, predictions, {passed})
        return {{"{name}": score if getattr(score, "size", 1) > 1 else float(score)}}
"""
    return Script((f"from sklearn.metrics import {function}",), _INTEGERS, _AVERAGED + more, body)


def _plain(name: str, imports: tuple[str, ...], features: str, arguments: str, expression: str) -> Script:
    return Script(imports, features, arguments, f'\n        return {{"{name}": {expression}}}\n')


_NORMAL = """
        import collections
        import re
        import string

        def normal(text):
            text = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
            return " ".join(re.sub(r"\\b(a|an|the)\\b", " ", text).split())

        def overlap(found, wanted):
            found, wanted = normal(found).split(), normal(wanted).split()
            if not found or not wanted:
                return float(found == wanted)
            same = sum((collections.Counter(found) & collections.Counter(wanted)).values())
            return 2 * same / (len(found) + len(wanted))

        given = {item["id"]: item["prediction_text"] for item in predictions}
        exact, f1 = [], []
        for item in references:
            wanted = item["answers"]["text"] or [""]
            found = given.get(item["id"], "")
            exact.append(max(float(normal(found) == normal(text)) for text in wanted))
            f1.append(max(overlap(found, text) for text in wanted))
        count = max(1, len(exact))
"""
_BLEU = """
        import collections
        import math
        import re

        split = tokenizer or (lambda text: re.findall(r"\\w+|[^\\w\\s]", text))
        references = [[item] if isinstance(item, str) else item for item in references]
        matches, possible = [0] * max_order, [0] * max_order
        ours, theirs = 0, 0

        def grams(words, order):
            return collections.Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))

        for prediction, wanted in zip(predictions, references):
            words, others = split(prediction), [split(text) for text in wanted]
            ours += len(words)
            theirs += min(len(other) for other in others)
            for order in range(1, max_order + 1):
                most = collections.Counter()
                for other in others:
                    most |= grams(other, order)
                found = grams(words, order)
                matches[order - 1] += sum((found & most).values())
                possible[order - 1] += max(0, len(words) - order + 1)
        extra = 1 if smooth else 0
        precisions = [(m + extra) / (p + extra) if p + extra else 0.0 for m, p in zip(matches, possible)]
        mean = math.exp(sum(math.log(p) for p in precisions) / max_order) if min(precisions) > 0 else 0.0
        ratio = ours / theirs
        penalty = 1.0 if ratio > 1 else math.exp(1 - 1 / ratio) if ratio else 0.0
        return {"bleu": mean * penalty, "precisions": precisions, "brevity_penalty": penalty, "length_ratio": ratio,
                "translation_length": ours, "reference_length": theirs}
"""
_ROUGE = """
        rouge_types = rouge_types or ["rouge1", "rouge2", "rougeL", "rougeLsum"]
        many = isinstance(references[0], list)
        scorer = rouge_scorer.RougeScorer(rouge_types=rouge_types, use_stemmer=use_stemmer, tokenizer=None)
        totals = {name: [] for name in rouge_types}
        for reference, prediction in zip(references, predictions):
            found = scorer.score_multi(reference, prediction) if many else scorer.score(reference, prediction)
            for name in rouge_types:
                totals[name].append(found[name].fmeasure)
        if not use_aggregator:
            return totals
        return {name: np.float64(np.mean(values)) for name, values in totals.items()}
"""
_EXACT = """
        for pattern in regexes_to_ignore or []:
            predictions = [re.sub(pattern, "", text) for text in predictions]
            references = [re.sub(pattern, "", text) for text in references]
        if ignore_case:
            predictions, references = [t.lower() for t in predictions], [t.lower() for t in references]
        for ignored, letters in ((ignore_punctuation, string.punctuation), (ignore_numbers, string.digits)):
            if ignored:
                table = str.maketrans("", "", letters)
                predictions = [text.translate(table) for text in predictions]
                references = [text.translate(table) for text in references]
        return {"exact_match": np.mean(np.asarray(predictions) == np.asarray(references))}
"""
_GLUE = """
        name = self.config_name
        if name == "cola":
            return {"matthews_correlation": matthews_corrcoef(references, predictions)}
        predictions, references = np.array(predictions), np.array(references)
        if name == "stsb":
            pearson = float(pearsonr(predictions, references)[0])
            return {"pearson": pearson, "spearmanr": float(spearmanr(predictions, references)[0])}
        found = {"accuracy": float((predictions == references).mean())}
        if name in ("mrpc", "qqp"):
            found["f1"] = float(f1_score(y_true=references, y_pred=predictions))
        return found

    def _validate(self):
        known = ["sst2", "mnli", "mnli_mismatched", "mnli_matched", "cola", "stsb", "mrpc", "qqp", "qnli", "rte"]
        known += ["wnli", "hans"]
        if self.config_name not in known:
            raise KeyError("You should supply a configuration name selected in %s" % known)
"""
_GLUE_FEATURES = """datasets.Features({
            "predictions": datasets.Value("int64" if self.config_name != "stsb" else "float32"),
            "references": datasets.Value("int64" if self.config_name != "stsb" else "float32"),
        })"""
_SACREBLEU = """
        if isinstance(references[0], str):
            references = [[text] for text in references]
        count = len(references[0])
        if any(len(texts) != count for texts in references):
            raise ValueError("Sacrebleu requires the same number of references for each prediction")
        columns = [[texts[at] for texts in references] for at in range(count)]
        more = {"tokenize": tokenize} if tokenize else {}
        output = scb.corpus_bleu(predictions, columns, smooth_method=smooth_method, smooth_value=smooth_value,
                                 force=force, lowercase=lowercase, use_effective_order=use_effective_order, **more)
        return {"score": output.score, "counts": output.counts, "totals": output.totals,
                "precisions": output.precisions, "bp": output.bp, "sys_len": output.sys_len, "ref_len": output.ref_len}
"""
_CHRF = """
        if isinstance(references[0], str):
            references = [[text] for text in references]
        columns = [[texts[at] for texts in references] for at in range(len(references[0]))]
        output = CHRF(char_order, word_order, beta, lowercase).corpus_score(predictions, columns)
        return {"score": output.score, "char_order": output.char_order, "word_order": output.word_order,
                "beta": output.beta}
"""
_TER = """
        if isinstance(references[0], str):
            references = [[text] for text in references]
        columns = [[texts[at] for texts in references] for at in range(len(references[0]))]
        output = TER(normalized=normalized, case_sensitive=case_sensitive).corpus_score(predictions, columns)
        return {"score": output.score, "num_edits": output.num_edits, "ref_length": output.ref_length}
"""
_BERTSCORE = """
        if isinstance(references[0], str):
            references = [[text] for text in references]
        if model_type is None:
            if lang is None:
                raise ValueError("Either 'lang' (e.g. 'en') or 'model_type' must be specified")
            model_type = bert_score.utils.lang2model[lang.lower()]
        if num_layers is None:
            num_layers = bert_score.utils.model2layers[model_type]
        scorer = bert_score.BERTScorer(model_type=model_type, num_layers=num_layers, batch_size=batch_size,
                                       nthreads=nthreads, all_layers=all_layers, idf=idf, device=device, lang=lang,
                                       rescale_with_baseline=rescale_with_baseline, baseline_path=baseline_path)
        precision, recall, f1 = scorer.score(cands=predictions, refs=references, verbose=verbose, batch_size=batch_size)
        return {"precision": precision.tolist(), "recall": recall.tolist(), "f1": f1.tolist(), "hashcode": scorer.hash}
"""
_PERPLEXITY = """
        device = ("cuda" if torch.cuda.is_available() else "cpu") if device in (None, "gpu") else device
        model = AutoModelForCausalLM.from_pretrained(model_id).to(device)
        tokenizer = AutoTokenizer.from_pretrained(model_id)
        if tokenizer.pad_token is None and batch_size > 1:
            tokenizer.add_special_tokens({"pad_token": list(tokenizer.special_tokens_map.values())[0]})
        values = []
        for at in range(0, len(predictions), batch_size):
            read = tokenizer(predictions[at : at + batch_size], return_tensors="pt", padding=True,
                             truncation=bool(max_length), max_length=max_length).to(device)
            ids, mask = read["input_ids"], read["attention_mask"]
            if add_start_token:
                start = torch.full((len(ids), 1), tokenizer.bos_token_id or 0, device=device)
                ids, mask = torch.cat([start, ids], 1), torch.cat([torch.ones_like(start), mask], 1)
            with torch.no_grad():
                logits = model(ids, attention_mask=mask).logits[:, :-1]
            loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
            kept = mask[:, 1:]
            values += torch.exp((loss * kept).sum(1) / kept.sum(1)).tolist()
        return {"perplexities": values, "mean_perplexity": np.mean(values)}
"""
_METEOR = """
        found = []
        for reference, prediction in zip(references, predictions):
            texts = [reference] if isinstance(reference, str) else reference
            wanted = [word_tokenize(text) for text in texts]
            words = word_tokenize(prediction)
            found.append(meteor_score.meteor_score(wanted, words, alpha=alpha, beta=beta, gamma=gamma))
        return {"meteor": np.mean(found)}

    def _download_and_prepare(self, dl_manager):
        import nltk

        nltk.download("wordnet")
        nltk.download("punkt_tab")
        nltk.download("omw-1.4")
"""
_SEQEVAL = """
        report = classification_report(y_true=references, y_pred=predictions, suffix=suffix, output_dict=True,
                                       scheme=None, mode=mode, sample_weight=sample_weight, zero_division=zero_division)
        for name in ("macro avg", "weighted avg"):
            report.pop(name)
        overall = report.pop("micro avg")
        found = {name: {"precision": score["precision"], "recall": score["recall"], "f1": score["f1-score"],
                        "number": score["support"]} for name, score in report.items()}
        found["overall_precision"] = overall["precision"]
        found["overall_recall"] = overall["recall"]
        found["overall_f1"] = overall["f1-score"]
        found["overall_accuracy"] = accuracy_score(y_true=references, y_pred=predictions)
        return found
"""
_NUMPY = "import numpy as np"
_SCRIPTS: dict[str, Script] = {
    "accuracy": _plain(
        "accuracy", ("from sklearn.metrics import accuracy_score",), _INTEGERS, "normalize=True, sample_weight=None",
        "float(accuracy_score(references, predictions, normalize=normalize, sample_weight=sample_weight))",
    ),
    "f1": _averaged("f1", "f1_score"),
    "precision": _averaged("precision", "precision_score", ", zero_division='warn'"),
    "recall": _averaged("recall", "recall_score", ", zero_division='warn'"),
    "matthews_correlation": _plain(
        "matthews_correlation", (_NUMPY, "from sklearn.metrics import matthews_corrcoef"), _INTEGERS,
        "sample_weight=None, average=None",
        "float(matthews_corrcoef(references, predictions, sample_weight=sample_weight))",
    ),
    "mse": _plain(
        "mse", ("from sklearn.metrics import mean_squared_error",), _FLOATS,
        "sample_weight=None, multioutput='uniform_average'",
        "mean_squared_error(references, predictions, sample_weight=sample_weight, multioutput=multioutput)",
    ),
    "mae": _plain(
        "mae", ("from sklearn.metrics import mean_absolute_error",), _FLOATS,
        "sample_weight=None, multioutput='uniform_average'",
        "mean_absolute_error(references, predictions, sample_weight=sample_weight, multioutput=multioutput)",
    ),
    "r_squared": _plain(
        "r_squared", (_NUMPY,), _columns('datasets.Value("float", id="sequence")'), "",
        "round(1 - float(np.sum((np.array(references) - np.array(predictions)) ** 2)"
        " / np.sum((np.array(references) - np.mean(references)) ** 2)), 3)",
    ),
    "pearsonr": _plain(
        "pearsonr", ("from scipy.stats import pearsonr",), _columns('datasets.Value("float")'), "return_pvalue=False",
        'float(pearsonr(references, predictions)[0])',
    ),
    "spearmanr": _plain(
        "spearmanr", ("from scipy.stats import spearmanr",), _columns('datasets.Value("float")'), "return_pvalue=False",
        "spearmanr(references, predictions)[0]",
    ),
    "roc_auc": Script(
        ("from sklearn.metrics import roc_auc_score",),
        'datasets.Features({"prediction_scores": datasets.Value("float"), "references": datasets.Value("int32")})'
        ' if self.config_name not in ("multiclass", "multilabel") else datasets.Features({"prediction_scores":'
        ' datasets.Sequence(datasets.Value("float")), "references": datasets.Value("int32") if self.config_name =='
        ' "multiclass" else datasets.Sequence(datasets.Value("int32"))})',
        "average='macro', sample_weight=None, max_fpr=None, multi_class='raise', labels=None",
        "\n        return {'roc_auc': roc_auc_score(references, prediction_scores, average=average,"
        " sample_weight=sample_weight, max_fpr=max_fpr, multi_class=multi_class, labels=labels)}\n",
        "references, prediction_scores",
    ),
    "exact_match": Script(
        ("import re", "import string", _NUMPY), _STRINGS,
        "regexes_to_ignore=None, ignore_case=False, ignore_punctuation=False, ignore_numbers=False", _EXACT,
    ),
    "glue": Script(
        (_NUMPY, "from scipy.stats import pearsonr, spearmanr",
         "from sklearn.metrics import f1_score, matthews_corrcoef"),
        _GLUE_FEATURES, "", _GLUE,
    ),
    "squad": Script(
        (), _SQUAD, "",
        _NORMAL + '        return {"exact_match": 100 * sum(exact) / count, "f1": 100 * sum(f1) / count}\n',
    ),
    "squad_v2": Script(
        (), _SQUAD_V2, "no_answer_threshold=1.0",
        _NORMAL
        + '        return {"exact": 100 * sum(exact) / count, "f1": 100 * sum(f1) / count, "total": len(exact)}\n',
    ),
    "rouge": Script(
        ("import absl", "import nltk", _NUMPY, "import six",
         "from rouge_score import rouge_scorer, scoring"),
        _ONE_OR_MORE, "rouge_types=None, use_aggregator=True, use_stemmer=False, tokenizer=None", _ROUGE,
    ),
    "bleu": Script((), _ONE_OR_MORE, "tokenizer=None, max_order=4, smooth=False", _BLEU),
    "sacrebleu": Script(
        ("import sacrebleu as scb", "from packaging import version"), _ONE_OR_MORE,
        "smooth_method='exp', smooth_value=None, force=False, lowercase=False, tokenize=None,"
        " use_effective_order=False",
        _SACREBLEU,
    ),
    "chrf": Script(
        ("import sacrebleu as scb", "from sacrebleu import CHRF"), _ONE_OR_MORE,
        "char_order=6, word_order=0, beta=2, lowercase=False, whitespace=False, eps_smoothing=False", _CHRF,
    ),
    "ter": Script(
        ("import sacrebleu as scb", "from sacrebleu import TER"), _ONE_OR_MORE,
        "normalized=False, ignore_punct=False, support_zh_ja_chars=False, case_sensitive=False", _TER,
    ),
    "bertscore": Script(
        ("import bert_score", "from packaging import version"), _ONE_OR_MORE,
        "lang=None, model_type=None, num_layers=None, verbose=False, idf=False, device=None, batch_size=64, nthreads=4,"
        " all_layers=False, rescale_with_baseline=False, baseline_path=None, use_fast_tokenizer=False", _BERTSCORE,
    ),
    "perplexity": Script(
        (_NUMPY, "import torch", "from transformers import AutoModelForCausalLM, AutoTokenizer"),
        'datasets.Features({"predictions": datasets.Value("string")})',
        "model_id, batch_size=16, add_start_token=True, device=None, max_length=None", _PERPLEXITY, "predictions",
    ),
    "meteor": Script(
        (_NUMPY, "from nltk import word_tokenize", "from nltk.translate import meteor_score"), _ONE_OR_MORE,
        "alpha=0.9, beta=3, gamma=0.5", _METEOR,
    ),
    "google_bleu": _plain(
        "google_bleu", ("from nltk.translate import gleu_score",), _ONE_OR_MORE,
        "tokenizer=str.split, min_len=1, max_len=4",
        "gleu_score.corpus_gleu(list_of_references=[[tokenizer(t) for t in ([item] if isinstance(item, str) else item)]"
        " for item in references], hypotheses=[tokenizer(t) for t in predictions], min_len=min_len, max_len=max_len)",
    ),
    "wer": Script(
        ("import jiwer",), _STRINGS, "concatenate_texts=False",
        "\n        return float(jiwer.wer(list(references), list(predictions)))\n", "predictions, references",
    ),
    "cer": Script(
        ("import jiwer",), _STRINGS, "concatenate_texts=False",
        "\n        return float(jiwer.cer(list(references), list(predictions)))\n", "predictions, references",
    ),
    "seqeval": Script(
        ("from seqeval.metrics import accuracy_score, classification_report",),
        _columns('datasets.Sequence(datasets.Value("string", id="label"), id="sequence")'),
        "suffix=False, scheme=None, mode=None, sample_weight=None, zero_division='warn'", _SEQEVAL,
    ),
}  # fmt: skip


def repository(id: str) -> Any | None:
    """The repository of a metric (`evaluate-metric/NAME`), or None where there is none of this name."""
    from .repositories import Repository

    owner, _, name = id.partition("/")
    if owner != "evaluate-metric" or name not in _SCRIPTS:
        return None
    files = {name + ".py": script(name).encode("utf-8"), "README.md": b"---\ntitle: " + name.encode() + b"\n---\n"}
    return Repository(id, files, basis="table", type="space", note="its script computes what the real one computes")


def names() -> tuple[str, ...]:
    """The metrics that there are, by name."""
    return tuple(sorted(_SCRIPTS))


def script(name: str) -> str:
    """The script of a metric.

    Raises:
        KeyError: There is none of this name.
    """
    row = _SCRIPTS[name]
    checks = "        self._validate()\n" if "def _validate" in row.body else ""
    return (
        '"""A metric of a rehearsal."""\n\nimport datasets\nimport evaluate\n{}\n\n\n'
        "class {}(evaluate.Metric):\n"
        "    def _info(self):\n{}"
        "        features = {}\n"
        '        return evaluate.MetricInfo('
        'description="{}", citation="", inputs_description="", features=features)\n\n'
        "    def _compute(self, {}{}):{}"
    ).format(
        "\n".join(row.imports), "".join(part.title() for part in name.split("_")), checks, row.features, name,
        row.inputs, ", " + row.arguments if row.arguments else "", row.body,
    )  # fmt: skip
