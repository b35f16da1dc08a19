"""The enactment in this process: what the child does, without the child, and only when it is asked for."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from assay.analysis.enactment.child import answer_request
from assay.analysis.enactment.composing import Composer
from assay.analysis.enactment.session import Session


class InProcessSession(Session):
    """A session that answers in this process."""

    def send(self, request):
        self.request = request

    def answer(self, timeout):
        limit = sys.getrecursionlimit()
        with tempfile.TemporaryDirectory() as folder:
            try:
                answer = answer_request(self.request, Composer(Path(folder)), Path(folder))
            finally:
                sys.setrecursionlimit(limit)
        return json.loads(json.dumps(answer))

    def close(self):
        pass
