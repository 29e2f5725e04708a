"""Recipes: every setting of a training."""

import dataclasses

from keras_micromag.utils import checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a training, for an autoencoder (Table 1) and a predictor in its latent space.

    Args:
        latent_size: d.
        filters, units, activation, output_activation: see `autoencoder`. For polycrystals only the
            activation is used.
        window: t.
        horizon: l.
        hidden_layers, width, predictor_activation, predictor_output_activation: see `predictor`.
        mse_weight, norm_weight, moment_weight: see `NormPreservingLoss`.
        eq8_share, predictor_eq8_share: share of the weights of Eq. 8 in the weights of the states,
            for autoencoder and predictor; the rest is uniform.
        images: number of images of each magnet to train on, itself included: the
            `symmetric_images` of a lattice, or polycrystals turned at random; None for as many as
            make 1600 loops of all magnets. The autoencoder of polycrystals is trained without
            them: its batches are turned at random.
        principal_axes: rotate the latent variables so that they are uncorrelated, shift them to a
            mean of 0, and divide them all by the largest standard deviation.
        input_noise: see `predictor`, in units of the latent variables.
        microstructure_size: c of a `microstructure_encoder`, 0 for none.
        schedule: "plateau" (the paper) multiplies the learning rate by `rate_factor` after
            `rate_patience` epochs without a lower validation loss, and stops after `stop_patience`;
            "cosine" lowers it to 0 over all batches.
        rate_factor, rate_patience, stop_patience: see `schedule`.
        averaging: momentum of the moving average of the weights over the batches, which replaces
            them at the end of the training; 0 keeps the last weights. The losses in the history are
            those of the weights before averaging. A training of less than some thousand batches
            hardly moves the average from the initial weights.
        autoencoder_rate, predictor_rate: learning rates of Nadam.
        autoencoder_batches, predictor_batches: largest number of batches to train on.
        batch_size: 64 in the paper.
        validation: share of the simulations that are held out, at least one.

    Raises:
        ValueError: for an invalid setting, which it names.
    """

    latent_size: int = 16
    filters: tuple[int, ...] = (4,)
    units: tuple[int, ...] = (32, 32)
    activation: str = "elu"
    output_activation: str = "linear"
    window: int = 3
    horizon: int = 8
    hidden_layers: int = 6
    width: int = 64
    predictor_activation: str = "gelu"
    predictor_output_activation: str = "linear"
    mse_weight: float = 0.85
    norm_weight: float = 0.15
    moment_weight: float = 10.0
    eq8_share: float = 0.2
    predictor_eq8_share: float = 0.0
    images: int | None = None
    principal_axes: bool = True
    input_noise: float = 1.0
    microstructure_size: int = 32
    schedule: str = "cosine"
    rate_factor: float = 0.5
    rate_patience: int = 20
    stop_patience: int = 60
    averaging: float = 0.999
    autoencoder_rate: float = 5e-3
    predictor_rate: float = 2.6e-3
    autoencoder_batches: int = 16_000
    predictor_batches: int = 20_000
    batch_size: int = 128
    validation: float = 0.05

    def __post_init__(self):
        checks.one_of(self.schedule, "schedule", ("plateau", "cosine"))
        counts = ["latent_size", "window", "horizon", "hidden_layers", "width"]
        counts += ["rate_patience", "stop_patience", "batch_size"]
        counts += ["autoencoder_batches", "predictor_batches"]
        if self.images is not None:
            counts.append("images")
        for name in counts:
            checks.count(getattr(self, name), name)
        for name in ("filters", "units"):
            checks.counts(getattr(self, name), name)
        for name in ("autoencoder_rate", "predictor_rate", "rate_factor"):
            checks.number(getattr(self, name), name, above=0)
        for name in ("mse_weight", "norm_weight", "moment_weight", "input_noise"):
            checks.number(getattr(self, name), name, least=0)
        checks.count(self.microstructure_size, "microstructure_size", least=0)
        for name in ("eq8_share", "predictor_eq8_share", "averaging", "validation"):
            checks.number(getattr(self, name), name)
        for name in ("eq8_share", "predictor_eq8_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` must be from 0 to 1; received {getattr(self, name)}.")
        if not 0 <= self.averaging < 1:
            raise ValueError(
                f"`averaging` must be at least 0 and below 1; received {self.averaging}."
            )
        if not 0 < self.validation < 1:
            raise ValueError(f"`validation` must lie between 0 and 1; received {self.validation}.")


RECIPES = {
    "paper": Recipe(
        window=4,
        horizon=8,
        hidden_layers=4,
        width=128,
        predictor_activation="elu",
        output_activation="elu",
        predictor_output_activation="elu",
        images=1,
        moment_weight=0.0,
        eq8_share=1.0,
        predictor_eq8_share=1.0,
        principal_axes=False,
        input_noise=0.0,
        microstructure_size=0,
        schedule="plateau",
        averaging=0.0,
        autoencoder_rate=1e-4,
        predictor_rate=1e-4,
        autoencoder_batches=30_000,
        predictor_batches=12_000,
        batch_size=64,
        validation=0.2,
    ),
    "by_hand": Recipe(
        window=4,
        horizon=4,
        hidden_layers=4,
        width=128,
        predictor_activation="elu",
        predictor_rate=4e-3,
        microstructure_size=16,
        batch_size=256,
    ),
    "default": Recipe(),
    "polycrystals": Recipe(
        activation="gelu",
        autoencoder_rate=3e-3,
        autoencoder_batches=10_000,
        predictor_batches=8_000,
        batch_size=256,
    ),
}
"""The recipes by name.

- "paper": the paper's settings, as far as it gives them;
- "by_hand": set by hand, used for docs/explanation/results.md;
- "default": the result of searches that started from "by_hand", see docs/explanation/results.md;
- "polycrystals": for `Polycrystals`, without a search.
"""


def get_recipe(name: str) -> Recipe:
    """Return the recipe of this name in `RECIPES`.

    Raises:
        ValueError: for an unknown name, with a list of the known ones.
    """
    return RECIPES[checks.one_of(name, "recipe", tuple(RECIPES))]
