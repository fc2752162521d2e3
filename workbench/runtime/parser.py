"""TensorRT's own ONNX parser, asked which nodes of a model it takes, in a process of its own.

The parser can end its process, and needs a GPU. So it is asked through ``workbench.runtime.parser_process``, which lives on
between questions, and is ended when an answer takes too long.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from workbench.errors import JobError, Unavailable
from workbench.runtime import parser_process
from workbench.runtime.process import last_line

START_LIMIT_S = 120.0  # loading CUDA and making a builder takes about ten seconds on a slow disk
LIMIT_S = 120.0
INSTALL = "Install TensorRT's Python package (`workbench doctor` names the line), on a machine with an NVIDIA GPU."

Groups = list[tuple[tuple[int, ...], bool]]


@dataclass(frozen=True)
class ParserAnswer:
    """What the parser said of one model.

    Attributes
    ----------
    groups : list of tuple
        Indices of nodes in the graph, and whether TensorRT takes them.
    errors : tuple of tuple
        Index of the node (-1 for none) and text of the parser's complaints, in its order.
    """

    groups: Groups
    errors: tuple[tuple[int, str], ...]


class Parser:
    """Asks the installed TensorRT's ONNX parser. Use it as a context manager, or call :meth:`close`.

    Parameters
    ----------
    strongly_typed : bool
        Parse into strongly typed networks, as ONNX Runtime does with TensorRT 10 where no precision flag is set. Ignored by
        TensorRT 8.
    limit_s : float
        Seconds that one answer may take.
    python : str or None
        The interpreter that has tensorrt; this one by default. 3.11 or later; it needs no other package.

    Raises
    ------
    Unavailable
        When tensorrt is not installed there, or finds no GPU; the message says which.

    Attributes
    ----------
    tensorrt : str
        The version of TensorRT.
    """

    def __init__(self, *, strongly_typed: bool = False, limit_s: float = LIMIT_S, python: str | None = None) -> None:
        self.limit_s = limit_s
        self._python, self._strongly_typed = python or sys.executable, strongly_typed
        self._process: _Process | None = None
        self.tensorrt = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, model: bytes) -> Groups:
        """Return only the groups of :meth:`ask`."""
        return self.ask(model).groups

    def ask(self, model: bytes) -> ParserAnswer:
        """Return which nodes of a serialised model TensorRT takes.

        Parameters
        ----------
        model : bytes
            A ModelProto with its weights inside.

        Raises
        ------
        JobError
            When the parser crashes, takes too long (kinds ``crash`` and ``timeout``) or refuses to answer; the next question
            starts a new process.
        """
        if self._process is None:
            self._start()
        assert self._process is not None
        reply = self._reply(self._process, model, self.limit_s)
        if "failed" in reply:
            raise JobError(f"TensorRT's parser could not be asked: {reply['failed']}.", kind="load")
        groups = [(tuple(nodes), bool(supported)) for nodes, supported in reply["groups"]]
        return ParserAnswer(groups, tuple((int(node), str(text)) for node, text in reply["errors"]))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def _start(self) -> str:
        try:
            self._process = _Process(self._python, strongly_typed=self._strongly_typed)
        except OSError as error:
            raise Unavailable(f"{self._python} cannot be started: {error.strerror or error}.") from error
        hello = self._reply(self._process, None, START_LIMIT_S)
        if "absent" in hello:
            self.close()
            raise Unavailable(f"TensorRT's parser cannot be asked here: {hello['absent']}.", remedy=INSTALL)
        return str(hello["tensorrt"])

    def _reply(self, process: _Process, model: bytes | None, limit_s: float) -> dict[str, Any]:
        """Send a question, if there is one, and return what the process answers."""
        doing = "starting" if model is None else f"on a model of {len(model):,} bytes"
        try:
            if model is not None:
                process.questions.put(model)
            data = process.answers.get(timeout=limit_s)
        except queue.Empty:
            self.close()
            message = f"TensorRT's parser took longer than {limit_s:g} s, {doing}, and was ended."
            raise JobError(message, kind="timeout") from None
        if data is None:
            status, last = process.popen.wait(), last_line(process.log)
            self.close()
            raise JobError(f"TensorRT's parser ended its process (status {status}), {doing}. {last}".rstrip(), kind="crash")
        found: dict[str, Any] = json.loads(data)
        return found


class _Process:
    """The process, with a thread that writes questions and one that reads answers, so that neither pipe can block."""

    def __init__(self, python: str, *, strongly_typed: bool) -> None:
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        # by its path: the package need not be importable there; -P: nor may the modules beside it stand in for others
        command = [python, "-P", str(Path(parser_process.__file__)), *(["--strongly-typed"] if strongly_typed else [])]
        # the packages of this interpreter are of no use to another
        environment = {key: text for key, text in os.environ.items() if python == sys.executable or key != "PYTHONPATH"}
        try:
            self.popen = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, env=environment
            )
        except OSError:
            self.log.close()
            raise
        self.questions: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._read)]
        for thread in self.threads:
            thread.start()

    def _write(self) -> None:
        assert self.popen.stdin is not None
        while (model := self.questions.get()) is not None:
            with contextlib.suppress(OSError, ValueError):  # a process that died is noticed by the reader
                parser_process.send(self.popen.stdin, model)  # type: ignore[arg-type]

    def _read(self) -> None:
        assert self.popen.stdout is not None
        data: bytes | None = b""
        while data is not None:
            data = None
            with contextlib.suppress(OSError, ValueError):
                data = parser_process.receive(self.popen.stdout)  # type: ignore[arg-type]
            self.answers.put(data)
        self.popen.stdout.close()

    def end(self) -> None:
        """End it and let go of its streams."""
        self.popen.kill()
        self.popen.wait()
        self.questions.put(None)
        for thread in self.threads:  # both end, now that the process is gone
            thread.join()
        self.log.close()
        if self.popen.stdin is not None:
            with contextlib.suppress(OSError):
                self.popen.stdin.close()
