"""Features of paths and walks through a cell: how often they meet each operation. No labels are needed.

They are groups of features for a Gaussian process (predictors/gaussian_process.py) and targets of pre-training
(training/pretraining.py). They extend the counts and longest paths of cells/statistics.py, as the flow surrogates of
FGP do (NeurIPS 2025).

Letters: M cells, N vertices, C operations of the vocabulary, K random networks, D width of each.
"""

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.cells.random_networks import last_states
from narformer.cells.statistics import structure

__all__ = ["GROUPS", "RandomNetworks", "answers", "flows"]

Float = NDArray[np.float64]
Single = NDArray[np.float32]

GROUPS = ("structure", "mean path", "walks", "degrees", "depths")
CHUNK = 2048  # cells that are processed together
RandomNetworks = tuple[Single, Single]  # weights (2, K, C, D, D) and biases (2, K, C, D), forwards and backwards


def flows(cells: Cells) -> tuple[Float, ...]:
    """One array of features (M, ·) per group of GROUPS."""
    return tuple(np.concatenate(group) for group in zip(*map(_flows, _chunks(cells)), strict=True))


def answers(cells: Cells, networks: RandomNetworks) -> Float:
    """(M, 2·K·D) outputs of random networks on the cells, with edges forwards and backwards."""
    return np.concatenate([_answers(chunk, networks) for chunk in _chunks(cells)])


def _chunks(cells: Cells) -> list[Cells]:
    """Chunks of cells, at least one, so that intermediate arrays (vertices x operations per cell) fit in memory."""
    return [cells.take(slice(start, start + CHUNK)) for start in range(0, max(1, len(cells)), CHUNK)]


def _flows(cells: Cells) -> tuple[Float, ...]:
    adj_MNN = cells.adj_MNN.astype(np.float64)
    is_MNC = (cells.kind_MN[:, :, None] == np.arange(len(cells.vocabulary))).astype(np.float64)
    out_MN, into_MN = adj_MNN.sum(axis=2), adj_MNN.sum(axis=1)
    walks = [adj_MNN / np.maximum(out_MN, 1)[:, :, None], adj_MNN / np.maximum(into_MN, 1)[:, None]]
    depth_MN = np.zeros_like(into_MN)
    for v in range(1, cells.kind_MN.shape[1]):
        depth_MN[:, v] = np.where(adj_MNN[:, :v, v] > 0, depth_MN[:, :v] + 1, 0).max(axis=1)
    return (
        structure(cells),
        _met(adj_MNN, is_MNC, cells.count_M),
        np.concatenate([_met(walk_MNN, is_MNC, cells.count_M) for walk_MNN in walks], axis=1),
        np.concatenate([np.einsum("mnc,mn->mc", is_MNC, degree_MN) for degree_MN in (into_MN, out_MN)], axis=1),
        np.einsum("mnc,mn->mc", is_MNC, depth_MN),
    )


def _answers(cells: Cells, networks: RandomNetworks) -> Float:
    ways = zip((cells, _backwards(cells)), *networks, strict=True)
    return np.concatenate([last_states(*way) for way in ways], axis=1).astype(np.float64)


def _met(weight_MNN: Float, is_MNC: Float, count_M: NDArray[np.int64]) -> Float:
    """(M, C) mean count of each operation on a path from first to last vertex, weighted by the product of edge weights.

    The first vertex is not counted, because all paths contain it.
    """
    M, N, C = is_MNC.shape
    mass_MN, met_MNC = np.zeros((M, N)), np.zeros((M, N, C))
    mass_MN[:, 0] = 1
    for v in range(1, N):
        weight_Mv = weight_MNN[:, :v, v]
        mass_MN[:, v] = (weight_Mv * mass_MN[:, :v]).sum(axis=1)
        earlier_MC = np.einsum("mu,muc->mc", weight_Mv, met_MNC[:, :v])
        met_MNC[:, v] = earlier_MC + mass_MN[:, v, None] * is_MNC[:, v]
    rows_M = np.arange(M)
    mass_M1 = mass_MN[rows_M, count_M - 1][:, None]
    return np.asarray(met_MNC[rows_M, count_M - 1] / np.where(mass_M1 > 0, mass_M1, 1))


def _backwards(cells: Cells) -> Cells:
    """The same cells with all edges reversed: the last vertex becomes the first."""
    N = cells.kind_MN.shape[1]
    source_MN = cells.count_M[:, None] - 1 - np.arange(N)
    source_MN = np.where(source_MN < 0, np.arange(N), source_MN)  # padding stays where it is
    rows_M1 = np.arange(len(cells))[:, None]
    turned_MNN = cells.adj_MNN[rows_M1[:, :, None], source_MN[:, :, None], source_MN[:, None]].transpose(0, 2, 1)
    return Cells(cells.vocabulary, cells.kind_MN[rows_M1, source_MN], np.ascontiguousarray(turned_MNN))
