"""The saved state of an unfinished run: tensors in safetensors, numbers in its header; replaced atomically."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from narformer.errors import BadFile

if TYPE_CHECKING:
    from narformer.training.loop import Fit


class Checkpoint:
    """One file that a run writes after its first and last epoch, and every ``interval`` seconds between."""

    def __init__(self, path: Path, interval: float = 20.0) -> None:
        self.path, self.interval, self.saved = path, interval, float("-inf")

    def save_now_and_then(self, fit: "Fit", last: bool = False) -> None:
        """Save at the ``last`` epoch, and when the last save is ``interval`` seconds old."""
        if last or time.monotonic() - self.saved >= self.interval:
            self.save(fit)

    def save(self, fit: "Fit") -> None:
        """Write the run's state to a temporary name, then rename."""
        tensors = {f"model/{name}": value for name, value in fit.model.state_dict().items()}
        tensors |= {f"average/{name}": value for name, value in fit.average.items()}
        tensors |= {f"best/{name}": value for name, value in fit.best.items()}
        tensors |= {f"evolution/{name}": value for name, value in fit.evolution.items()}
        for index, state in fit.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{index}/{name}": value for name, value in state.items()}
        numbers = {
            "hash": fit.recipe.hash(),
            "seed": fit.seed,
            "epoch": fit.epoch,
            "seconds": fit.seconds,
            "best_score": fit.best_score,
            "history": fit.history,
            "pretraining": fit.pretraining,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".partial")
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, temporary, {"run": json.dumps(numbers)})
        temporary.replace(self.path)
        self.saved = time.monotonic()

    def restore(self, fit: "Fit") -> None:
        """Bring ``fit`` to the saved state, if there is one. Raises BadFile for a state of another run."""
        if not self.path.exists():
            return
        try:
            with safe_open(self.path, framework="pt", device=fit.device) as file:
                numbers = json.loads((file.metadata() or {})["run"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError) as error:
            raise BadFile(
                self.path, f"an unreadable state ({error})", "a saved run", "Delete it to start anew."
            ) from None
        if (numbers["hash"], numbers["seed"]) != (fit.recipe.hash(), fit.seed):
            raise BadFile(
                self.path,
                f"the state of recipe {numbers['hash']}, seed {numbers['seed']}",
                f"recipe {fit.recipe.hash()}, seed {fit.seed}",
                "Give this run a folder of its own.",
            )
        parts: dict[str, dict[str, torch.Tensor]] = {
            part: {} for part in ("model", "average", "best", "optimiser", "evolution")
        }
        for name, value in tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = value
        fit.model.load_state_dict(parts["model"])
        fit.average, fit.best, fit.evolution = parts["average"], parts["best"], parts["evolution"]
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in parts["optimiser"].items():
            index, _, key = name.partition("/")
            state.setdefault(int(index), {})[key] = value
        groups = fit.optimiser.state_dict()["param_groups"]
        fit.optimiser.load_state_dict({"state": state, "param_groups": groups})
        fit.epoch, fit.seconds = numbers["epoch"], numbers["seconds"]
        fit.best_score, fit.history = numbers["best_score"], numbers["history"]
        fit.pretraining = numbers["pretraining"]

    def delete(self) -> None:
        """Remove the file: the run is complete."""
        self.path.unlink(missing_ok=True)
