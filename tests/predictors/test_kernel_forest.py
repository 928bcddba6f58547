"""nn-Meter's form: times of kernels are attributed from whole networks, then forests learn them."""

import numpy as np
import pytest

from narformer.errors import BadRecipe
from narformer.metrics import mape
from narformer.network import Architecture, Op, cost
from narformer.network.kernels import kernels
from narformer.predictors.kernel_forest import DEPTHWISE, FEW, SHARED, KernelForest, KernelTable
from narformer.spaces.drawing import Drawing
from narformer.spaces.families import FAMILIES, variants
from narformer.tokens import KernelTokenizer

pytest.importorskip("sklearn", reason="narformer[baselines] is not installed")

TREES = 10
# Milliseconds of a kernel, per GFLOP, per million bytes; of all kinds that are not here, the last.
RATES = {"Conv": (0.02, 0.5, 0.02), DEPTHWISE: (0.03, 4.0, 0.1), "Gemm": (0.01, 2.0, 0.3), "": (0.01, 0.0, 0.15)}


def chain(rng):
    """Convolutions, some of them depthwise, pools between them, and one or two dense layers."""
    net = Drawing()
    x = net.input(1, 3, 64, 64)
    for _ in range(rng.integers(2, 7)):
        x = net.conv(x, int(rng.integers(8, 129)), int(rng.choice([1, 3, 5])))
        x = net.op("Relu", net.shape(x), x)
        if rng.random() < 0.4:
            channels = net.shape(x)[1]
            x = net.conv(x, channels, 3, group=channels)
        if rng.random() < 0.4 and net.shape(x)[2] > 4:
            x = net.pool("MaxPool", x, 2, 2, pad=0)
    x = net.op("GlobalAveragePool", (1, net.shape(x)[1], 1, 1), x)
    x = net.op("Flatten", (1, net.shape(x)[1]), x)
    for _ in range(rng.integers(1, 3)):  # as many in each as last pools could not be told apart from these
        x = net.op("Gemm", (1, int(rng.integers(10, 1001))), x, bias=1)
    return net.finished("chain")


def known(network):
    """The latency of a network, and the times of its kernels, by RATES."""
    counted, table = cost(network), KernelTable.of(KernelTokenizer().network(network))
    times = []
    for kernel, kind in zip(kernels(network), table.kind_K, strict=True):
        inside = list(kernel.vertices)
        sources = [s for s, t in network.edges if t in inside and s not in inside]
        moved = sum(np.prod(network.ops[v].shape) for v in (*sources, inside[-1])) + counted.weights_N[inside].sum()
        each, per_gflop, per_megabyte = RATES.get(str(kind), RATES[""])
        times.append(each + per_gflop * counted.flops_N[inside].sum() / 1e9 + per_megabyte * 4 * moved / 1e6)
    return sum(times), np.array(times)


@pytest.fixture(scope="module")
def chains():
    rng = np.random.default_rng(0)
    return [chain(rng) for _ in range(200)]


@pytest.fixture(scope="module")
def latency_N(chains):
    return np.array([known(network)[0] for network in chains])


@pytest.fixture(scope="module")
def forest(chains, latency_N):
    return KernelForest.fit(chains[:150], latency_N[:150], seed=0, trees=TREES)


@pytest.fixture(scope="module")
def families():
    return [network for name in ("squeezenet", "alexnet", "resnet") for network in variants(FAMILIES[name], 4).values()]


@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_the_kernels_of_a_network_add_up_to_its_label(families, spread):
    rng = np.random.default_rng(0)
    label_N = np.array([cost(network).flops / 1e9 for network in families]) * np.exp(spread * rng.normal(size=12))
    table = KernelTable.of(KernelTokenizer().batch(families))
    time_K = table.attributed(label_N)
    assert len(time_K) == sum(len(kernels(network)) for network in families)
    assert (time_K > 0).all()
    np.testing.assert_allclose(table.summed(time_K), label_N, rtol=1e-12)
    for row, label in enumerate(label_N):  # ``summed`` itself, slowly
        assert time_K[table.owner_K == row].sum() == pytest.approx(label)


def test_where_time_is_a_roofline_every_kernel_gets_its_own(chains, latency_N):
    time_K = KernelTable.of(KernelTokenizer().batch(chains)).attributed(latency_N)
    own_K = np.concatenate([known(network)[1] for network in chains])
    np.testing.assert_allclose(time_K, own_K, rtol=1e-3)


def test_unseen_networks_are_predicted(forest, chains, latency_N):
    predicted_N1 = forest.predict(chains[150:])
    assert predicted_N1.shape == (50, 1)
    np.testing.assert_allclose(predicted_N1[:, 0], latency_N[150:], rtol=0.2)
    one_for_all = np.full(50, np.median(latency_N[:150]))
    assert mape(one_for_all, latency_N[150:]) > 0.4  # they differ


def test_a_network_takes_the_time_of_its_kernels(forest, chains):
    for network in chains[150:155]:
        time_K = forest.kernels(network)
        assert len(time_K) == len(kernels(network))
        assert time_K.sum() == pytest.approx(forest.predict([network]).item())


def test_the_seed_decides(chains, latency_N, forest):
    same, other = (KernelForest.fit(chains[:150], latency_N[:150], seed, trees=TREES) for seed in (0, 1))
    np.testing.assert_array_equal(same.predict(chains[150:]), forest.predict(chains[150:]))
    assert not np.array_equal(other.predict(chains[150:]), forest.predict(chains[150:]))


def test_chunks_and_the_order_of_networks_change_nothing(forest, chains):
    told = []
    whole_N1 = forest.predict(chains, advance=told.append)
    assert sum(told) == len(chains)
    assert len(told) > 1
    np.testing.assert_allclose(forest.predict(chains[::-1]), whole_N1[::-1])
    assert forest.predict([]).shape == (0, 1)


def test_rare_kinds_share_a_forest_that_answers_for_unseen_ones(forest, chains, latency_N):
    assert set(forest.forests) == {"Conv", DEPTHWISE, "MaxPool", "GlobalAveragePool", "Gemm", SHARED}
    few = FEW // 2 - 1  # with at most two dense layers each
    small = KernelForest.fit(chains[:few], latency_N[:few], seed=0, trees=TREES)
    assert "Gemm" not in small.forests
    assert "Conv" in small.forests
    strange = Architecture((Op.of("Input", (1, 8, 4, 4)), Op.of("Softmax", (1, 8, 4, 4))), ((0, 1),))
    for fitted in (forest, small):
        assert 0 < fitted.predict([strange]).item() < latency_N.max()


def test_an_input_alone_takes_no_time_and_is_nothing_to_learn_from(forest, chains, latency_N):
    nothing = Architecture((Op.of("Input", (1, 3, 4, 4)),), ())
    assert forest.predict([chains[0], nothing])[1] == 0
    with pytest.raises(BadRecipe, match="network 1: found no kernel"):
        KernelForest.fit([chains[0], nothing], latency_N[:2], seed=0, trees=1)


@pytest.mark.parametrize("label", [0.0, -1.0, np.nan])
def test_labels_that_are_no_latency_are_refused(chains, label):
    with pytest.raises(BadRecipe, match="1 of 2 latencies"):
        KernelForest.fit(chains[:2], np.array([1.0, label]), seed=0, trees=1)


@pytest.mark.parametrize(("count", "labels"), [(0, 0), (2, 3)])
def test_networks_without_labels_are_refused(chains, count, labels):
    with pytest.raises(BadRecipe, match="at least one network, and one latency for each"):
        KernelForest.fit(chains[:count], np.ones(labels), seed=0, trees=1)
