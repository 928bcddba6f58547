"""Run the zoo: ``python -m zoo [PATTERN ...]``; two networks at a time, each in a process of its own.

What is stored in ``results/zoo.json`` for this very code and these versions is not run again.
"""

import argparse
import fnmatch
import hashlib
import importlib.metadata
import json
import multiprocessing
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo import one
from zoo.catalogue import catalogue
from zoo.page import written

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "results" / "zoo.json"
PAGE = ROOT / "docs" / "zoo.md"
PACKAGES = ("torch", "torchvision", "timm", "transformers", "onnx", "onnxscript", "onnxruntime")
SECONDS = 600  # for one network
AT_ONCE = 2
FOLDER = re.compile(r"/(?:[\w.-]+/)*zoo-\w+/")  # where a network's files were; messages of tools name them


def code() -> str:
    """A digest of the files that decide what is found."""
    digest = hashlib.sha256()
    own = [
        path for path in Path(__file__).parent.glob("*.py") if path.stem not in ("__main__", "reasons", "page", "names")
    ]
    house = [path for room in ("formats", "network") for path in (ROOT / "src" / "narformer" / room).glob("*.py")]
    readers = [path for path in house if not path.stem.startswith("onnx_writer")]
    for path in sorted(own) + sorted(readers):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PACKAGES} | {"code": code()}


class Zoo:
    """The stored facts; written after each network."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = versions()
        self.networks: dict[str, Any] = json.loads(path.read_text())["networks"] if path.exists() else {}

    def has(self, name: str) -> bool:
        return self.networks.get(name, {}).get("versions") == self.now

    def put(self, name: str, facts: dict[str, Any]) -> None:
        self.networks[name] = {"versions": self.now, **facts}
        fresh = self.path.with_suffix(".part")
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in self.networks.items())
        lines = FOLDER.sub("", lines)
        fresh.write_text(f'{{"networks": {{\n{lines}\n}}}}\n')
        fresh.replace(self.path)


@dataclass
class Job:
    """A network that runs."""

    name: str
    out: Path
    process: Any
    started: float = field(default_factory=time.monotonic)

    def ended(self) -> bool:
        """Whether it is done; a network that takes too long is stopped."""
        if time.monotonic() - self.started > SECONDS:
            self.process.kill()
        self.process.join(0.1)
        return self.process.exitcode is not None

    def found(self) -> dict[str, Any]:
        """The facts that it wrote, and how it ended."""
        facts: dict[str, Any] = json.loads(self.out.read_text()) if self.out.exists() else {}
        seconds = round(time.monotonic() - self.started)
        if self.process.exitcode:
            said = self.out.with_suffix(".log").read_text(errors="replace").strip().splitlines()
            late = f"stopped after {SECONDS} s"
            why = late if seconds >= SECONDS else f"exit {self.process.exitcode}: {' '.join(said[-1:])}"
            facts["ended"] = why[:300]
        return {**facts, "seconds": seconds}


def run_all(names: list[str], zoo: Zoo) -> bool:
    """Run the networks; False after Ctrl-C, which stops those that run. What was found before is stored."""
    context = multiprocessing.get_context("forkserver")  # its process imports the libraries once, for all networks
    context.set_forkserver_preload(["zoo.one"])
    waiting, running = list(names), list[Job]()
    with tempfile.TemporaryDirectory(prefix="zoo-results-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < AT_ONCE:
                    name = waiting.pop(0)
                    out = Path(folder) / f"{name.replace('/', '_')}.json"
                    process = context.Process(target=one.run, args=(name, out))
                    process.start()
                    running.append(Job(name, out, process))
                for job in [job for job in running if job.ended()]:
                    running.remove(job)
                    zoo.put(job.name, job.found())
                    done = len(names) - len(waiting) - len(running)
                    print(f"{done}/{len(names)} {job.name} {zoo.networks[job.name]['seconds']} s", flush=True)
        except KeyboardInterrupt:
            print("stopped; run it again and it goes on")
            return False
        finally:
            for job in running:
                job.process.kill()
    return True


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("patterns", nargs="*", help="names, or patterns as 'timm/*'; all networks if none")
    arguments.add_argument("--again", action="store_true", help="run networks that are stored, too")
    given = arguments.parse_args()
    networks, patterns = catalogue(), given.patterns or ["*"]
    names = [name for name in networks if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    zoo = Zoo(STORED)
    complete = run_all([name for name in names if given.again or not zoo.has(name)], zoo)
    ordered = {name: zoo.networks[name] for name in networks if name in zoo.networks}
    unexplained = written(ordered, {name: network.group for name, network in networks.items()}, PAGE)
    print(f"{len(ordered)} networks, {unexplained} differences without a reason; written: {PAGE}")
    sys.exit(1 if unexplained or not complete else 0)


if __name__ == "__main__":
    main()
