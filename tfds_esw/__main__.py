"""`python -m tfds_esw`: build and show the data set, without the extra packages of `tfds build`."""

import json
import logging
import sys
import warnings
from pathlib import Path

from keras_micromag import summary
from keras_micromag.utils import command_line


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit status; see `command_line.run`."""
    parser = command_line.Parser(
        prog="python -m tfds_esw", description="The TFDS dataset tfds_esw."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="simulate a configuration and write it, or resume")
    build.set_defaults(run=_build)
    formats = "tfrecord (needs TensorFlow; the default where it is) or array_record"
    build.add_argument("--file_format", metavar="FORMAT", help=formats)
    build.add_argument("--num_shards", metavar="N", type=command_line.count, help="files per split")
    build.add_argument("--overwrite", action="store_true", help="build it again if it exists")

    show = commands.add_parser("show", help="print figures of merit and draw loops of a data set")
    show.set_defaults(run=_show)
    show.add_argument("--split", default="train", help="split in TFDS's syntax: train, test[:3] …")
    show.add_argument("--out", type=Path, metavar="FILE", help="a picture of the loops")

    for command in (build, show):
        command.add_argument(
            "config",
            metavar="CONFIG",
            help="paper, tiny, large, textures, polycrystal, or as JSON: '{\"cone\": 20}'",
        )
        command.add_argument("--data_dir", metavar="DIR", help="TFDS's own if not given")
    return command_line.run(parser, argv)


def _builder(options, **kwargs):
    logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS warns of folders that do not exist yet
    from tfds_esw import Builder, Config

    config = options.config
    if config.startswith("{"):
        try:
            config = Config(**json.loads(config))
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"`CONFIG` must be parameters as JSON: {error}.") from error
    elif config not in Builder.builder_configs:
        known = ", ".join(Builder.builder_configs)
        raise ValueError(f"`CONFIG` must be one of {known}, or JSON; received {config!r}.")
    return Builder(config=config, data_dir=options.data_dir, **kwargs)


def _build(options) -> None:
    import tensorflow_datasets as tfds

    builder = _builder(options, file_format=options.file_format)
    settings = tfds.download.DownloadConfig(num_shards=options.num_shards)
    if options.overwrite:
        settings.download_mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    builder.download_and_prepare(download_config=settings)
    print(f"{builder.info.full_name}: {builder.data_path}")
    for name, split in builder.info.splits.items():
        print(f"  {name}: {split.num_examples} simulations in {split.num_shards} files")


def _show(options) -> None:
    from tfds_esw import examples, hysteresis

    if options.out:
        summary.check_matplotlib()
    builder = _builder(options)
    if not builder.is_prepared():
        raise ValueError(f"`CONFIG` must have been built; {builder.data_path} does not exist.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        loops = hysteresis(examples(builder, options.split), builder.info)
    for warning in caught:
        print(warning.message, file=sys.stderr)
    summary.print_merits(loops)
    if options.out:
        summary.draw_loops(loops, options.out)


if __name__ == "__main__":
    sys.exit(main())
