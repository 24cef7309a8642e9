"""Images as a source: files, checks, draws; and what samples are compared by."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import cdist

import collapse_jax as cj
from collapse_jax.families.vae.classifier import Classifier
from collapse_jax.metrics.images import precision_and_recall
from collapse_jax.random.keys import chain_key


def keys_of(seed=0):
    return cj.Keys(chain_key(jax.random.key(seed), 0), jnp.int32(0))


def few(number=30, side=8, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (number, side, side))


def test_digits_are_there_without_a_network():
    source = cj.Images.load("digits")
    assert source.images.shape == (1618, 784)
    assert source.test.shape == (179, 784)
    assert source.images.min() >= 0
    assert source.images.max() <= 1
    assert set(source.labels) == set(range(10))
    small = cj.Images.load("digits", 8, 100)
    assert (small.num_rows, small.side, len(small.test)) == (90, 8, 10)


def test_an_archive_of_bytes(tmp_path):
    images = (few(40) * 255).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x=images.reshape(40, -1), y=np.arange(40) % 3)
    source = cj.Images.load(str(tmp_path / "a.npz"), 8)
    kept = np.arange(40) % 10 != 9
    np.testing.assert_allclose(source.images, images.reshape(40, -1)[kept] / 255, rtol=1e-6)
    np.testing.assert_array_equal(source.labels, (np.arange(40) % 3)[kept])
    np.savez(tmp_path / "b.npz", images=images, x_test=images[:3], y_test=[0, 1, 2])
    source = cj.Images.load(str(tmp_path / "b.npz"), 8)
    assert (source.num_rows, len(source.test), source.labels) == (40, 3, None)


def test_a_folder_with_a_folder_per_class(tmp_path):
    for place, image in enumerate((few(20) * 255).astype(np.uint8)):
        folder = tmp_path / ("cat" if place % 2 else "ape")
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{place:02}.png")
    source = cj.Images.load(str(tmp_path), 8)
    assert source.num_rows == 18
    np.testing.assert_array_equal(source.labels, [0] * 9 + [1] * 9)
    assert cj.Images.load(str(tmp_path), 12).side == 12


def test_mnist_without_a_network_says_what_to_do(monkeypatch, tmp_path):
    import datasets

    def fail(*_):
        raise ConnectionError("offline mode is enabled")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ValueError, match=r"images='mnist' .*offline.*pass digits"):
        cj.Images.load("mnist")


def bad_archive(folder):
    np.savez(folder / "other.npz", pictures=few())
    return str(folder / "other.npz")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: cj.Images.load("cifar"), "must be digits, mnist"),
        (lambda folder: cj.Images.load(str(folder)), "holds no image"),
        (lambda folder: cj.Images.load(str(folder / "none.npz")), "No such file"),
        (lambda folder: cj.Images.load(bad_archive(folder)), "it holds pictures, not x"),
        (lambda folder: cj.Images.load("digits", 2), "side=2"),
        (lambda folder: cj.Images(few(), test=None), "needed for measuring"),
        (lambda folder: cj.Images(few() * 2, test=few()), r"must lie in \[0, 1\]"),
        (lambda folder: cj.Images(few(), test=few(side=4)), "Images.images have 64"),
        (lambda folder: cj.Images(few()[:, :4], test=few()), "must be square"),
        (lambda folder: cj.Images(few(), np.arange(3), few()), "there are 30 images"),
        (lambda folder: cj.Images(few(), np.full(30, 0.5), few()), "they name classes"),
    ],
)
def test_bad_images_are_refused(make, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        make(tmp_path)
    assert "\n" not in str(error.value)


def test_draws_are_subsets_the_data_or_with_replacement():
    source = cj.Images(few(), test=few(seed=1))
    rows = {row.tobytes(): place for place, row in enumerate(source.images)}

    def places(samples, size):
        return [rows[np.asarray(row).tobytes()] for row in samples.rows[:size]]

    assert places(source.draw(keys_of(), 30, 30), 30) == list(range(30))
    subset = source.draw(keys_of(), 12, 20)
    assert len(set(places(subset, 12))) == 12
    assert int(subset.size) == 12
    many = places(source.independent.draw(keys_of(), 30, 30), 30)
    assert len(set(many)) < 30
    assert len(places(source.draw(keys_of(), 50, 50), 50)) == 50


def test_precision_and_recall_are_those_of_sorted_distances():
    random = np.random.default_rng(0)
    samples, real = random.normal(size=(40, 3)), random.normal(0.7, 1, size=(60, 3))
    across = cdist(samples, real)
    of_real = np.sort(cdist(real, real), axis=1)[:, 5]
    of_samples = np.sort(cdist(samples, samples), axis=1)[:, 5]
    precision = np.mean(np.any(across <= of_real, axis=1))
    recall = np.mean(np.any(across <= of_samples[:, None], axis=0))
    found = precision_and_recall(samples.astype("f4"), real.astype("f4"), 5)
    np.testing.assert_allclose(found, (precision, recall), rtol=1e-6)
    assert 0 < precision < 1


@pytest.mark.parametrize("num_classes", [2, 10])
def test_a_classifier_tells_digits(num_classes):
    source = cj.Images.load("digits", 8)
    chosen = source.labels < num_classes
    classifier = Classifier.train(source.images[chosen], source.labels[chosen])
    test = source.test_labels < num_classes
    images, labels = source.test[test], source.test_labels[test]
    assert np.mean(np.asarray(classifier.predict(images)) == labels) > 0.9
    shares = np.asarray(classifier.shares(images))
    assert shares.shape == (num_classes,)
    assert shares.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="two classes or more"):
        Classifier.train(images[labels == 1], labels[labels == 1])
